"""Shows a contest: one table, fitted to the screen, or the same figures as JSON."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from specprof.cli._table import ABSENT, _lines

if TYPE_CHECKING:
    from specprof.analysis.comparison import Figure
    from specprof.bench.contest import Contest, Standing, Strayed

SCHEMA = "specprof.bench/1"
VARIED = ("path", "graphs", "detail", "cache", "draft_cache")
"""Settings that tell entries apart; the first three are ours alone."""
HEADS = ("", "emitted", "speed", "speed", "speed", "tau")
UNDER = ("", "/second", "over generate", "over assisted", "over own off", "/round")


@dataclass(frozen=True, slots=True)
class Row:
    """One entry's figures; None is not known."""

    name: str
    emitted_per_second: "Figure | None" = None
    over_generate: "Figure | None" = None
    over_assisted: "Figure | None" = None
    over_off: "Figure | None" = None
    """Over the same loop without a profiler; None of that itself, and of peers."""
    tau: float | None = None


def rows(found: "Contest") -> list[Row]:
    """Return each entry's figures, over the first entry of each peer's loop."""
    peers = {
        loop: next((one for one in found.standings if one.entry.loop == loop), None)
        for loop in ("generate", "assisted")
    }
    return [
        Row(
            name=each.entry.name,
            emitted_per_second=_rate(found, each),
            over_generate=_over(each, peers["generate"]),
            over_assisted=_over(each, peers["assisted"]),
            over_off=_over(each, _without_profiler(found, each)),
            tau=_tau(each),
        )
        for each in found.standings
    ]


def table(found: "Contest") -> list[str]:
    """Return the table's lines, and below it what a reader must know to read it."""
    told = rows(found)
    grid = [
        ["", "", *(each.name for each in told)],
        [HEADS[1], UNDER[1], *(_speed(each.emitted_per_second) for each in told)],
    ]
    for place, name in enumerate(("over_generate", "over_assisted", "over_off"), start=2):
        grid.append([HEADS[place], UNDER[place], *(_ratio(getattr(each, name)) for each in told)])
    taus = [ABSENT if each.tau is None else f"{each.tau:.2f}" for each in told]
    grid.append([HEADS[-1], UNDER[-1], *taus])
    return [*_lines(grid), "", *notes(found)]


def notes(found: "Contest") -> list[str]:
    """Return who played for what, and what must be said of the figures."""
    told = [_pairing(found), *_measured(found), *_agreement(found)]
    return [*told, *_replayed(found), *_absent(found)]


def document(found: "Contest", **more: object) -> str:
    """Return the contest as one JSON document: figures, times of every play, what strayed."""
    import msgspec

    from specprof.plain import as_json, escape_json

    whole = {"schema": SCHEMA, **more, **figures(found)}
    return escape_json(msgspec.json.format(as_json(whole), indent=2)).decode() + "\n"


