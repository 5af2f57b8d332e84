"""What the profiler costs: the same decoding with it and without, in one interleaved run."""

from collections.abc import Iterator

from msgspec.structs import replace
from on_gpu.pairs import Pair, both
from on_gpu.rows import Ask, Bounds, Row, apart, inverse, of

from specprof.bench.contest import PEERS, entries, play
from specprof.cli._contest import figures
from specprof.cli._contest import rows as told

COSTS_AT_MOST = 1.01
SECONDS = 80.0
"""Of each contest at most, where so much is left."""


def rows(ask: Ask) -> Iterator[Row]:
    """Yield the time of a play with each level of detail over that of the same without."""
    left = 2 if ask.reduced else 3
    for pair in both(ask):
        for temperature in (0.0, 1.0)[: 1 if ask.reduced or not pair.trained else 2]:
            seconds = min(SECONDS, ask.left_s / left)
            name = f"{pair.name}, temperature {temperature:g}"
            yield from apart(ask, name, _costs(ask, pair, temperature, seconds, name))
            left -= 1


def _costs(ask: Ask, pair: Pair, temperature: float, seconds: float, name: str) -> Iterator[Row]:
    settings = replace(pair.settings, temperature=temperature)
    narrow = ask.reduced or not pair.trained
    playing = [
        each
        for each in entries(settings)
        if each.loop not in PEERS and (each.settings.path == "flat" or not narrow)
    ]
    found = play(
        playing, ask.folder, seconds=0.0 if ask.reduced else seconds, report=lambda _: None
    )
    ask.kept[name] = figures(found)
    for row, standing in zip(told(found), found.standings, strict=True):
        if standing.entry.settings.detail == "off":
            continue
        what = f"{name}: {row.name} over off"
        unit, goal = "time/time", Bounds(at_most=COSTS_AT_MOST)
        if row.over_off is None:
            yield Row(what=what, unit=unit, note=standing.trouble or "not measured", **goal)
        else:
            yield of(inverse(row.over_off), what=what, unit=unit, **goal)
    if found.stopped:
        raise KeyboardInterrupt
