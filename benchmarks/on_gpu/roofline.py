"""Compare decode and verify passes with the least time to read their weights and keys."""

from collections.abc import Iterator

from msgspec.structs import replace
from on_gpu.pairs import Pair, load_pair, named_pair, shape_pair
from on_gpu.passes import count_bytes_read, floor_ms, measure_bandwidths, time_pass
from on_gpu.rows import Ask, Bounds, Row, figure_row, guard_rows

from specprof.analysis.comparison import Figure
from specprof.bench.contest import PLAIN_SETTINGS
from specprof.engine.setup.warmup import warm_up
from specprof.engine.setup.wiring import wire

MAX_TIME_OVER_FLOOR = 1.3
CONTEXTS = (512, 4096, 20_000)
REDUCED_CONTEXTS = (24, 48)
REPEATS = 60
BANDWIDTH_BOUNDS: Bounds = {"at_least": 0.95, "at_most": 1.05}


def rows(ask: Ask) -> Iterator[Row]:
    """Yield passes of one token and of K + 1 over their floor, by context, model and path."""
    quick, long = measure_bandwidths(ask.device, reduced=ask.reduced)
    yield Row(what="bandwidth by a long copy", figure=long / 1e9, unit="GB/s")
    yield Row(
        what="the header's bandwidth over that",
        figure=quick / long,
        unit="bytes/bytes",
        **BANDWIDTH_BOUNDS,
    )
    fastest = max(quick, long)  # the harder floor
    deepest = CONTEXTS[-1] if not ask.reduced else REDUCED_CONTEXTS[-1]
    for pair in (
        named_pair(ask, context=deepest),
        shape_pair(ask, "pythia-2.8b", "pythia-160m", context=deepest),
        shape_pair(ask, "llama-8b", "llama-1b", context=deepest),
    ):
        yield from guard_rows(ask, pair.name, _rows_by_path(ask, pair, fastest))


def _rows_by_path(ask: Ask, pair: Pair, bytes_per_s: float) -> Iterator[Row]:
    load_pair(pair.settings)
    for path in ("flat", "modules"):
        yield from _rows_by_context(ask, pair, path, bytes_per_s)


def _rows_by_context(ask: Ask, pair: Pair, path: str, bytes_per_s: float) -> Iterator[Row]:
    settings = replace(pair.settings, **PLAIN_SETTINGS, path=path)
    run = wire(settings)
    warm_up(run)
    decoder, loaded = run.loop.target, run.target
    for context in REDUCED_CONTEXTS if ask.reduced else CONTEXTS:
        decoder.prefill(run.tokens[decoder.length : context])
        for name, width in (("decode", 1), (f"verify {ask.settings().depth + 1}", None)):
            fed = width or ask.settings().depth + 1
            took = time_pass(decoder, fed, ask.few(REPEATS, 2))
            floor = floor_ms(loaded, context, bytes_per_s)
            read = count_bytes_read(loaded, context) / 1e9
            owed = {"at_most": MAX_TIME_OVER_FLOOR} if not pair.trained and path == "flat" else {}
            yield figure_row(
                _divide(took, floor),
                what=f"{pair.name.partition(' ')[0]} {path}, {context}: {name}",
                unit="time/floor",
                note=f"floor {floor:.3g} ms, {read:.3g} GB",
                **owed,
            )


def _divide(took: Figure | None, floor: float) -> Figure | None:
    """Return a time divided by its floor."""
    if took is None:
        return None
    low = None if took.low is None else took.low / floor
    high = None if took.high is None else took.high / floor
    return Figure(took.value / floor, low, high, took.n)