def figures(found: "Contest") -> dict[str, object]:
    """Return what was found, as JSON knows it."""
    import msgspec

    cells = [
        {
            **msgspec.to_builtins(row),
            "loop": each.entry.loop,
            **{field: getattr(each.entry.settings, field) for field in VARIED},
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


def _rate(found: "Contest", standing: "Standing") -> "Figure | None":
    from specprof.analysis.paired_timing import per_second

    return per_second(found.settings.max_new_tokens, _times(standing))


def _over(standing: "Standing", base: "Standing | None") -> "Figure | None":
    from specprof.analysis.paired_timing import faster

    if base is None or base is standing or not base.bouts:
        return None
    return faster(_times(standing), _times(base))


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


def _speed(figure: "Figure | None") -> str:
    if figure is None:
        return ABSENT
    return _bounded(figure, ".0f" if figure.value >= 100 else ".1f")  # noqa: PLR2004 - three digits


def _ratio(figure: "Figure | None") -> str:
    return ABSENT if figure is None else _bounded(figure, ".2f")


def _bounded(figure: "Figure", form: str) -> str:
    if figure.low is None or figure.high is None:
        return format(figure.value, form)
    return f"{figure.value:{form}} [{figure.low:{form}} {figure.high:{form}}]"


def _pairing(found: "Contest") -> str:
    asked = found.settings
    law = f"temperature {asked.temperature:g}" if asked.temperature else "greedy"
    return (
        f"{asked.target} with {asked.draft}, {law}: {asked.max_new_tokens} tokens after "
        f"{asked.context:,} held in the caches; {found.device}, {found.dtype}"
    )


def _measured(found: "Contest") -> list[str]:
    from specprof.analysis.paired_timing import FEWEST

    ended = ", stopped by the user" if found.stopped else ""
    told = f"medians of {found.repetitions} repetitions in {found.seconds:.0f} s{ended}, each there"
    few = found.repetitions < FEWEST
    bounds = f"; intervals need {FEWEST}: give more --seconds" if few else "; [95% interval]"
    lines = [f"{told} and back{bounds}"]
    if found.device != "cpu":
        return lines
    taken = defaultdict[int, list[str]](list)
    for each in found.standings:
        if each.threads:
            taken[each.threads].append(each.entry.name)
    counts = sorted(taken)
    if len(counts) == 1:
        return [*lines, f"threads: {counts[0]}"]
    told = "; ".join(f"{count}: {', '.join(taken[count])}" for count in counts)
    return [*lines, f"threads, each as measured fastest: {told}"]


def _agreement(found: "Contest") -> list[str]:
    """Say whether greedy tokens are the same ones."""
    played = [each for each in found.standings if each.bouts]
    if any(each.entry.settings.temperature for each in played):
        return ["sampled: everybody draws tokens of its own, others in each play"]
    strayed = [(each, each.strayed) for each in played if each.strayed]
    lines = [_told(each.entry.name, found_) for each, found_ in strayed]
    laws = {_law(each) for each in played}
    by = "everybody" if len(laws) == 1 else "everybody with the same target cache"
    return lines or [f"{by} emitted the same {found.settings.max_new_tokens} tokens in every play"]


def _law(standing: "Standing") -> object:
    from specprof.bench.contest import law

    return law(standing.entry.settings)


def _told(name: str, strayed: "Strayed") -> str:
    place = f"{name} leaves the tokens of {strayed.of} after {strayed.at}"
    if strayed.gap is None:
        return f"OTHER TOKENS: {place}"
    apart = f"logits {strayed.gap:.2g} of their standard deviation apart"
    return f"{place}: a near tie, {apart}" if strayed.tie else f"OTHER TOKENS: {place}, {apart}"


def _replayed(found: "Contest") -> list[str]:
    """Say what the eager entries are for, and whose short forwards could not be replayed."""
    ours = [each for each in found.standings if each.bouts and each.replayed is not None]
    lines = list[str]()
    if any(each.entry.settings.graphs == "off" for each in ours):
        lines.append("eager: off, and no short forward replayed; the others of ours replay them")
    asked = [each for each in ours if each.entry.settings.graphs != "off"]
    why = {each.unreplayed for each in asked}
    if len(why) == 1 and None not in why:
        return [*lines, f"but nobody can replay them: {why.pop()}"]
    told = ((each.unreplayed, each.entry.name) for each in asked if each.unreplayed)
    return [*lines, *_together(told, "can't replay them all")]


def _absent(found: "Contest") -> list[str]:
    """Return why entries didn't play, those with the same reason on one line."""
    told = ((each.trouble, each.entry.name) for each in found.standings if each.trouble)
    return _together(told, "can't play")


def _together(told: Iterable[tuple[str | None, str]], what: str) -> list[str]:
    """Return a line a reason: the names that share it, what befell them, and the reason."""
    reasons = defaultdict[str | None, list[str]](list)
    for reason, name in told:
        reasons[reason].append(name)
    return [f"{', '.join(names)} {what}: {reason}" for reason, names in reasons.items()]


def shown(lines: Sequence[str]) -> str:
    """Return lines fit to print anywhere."""
    from specprof.plain import plain

    return "".join(f"{plain(line)}\n" for line in lines)
