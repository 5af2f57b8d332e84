"""Measure what a round costs as the text grows, and compare it with its attention's least work.

    python benchmarks/growth.py [--contexts 256 2000 8000 20000] [--seconds 240] [--threads 1]

The pocket family runs on this processor, by both paths, with dense caches, with a window for the
draft alone, and with windows for both models. A draft step, a verify pass over K + 1 tokens and a
round's model work (K of the first and one of the second) are timed at every context, all in one
process and one mirrored order. The machine's limits are timed in the same order: reads of just as
many bytes, in the order a round would read them, and a large matrix product.

A pass's least time is the longer of two times: that of its reads, as measured, and that of its
flops at the pace of the large product. Growth is from the shortest context. The least growth is
that of attention alone: the longer time of its further rows at the pace of that pass's reads, and
of its further flops. With a window there are hardly more rows, so there is no least growth to
divide by. A time may still grow there, because at the shortest context nothing is evicted yet and
rows are read in place. The kernel's growth is that of torch's attention alone over the same stored
rows. Growth beyond it is the engine's; what the kernel takes beyond the least is not.

Writes benchmarks/results/growth.json and .txt.
"""

import argparse
import gc
import json
import sys
import time
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import torch
from on_cpu.due import LeastWork, count_seen_rows, least_work
from on_cpu.grown import RATIO_NAMES, Pass, Place, make_passes, summarise_pass
from on_cpu.turns import Attention, Floats, Machine, Play, Reading, Round, play_repetition
from result_folder import result_folder
from stamp import RESULTS, stamp

from specprof import registry
from specprof.analysis.comparison import Figure
from specprof.analysis.paired_timing import MIN_REPETITIONS, median
from specprof.cli._table import MISSING_TEXT, align_columns
from specprof.engine.decoder import CausalModel
from specprof.engine.flat import read
from specprof.engine.instruments.threads import threads
from specprof.engine.replay.decision import decide, open_decoder, replay_status
from specprof.engine.setup import loading
from specprof.engine.setup.loading import Loaded
from specprof.engine.setup.wiring import document
from specprof.engine.stores.dense import Store
from specprof.engine.stores.window import Window
from specprof.extend import Cache
from specprof.settings import ForwardPath, Settings

DENSE, WINDOW = "dense", "sink-window"
CACHES = {
    "dense": (DENSE, DENSE),
    "window draft": (DENSE, WINDOW),
    "windows": (WINDOW, WINDOW),
}
"""The target's cache and the draft's."""
PATHS: tuple[ForwardPath, ...] = ("flat", "modules")
WINDOW_TOKENS = 256
"""Tokens that a window keeps beside the sinks."""
CONTEXTS, REDUCED_CONTEXTS = (256, 2_000, 8_000, 20_000), (32, 96)
MIN_PLAYED = 2
"""Repetitions that are played even if time is short."""
Key = tuple[str, Place]
LEAST_HEADS = ("", "reads", "rows of it", "computes", "longer", "least", "kernel alone")
LEAST_UNITS = ("", "MB", "MB", "Mflop", "is", "ms", "ms")
TIME_HEADS = ("", "time", "time over", "growth", "growth over", "growth over")
TIME_UNITS = ("", "ms", "least time", "ms", "least growth", "kernel's growth")


