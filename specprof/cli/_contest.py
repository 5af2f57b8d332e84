"""Prints the results of `specprof bench`: a table with notes, or the same figures as JSON."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from specprof.cli._table import MISSING_TEXT, align_columns

if TYPE_CHECKING:
    from specprof.analysis.comparison import Figure
    from specprof.bench.contest import Contest, Standing, Strayed

SCHEMA = "specprof.bench/1"
VARIED_SETTINGS = ("path", "graphs", "detail", "cache", "draft_cache")
"""Settings that differ between entries; only our own loops have the first three."""
HEADINGS = ("", "emitted", "speed", "speed", "speed", "tau")
UNITS = ("", "/second", "over generate", "over assisted", "over own off", "/round")


@dataclass(frozen=True, slots=True)
class Row:
    """The figures of one entry; None is not known."""

    name: str
    emitted_per_second: "Figure | None" = None
    over_generate: "Figure | None" = None
    over_assisted: "Figure | None" = None
    over_off: "Figure | None" = None
    """Speed over the same loop with the profiler off; None for that loop itself and for peers."""
    tau: float | None = None


def rows(found: "Contest") -> list[Row]:
    """Return the figures of each entry; ratios are over the first entry of each peer's loop."""
    peers = {
        loop: next((one for one in found.standings if one.entry.loop == loop), None)
        for loop in ("generate", "assisted")
    }
    return [
        Row(
            name=each.entry.name,
            emitted_per_second=_emitted_per_second(found, each),
            over_generate=_speed_over(each, peers["generate"]),
            over_assisted=_speed_over(each, peers["assisted"]),
            over_off=_speed_over(each, _without_profiler(found, each)),
            tau=_tau(each),
        )
        for each in found.standings
    ]


def table(found: "Contest") -> list[str]:
    """Return the lines of the table, then the notes needed to read it."""
    known = rows(found)
    grid = [
        ["", "", *(each.name for each in known)],
        [HEADINGS[1], UNITS[1], *(_format_speed(each.emitted_per_second) for each in known)],
    ]
    for place, name in enumerate(("over_generate", "over_assisted", "over_off"), start=2):
        grid.append(
            [HEADINGS[place], UNITS[place], *(_format_ratio(getattr(each, name)) for each in known)]
        )
    taus = [MISSING_TEXT if each.tau is None else f"{each.tau:.2f}" for each in known]
    grid.append([HEADINGS[-1], UNITS[-1], *taus])
    return [*align_columns(grid), "", *notes(found)]


def notes(found: "Contest") -> list[str]:
    """Return a line for each thing a reader must know: models, timing, tokens, missing rows."""
    lines = [_describe_pair(found), *_measurement_notes(found), *_agreement_notes(found)]
    return [*lines, *_replay_notes(found), *_absence_notes(found)]


def document(found: "Contest", **more: object) -> str:
    """Return the contest as one JSON document: figures, times of every play, differing tokens."""
    import msgspec

    from specprof.plain import as_json, escape_json

    whole = {"schema": SCHEMA, **more, **figures(found)}
    return escape_json(msgspec.json.format(as_json(whole), indent=2)).decode() + "\n"


def figures(found: "Contest") -> dict[str, object]:
    """Return the contest's results as JSON types."""
    import msgspec

    cells = [
        {
            **msgspec.to_builtins(row),
            "loop": each.entry.loop,
            **{field: getattr(each.entry.settings, field) for field in VARIED_SETTINGS},
            "trouble": each.trouble,
            "threads": each.threads,
            "replayed": each.replayed,
            "unreplayed": each.unreplayed,
            "strayed": msgspec.to_builtins(each.strayed),
            "wall_ns": [bout.wall_ns for bout in each.bouts],
            "process_ns": [bout.process_ns for bout in each.bouts],
            "rounds": [bout.rounds for bout in each.bouts],
        }
        for row, each in zip(rows(found), found.standings, strict=True)
    ]
    return {
        "settings": msgspec.to_builtins(found.settings),
        "repetitions": found.repetitions,
        "plays_per_repetition": 2,
        "seconds": found.seconds,
        "stopped": found.stopped,
        "device": found.device,
        "dtype": found.dtype,
        "entries": cells,
        "notes": notes(found),
    }


def _emitted_per_second(found: "Contest", standing: "Standing") -> "Figure | None":
    from specprof.analysis.paired_timing import per_second

    return per_second(found.settings.max_new_tokens, _times(standing))


def _speed_over(standing: "Standing", base: "Standing | None") -> "Figure | None":
    from specprof.analysis.paired_timing import speedup

    if base is None or base is standing or not base.bouts:
        return None
    return speedup(_times(standing), _times(base))


def _times(standing: "Standing"):  # type: ignore[no-untyped-def]  # noqa: ANN202 - numpy stays unloaded
    """Return [repetitions, 2] nanoseconds."""
    import numpy as np

    return np.array([bout.wall_ns for bout in standing.bouts], np.float64).reshape(-1, 2)


def _tau(standing: "Standing") -> float | None:
    """Return emitted / rounds over all plays."""
    rounds = sum(bout.rounds for bout in standing.bouts)
    return sum(len(bout.emitted) for bout in standing.bouts) / rounds if rounds else None


