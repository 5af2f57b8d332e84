"""Measure what the profiler costs: decoding with it and without, in one interleaved run."""

from collections.abc import Iterator

from msgspec.structs import replace
from on_gpu.pairs import Pair, list_pairs
from on_gpu.rows import Ask, Bounds, Row, figure_row, guard_rows, invert

from specprof.bench.contest import PEERS, entries, play
from specprof.cli._contest import figures
from specprof.cli._contest import rows as told

MAX_COST_RATIO = 1.01
MAX_CONTEST_SECONDS = 80.0
"""Time for each contest, if so much is left."""


def rows(ask: Ask) -> Iterator[Row]:
    """Yield the time of a play at each level of detail over the time of a play without."""
    left = 2 if ask.reduced else 3
    for pair in list_pairs(ask):
        for temperature in (0.0, 1.0)[: 1 if ask.reduced or not pair.trained else 2]:
            seconds = min(MAX_CONTEST_SECONDS, ask.left_s / left)
            name = f"{pair.name}, temperature {temperature:g}"
            yield from guard_rows(ask, name, _cost_rows(ask, pair, temperature, seconds, name))
            left -= 1


def _cost_rows(
    ask: Ask, pair: Pair, temperature: float, seconds: float, name: str
) -> Iterator[Row]:
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
        unit, goal = "time/time", Bounds(at_most=MAX_COST_RATIO)
        if row.over_off is None:
            yield Row(what=what, unit=unit, note=standing.trouble or "not measured", **goal)
        else:
            yield figure_row(invert(row.over_off), what=what, unit=unit, **goal)
    if found.stopped:
        raise KeyboardInterrupt
