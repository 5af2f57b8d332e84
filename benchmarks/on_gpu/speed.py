"""Compare decoding speed: transformers' own loops and ours, by both paths, interleaved."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from msgspec.structs import replace
from on_gpu.pairs import Pair, load_pair, named_pair, shape_pair
from on_gpu.rows import Ask, Row, figure_row, guard_rows

from specprof.bench.contest import PEERS, Standing, entries, play
from specprof.cli._contest import Row as Told
from specprof.cli._contest import figures
from specprof.cli._contest import rows as told

if TYPE_CHECKING:
    from specprof.analysis.comparison import Figure

MIN_SPEED_OVER_ASSISTED = 2.0
"""The goal for our speculative flat path over transformers' assisted generation."""
MAX_CONTEST_SECONDS = 70.0
"""Time for each contest, if so much is left."""
LEVELS = ("off", "evidence")


def rows(ask: Ask) -> Iterator[Row]:
    """Yield our loops' speed over transformers', on the named pair and on real shapes."""
    contests = [
        (named_pair(ask), 0.0),
        (named_pair(ask), 1.0),
        (named_pair(ask, context=ask.few(4096, 48)), 0.0),
        (shape_pair(ask, "pythia-2.8b", "pythia-160m", max_new_tokens=ask.few(24, 8)), 0.0),
        (shape_pair(ask, "llama-8b", "llama-1b", max_new_tokens=ask.few(24, 8)), 0.0),
    ]
    if ask.reduced:
        contests = contests[-1:]
    for left, (pair, temperature) in zip(range(len(contests), 0, -1), contests, strict=True):
        seconds = 0.0 if ask.reduced else min(MAX_CONTEST_SECONDS, ask.left_s / (left + 1))
        name = f"{pair.name}, {pair.settings.context} tokens, temperature {temperature:g}"
        yield from guard_rows(ask, name, _contest_rows(ask, pair, temperature, seconds, name))


def _contest_rows(
    ask: Ask, pair: Pair, temperature: float, seconds: float, name: str
) -> Iterator[Row]:
    settings = replace(pair.settings, temperature=temperature)
    load_pair(settings)
    playing = [each for each in entries(settings) if each.settings.detail in LEVELS]
    found = play(playing, ask.folder, seconds=seconds, report=lambda _: None)
    ask.kept[name] = figures(found)
    for row, standing in zip(told(found), found.standings, strict=True):
        if standing.entry.loop in PEERS:
            yield _peer_row(name, row, standing)
        else:
            yield from _our_rows(name, row, standing, pair)
    if found.stopped:
        raise KeyboardInterrupt


def _peer_row(name: str, row: Told, standing: Standing) -> Row:
    what = f"{name}: {row.name}"
    return figure_row(
        row.emitted_per_second, what=what, unit="emitted/s", note=standing.trouble or ""
    )


def _our_rows(name: str, row: Told, standing: Standing, pair: Pair) -> Iterator[Row]:
    what, entry = f"{name}: {row.name}", standing.entry
    ratios: list[tuple[str, Figure | None]] = [("generate", row.over_generate)]
    if entry.loop == "speculative":
        ratios.append(("assisted", row.over_assisted))
        yield Row(what=f"{what}, tau", figure=row.tau, unit="emitted/round", note=pair.note)
    for peer, figure in ratios:
        owed = peer == "assisted" and entry.settings.path == "flat"
        yield figure_row(
            figure,
            what=f"{what} over {peer}",
            unit="speed/speed",
            note=standing.trouble or ("" if figure else f"{peer} did not play"),
            **({"at_least": MIN_SPEED_OVER_ASSISTED} if owed else {}),
        )
    strayed = standing.strayed
    if strayed:
        yield Row(
            what=f"{what}: tokens part from those of {strayed.of} by",
            figure=strayed.gap,
            unit="deviations",
            at_most=None if strayed.tie else 0.0,
            anywhere=True,
            note="a near tie" if strayed.tie else f"OTHER TOKENS, after {strayed.at}",
        )