def _without_profiler(found: "Contest", standing: "Standing") -> "Standing | None":
    import msgspec

    entry = standing.entry
    bare = msgspec.structs.replace(entry.settings, detail="off")
    same = (one for one in found.standings if one.entry.loop == entry.loop)
    return next((one for one in same if one.entry.settings == bare), None)


def _format_speed(figure: "Figure | None") -> str:
    if figure is None:
        return MISSING_TEXT
    return _format_interval(figure, ".0f" if figure.value >= 100 else ".1f")  # noqa: PLR2004 - three digits


def _format_ratio(figure: "Figure | None") -> str:
    return MISSING_TEXT if figure is None else _format_interval(figure, ".2f")


def _format_interval(figure: "Figure", form: str) -> str:
    if figure.low is None or figure.high is None:
        return format(figure.value, form)
    return f"{figure.value:{form}} [{figure.low:{form}} {figure.high:{form}}]"


def _describe_pair(found: "Contest") -> str:
    asked = found.settings
    sampling = f"temperature {asked.temperature:g}" if asked.temperature else "greedy"
    return (
        f"{asked.target} with {asked.draft}, {sampling}: {asked.max_new_tokens} tokens after "
        f"{asked.context:,} tokens in the caches; {found.device}, {found.dtype}"
    )


def _measurement_notes(found: "Contest") -> list[str]:
    from specprof.analysis.paired_timing import MIN_REPETITIONS

    ended = ", stopped by the user" if found.stopped else ""
    medians = f"medians of {found.repetitions} repetitions in {found.seconds:.0f} s{ended}"
    few = found.repetitions < MIN_REPETITIONS
    bounds = (
        f"; intervals need {MIN_REPETITIONS}: give more --seconds" if few else "; [95% interval]"
    )
    lines = [f"{medians}, each played in order and in reverse{bounds}"]
    if found.device != "cpu":
        return lines
    taken = defaultdict[int, list[str]](list)
    for each in found.standings:
        if each.threads:
            taken[each.threads].append(each.entry.name)
    counts = sorted(taken)
    if len(counts) == 1:
        return [*lines, f"threads: {counts[0]}"]
    rows_by_count = "; ".join(f"{count}: {', '.join(taken[count])}" for count in counts)
    return [*lines, f"threads, for each row its measured fastest: {rows_by_count}"]


def _agreement_notes(found: "Contest") -> list[str]:
    """Return lines on whether all entries emitted equal greedy tokens."""
    played = [each for each in found.standings if each.bouts]
    if any(each.entry.settings.temperature for each in played):
        return ["sampled: each row draws its own tokens, new ones in each play"]
    strayed = [(each, each.strayed) for each in played if each.strayed]
    lines = [_describe_stray(each.entry.name, found_) for each, found_ in strayed]
    laws = {_sampling_law(each) for each in played}
    by = "all rows" if len(laws) == 1 else "rows with equal target caches"
    return lines or [f"{by} emitted the same {found.settings.max_new_tokens} tokens in every play"]


def _sampling_law(standing: "Standing") -> object:
    from specprof.bench.contest import cache_law

    return cache_law(standing.entry.settings)


def _describe_stray(name: str, strayed: "Strayed") -> str:
    place = f"{name} differs from {strayed.of} after {strayed.at} tokens"
    if strayed.gap is None:
        return f"OTHER TOKENS: {place}"
    apart = f"the two logits lie {strayed.gap:.2g} standard deviations apart"
    return f"{place}: a near tie, {apart}" if strayed.tie else f"OTHER TOKENS: {place}, {apart}"


def _replay_notes(found: "Contest") -> list[str]:
    """Return lines on what `eager` rows are, and on rows whose short forwards are not replayed."""
    ours = [each for each in found.standings if each.bouts and each.replayed is not None]
    lines = list[str]()
    if any(each.entry.settings.graphs == "off" for each in ours):
        lines.append(
            "eager: like off, but short forwards are not replayed; our other rows replay them"
        )
    asked = [each for each in ours if each.entry.settings.graphs != "off"]
    why = {each.unreplayed for each in asked}
    if len(why) == 1 and None not in why:
        return [*lines, f"but no row can replay them here: {why.pop()}"]
    reasons = ((each.unreplayed, each.entry.name) for each in asked if each.unreplayed)
    return [*lines, *_group_by_reason(reasons, "can't replay all short forwards")]


def _absence_notes(found: "Contest") -> list[str]:
    """Return why entries didn't play; entries with equal reasons share a line."""
    reasons = ((each.trouble, each.entry.name) for each in found.standings if each.trouble)
    return _group_by_reason(reasons, "can't play")


def _group_by_reason(reasons: Iterable[tuple[str | None, str]], what: str) -> list[str]:
    """Return a line for each reason: the names that share it, `what` happened, the reason."""
    grouped = defaultdict[str | None, list[str]](list)
    for reason, name in reasons:
        grouped[reason].append(name)
    return [f"{', '.join(names)} {what}: {reason}" for reason, names in grouped.items()]


def printable_text(lines: Sequence[str]) -> str:
    """Return the lines as text with control characters escaped."""
    from specprof.plain import plain

    return "".join(f"{plain(line)}\n" for line in lines)