class Bench:
    """The pair, with a store for each model, cache and context, and all plays to be timed."""

    def __init__(self, settings: Settings, contexts: Sequence[int], *, reduced: bool) -> None:
        device = torch.device("cpu")
        self.settings = settings
        self.window = Window(settings.sinks, settings.window, settings.block)
        self.target = loading.load(settings.target, settings, device)
        self.draft = loading.load(settings.draft or settings.target, settings, device)
        self.vocabulary = loading.shared_vocabulary(self.target, self.draft)
        self.tokens = document(settings, self.target)[0]
        self.places = [Place(caches, context) for caches in CACHES for context in sorted(contexts)]
        heads = read.parts(self.target.model).blocks[0].heads
        weights = least_work(self.target, 0, 1).weight_bytes
        self.machine = Machine(weights, heads, settings.depth + 1, reduced=reduced)
        self._fed: dict[tuple[str, str, int], dict[str, CausalModel]] = {}

    def make_plays(self) -> dict[Key, Play]:
        """Fill the stores; return all plays to be timed, by path or part and place."""
        found: dict[Key, Play] = {}
        for place in self.places:
            found |= self._make_plays_at(place)
        return found | {("machine", self.places[0]): self.machine}

    def _make_plays_at(self, place: Place) -> dict[Key, Play]:
        depth = self.settings.depth
        caches, models = CACHES[place.caches], (self.target, self.draft)
        target, draft = (
            self._open_decoders(loaded, cache, place.context)
            for loaded, cache in zip(models, caches, strict=True)
        )
        found: dict[Key, Play] = {
            (path, place): Round(draft[path], target[path], depth) for path in PATHS
        }
        for each in found.values():
            each()  # so that nothing is made for the first time while it is timed
        found["kernel", place] = Attention(
            self._kernel_inputs(self.draft, draft["flat"], caches[1], 1),
            self._kernel_inputs(self.target, target["flat"], caches[0], depth + 1),
            depth,
        )
        found["reads", place] = Reading(*self.least_works(place), depth)
        return found

    def least_works(self, place: Place) -> tuple[LeastWork, LeastWork]:
        """Return the least work of the first draft step and of the verify pass at a place."""
        target, draft = (self._window(cache) for cache in CACHES[place.caches])
        verify = least_work(self.target, place.context, self.settings.depth + 1, target)
        return least_work(self.draft, place.context, 1, draft), verify

    def make_passes(self, found: dict[Key, Floats]) -> list[Pass]:
        """Return every pass, made from [repetitions, parts] milliseconds."""
        matmul = Machine.PARTS.index("matmul_flops_per_s")
        pace = found["machine", self.places[0]][:, matmul] / self.machine.amounts[matmul]
        made = []
        for place in self.places:
            for path in PATHS:
                times = {
                    "took": found[path, place],
                    "kernel": found["kernel", place],
                    "reads": found["reads", place],
                    "ms_per_flop": pace,
                }
                made += make_passes(
                    path, place, self.least_works(place), self.settings.depth, times
                )
        return made

    def measure_limits(self, found: dict[Key, Floats]) -> dict[str, Figure | None]:
        """Return the machine's limits, in bytes or flops per second."""
        took = found["machine", self.places[0]]
        return {
            name: median(self.machine.amounts[number] / took[:, number] * 1e3)
            for number, name in enumerate(Machine.PARTS)
        }

    def explain_replays(self) -> dict[str, str | None]:
        """Return by model, cache and path why passes were not replayed; None if they were."""
        return {
            f"{name}, {cache}, {path}": replay_status(decoder)[1]
            for (name, cache, _), decoders in self._fed.items()
            for path, decoder in decoders.items()
        }

    def _open_decoders(self, loaded: Loaded, cache: str, context: int) -> dict[str, CausalModel]:
        """Return a decoder for each path, over one store with `context` tokens of the text."""
        key = loaded.facts.name, cache, context
        if key not in self._fed:
            settings = msgspec.structs.replace(self.settings, context=context)
            kind = registry.get(Cache, cache)(settings)
            store = kind.open(loaded.model, context + settings.depth + 1)
            self._fed[key] = {
                path: self._open(loaded, store, msgspec.structs.replace(settings, path=path))
                for path in PATHS
            }
            print(f"{loaded.facts.name}, {cache}: {context:,} tokens", file=sys.stderr, flush=True)
            self._fed[key]["flat"].prefill(self.tokens[:context])
        return self._fed[key]

    def _open(self, loaded: Loaded, store: Store, settings: Settings) -> CausalModel:
        """Return a decoder over a store, opened as a run opens it."""
        forwards = decide(loaded.model, store, loaded.device, settings)
        return open_decoder(loaded.model, store, loaded.device, self.vocabulary, forwards)

    def _window(self, cache: str) -> Window | None:
        return self.window if cache == WINDOW else None

    def _kernel_inputs(
        self, loaded: Loaded, decoder: CausalModel, cache: str, width: int
    ) -> tuple[CausalModel, Any, int]:
        """Return the kernel's inputs: a decoder, its heads, and the rows that its tokens see."""
        block = read.parts(loaded.model).blocks[0]
        rows = count_seen_rows(block, decoder.length, self._window(cache)) + width - 1
        return decoder, block.heads, rows


def play(plays: dict[Key, Play], *, seconds: float, takes: int) -> dict[Key, Floats]:
    """Play repetitions for `seconds`, at least two; return [repetitions, parts] milliseconds."""
    found: list[list[Floats]] = []
    gc.collect()
    gc.freeze()  # what is loaded stays, so that no collection in a pass walks it again
    began = time.monotonic()
    try:
        while len(found) < MIN_PLAYED or time.monotonic() - began < seconds:
            found.append(play_repetition(list(plays.values()), len(found) % len(plays), takes))
            took = time.monotonic() - began
            print(f"repetition {len(found)}, {took:.0f} of {seconds:g} s", file=sys.stderr)
    finally:
        gc.unfreeze()
    return {
        key: np.stack([each[number].mean(0) for each in found]) / 1e6
        for number, key in enumerate(plays)
    }


def summarise(bench: Bench, found: dict[Key, Floats]) -> dict[str, Any]:
    """Return all figures as JSON values."""
    made = bench.make_passes(found)
    shortest = {
        (each.path, each.place.caches, each.what): each
        for each in reversed(made)  # the shortest context comes first, so it is written last
    }
    rows = [
        summarise_pass(each, shortest[each.path, each.place.caches, each.what]) for each in made
    ]
    return {
        "settings": msgspec.to_builtins(bench.settings),
        "repetitions": len(next(iter(found.values()))),
        "limits": msgspec.to_builtins(bench.measure_limits(found)),
        "replayed": bench.explain_replays(),
        "passes": msgspec.to_builtins(rows),
    }


def table(whole: dict[str, Any]) -> list[str]:
    """Return the figures as lines: the machine's limits, then two blocks for each kind of caches.

    The first block has each pass's least work, which is equal for both paths; the second its times.
    """
    lines = []
    for name, each in whole["limits"].items():
        lines.append(f"{name.replace('_', ' ')}: {_format_figure(each, 1e-9)} x 1e9")
    for caches, (target, draft) in CACHES.items():
        rows = [each for each in whole["passes"] if each["caches"] == caches]
        rows.sort(key=lambda row: (row["context"], PATHS.index(row["path"])))
        musts = [_least_cells(row) for row in rows if row["path"] == PATHS[0]]
        for title, heads, units, shown in (
            ("the least", LEAST_HEADS, LEAST_UNITS, musts),
            ("what it took", TIME_HEADS, TIME_UNITS, [_time_cells(row) for row in rows]),
        ):
            grid = [list(column) for column in zip(heads, units, *shown, strict=True)]
            lines += ["", f"target {target}, draft {draft}: {title}", *align_columns(grid)]
    count = whole["repetitions"]
    few = f"; intervals need {MIN_REPETITIONS}" if count < MIN_REPETITIONS else " [95% interval]"
    return [*lines, "", f"medians of {count} repetitions, each there and back{few}"]


def _least_cells(row: dict[str, Any]) -> list[str]:
    rows = row["least_row_bytes"]
    return [
        f"{row['context']:,} {row['what']}",
        f"{(row['least_weight_bytes'] + rows) / 1e6:.1f}",
        f"{rows / 1e6:.1f}",
        f"{(row['least_weight_flops'] + row['least_attention_flops']) / 1e6:.1f}",
        row["bound_by"],
        _format_figure(row["least_ms"]),
        _format_figure(row["kernel_ms"]),
    ]


def _time_cells(row: dict[str, Any]) -> list[str]:
    names = ("ms", "time_over_least_time", "growth_ms", *RATIO_NAMES)
    return [
        f"{row['context']:,} {row['path']} {row['what']}",
        *(_format_figure(row[name], bounds="over" in name) for name in names),
    ]


def _format_figure(figure: dict[str, Any] | None, scale: float = 1, *, bounds: bool = False) -> str:
    """Return a figure with three digits; with `bounds` its interval too, if it has one."""
    if figure is None:
        return MISSING_TEXT
    value, low, high = (figure[name] for name in ("value", "low", "high"))
    text = f"{scale * value:.3g}"
    return f"{text} [{scale * low:.3g} {scale * high:.3g}]" if bounds and low is not None else text


def main(given: Sequence[str] | None = None) -> None:
    """Measure, print the tables and write all figures; a rehearsal writes only with --into."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--contexts", type=int, nargs="+", default=None)
    parser.add_argument("--seconds", type=float, default=240.0, help="of repetitions")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--depth", type=int, default=4)
    parser.add_argument("--graphs", default="auto", help="off: nothing is replayed")
    parser.add_argument("--takes", type=int, default=3, help="counted rounds of a turn")
    parser.add_argument("--target", default="pocket/target")
    parser.add_argument("--draft", default="pocket/draft")
    parser.add_argument("--text", default=None)
    parser.add_argument(
        "--reduced", action="store_true", help="a rehearsal; its figures mean nothing"
    )
    parser.add_argument("--into", type=result_folder, default=RESULTS)
    asked = parser.parse_args(given)
    contexts = asked.contexts or (REDUCED_CONTEXTS if asked.reduced else CONTEXTS)
    settings = Settings(
        target=asked.target,
        draft=asked.draft,
        text=asked.text,
        device="cpu",
        context=max(contexts),
        depth=asked.depth,
        window=REDUCED_CONTEXTS[0] if asked.reduced else WINDOW_TOKENS,
        threads=asked.threads,
        graphs=asked.graphs,
    )
    with threads(asked.threads):
        bench = Bench(settings, contexts, reduced=asked.reduced)
        found = play(bench.make_plays(), seconds=asked.seconds, takes=asked.takes)
        whole = {"stamp": stamp(torch.device("cpu")), "reduced": asked.reduced}
        whole |= summarise(bench, found)
    lines = "\n".join(table(whole))
    print(lines)
    if asked.reduced and asked.into == RESULTS:
        return
    (asked.into / "growth.txt").write_text(lines + "\n", encoding="utf-8")
    text = json.dumps(whole, indent=1, ensure_ascii=False) + "\n"
    (asked.into / "growth.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
