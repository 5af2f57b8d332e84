"""What a round costs as the text grows, held against what its attention must do at least.

    python benchmarks/growth.py [--contexts 256 2000 8000 20000] [--seconds 240] [--threads 1]

The pocket family on this processor, by both paths, with dense caches, with a window for the draft
alone, and with windows for both models. A draft step, a verify pass over K + 1 tokens and a round's
model work (K of the first and one of the second) are timed at every context, all in one process and
one mirrored order. With them take turns what the machine can do at most: reads of just as many
bytes, in the order a round would read them, and a large matrix product.

A pass's least time is the longer of its reads, as they were timed, and its flops at the pace of the
large product. Growth is from the shortest context. The least growth is that of attention: more rows
at the pace that pass's bytes were read with, or more flops, whichever takes longer; where a window
shows hardly more rows there is none to divide by, and a time that grows all the same does so
because at the shortest context nothing is forgotten yet and rows are read as they lie. The kernel's
growth is that of torch's attention alone over the same stored rows: growth beyond it is the
engine's, and what the kernel itself takes beyond the least is not.

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
from on_cpu.due import Due, due, seen
from on_cpu.grown import OVER, Pass, Place, passes, told
from on_cpu.turns import Attention, Floats, Machine, Play, Reading, Round, repetition
from result_folder import result_folder
from stamp import RESULTS, stamp

from specprof import registry
from specprof.analysis.comparison import Figure
from specprof.analysis.paired_timing import FEWEST, median
from specprof.cli._table import ABSENT, _lines
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
RECENT = 256
"""Tokens a window keeps beside the sinks."""
CONTEXTS, REDUCED = (256, 2_000, 8_000, 20_000), (32, 96)
LEAST = 2
"""Repetitions played however short the time."""
Key = tuple[str, Place]
MUST = ("", "reads", "rows of it", "computes", "longer", "least", "kernel alone")
MUST_UNIT = ("", "MB", "MB", "Mflop", "is", "ms", "ms")
TOOK = ("", "time", "time over", "growth", "growth over", "growth over")
TOOK_UNIT = ("", "ms", "least time", "ms", "least growth", "kernel's growth")


class Bench:
    """The pair, with a store for each model, cache and context, and everybody who takes turns."""

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
        weights = due(self.target, 0, 1).weight_bytes
        self.machine = Machine(weights, heads, settings.depth + 1, reduced=reduced)
        self._fed: dict[tuple[str, str, int], dict[str, CausalModel]] = {}

    def plays(self) -> dict[Key, Play]:
        """Return everybody who takes turns, by path or part and place; fills the stores."""
        found: dict[Key, Play] = {}
        for place in self.places:
            found |= self._there(place)
        return found | {("machine", self.places[0]): self.machine}

    def _there(self, place: Place) -> dict[Key, Play]:
        depth = self.settings.depth
        caches, models = CACHES[place.caches], (self.target, self.draft)
        target, draft = (
            self._decoders(loaded, cache, place.context)
            for loaded, cache in zip(models, caches, strict=True)
        )
        found: dict[Key, Play] = {
            (path, place): Round(draft[path], target[path], depth) for path in PATHS
        }
        for each in found.values():
            each()  # what it makes once, it has made
        found["kernel", place] = Attention(
            self._attended(self.draft, draft["flat"], caches[1], 1),
            self._attended(self.target, target["flat"], caches[0], depth + 1),
            depth,
        )
        found["reads", place] = Reading(*self.dues(place), depth)
        return found

    def dues(self, place: Place) -> tuple[Due, Due]:
        """Return what the first draft step and the verify pass must do there."""
        target, draft = (self._window(cache) for cache in CACHES[place.caches])
        verify = due(self.target, place.context, self.settings.depth + 1, target)
        return due(self.draft, place.context, 1, draft), verify

    def passes(self, found: dict[Key, Floats]) -> list[Pass]:
        """Return every pass, of the [repetitions, parts] milliseconds that were played."""
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
                made += passes(path, place, self.dues(place), self.settings.depth, times)
        return made

    def limits(self, found: dict[Key, Floats]) -> dict[str, Figure | None]:
        """Return what the machine did at most, a second."""
        took = found["machine", self.places[0]]
        return {
            name: median(self.machine.amounts[number] / took[:, number] * 1e3)
            for number, name in enumerate(Machine.PARTS)
        }

    def replayed(self) -> dict[str, str | None]:
        """Return by model, cache and path why its passes were not replayed; None: they were."""
        return {
            f"{name}, {cache}, {path}": replay_status(decoder)[1]
            for (name, cache, _), decoders in self._fed.items()
            for path, decoder in decoders.items()
        }

    def _decoders(self, loaded: Loaded, cache: str, context: int) -> dict[str, CausalModel]:
        """Return a decoder for each path, all over one store that holds the text up to there."""
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
        """Return a decoder over a store, as a run would open it."""
        forwards = decide(loaded.model, store, loaded.device, settings)
        return open_decoder(loaded.model, store, loaded.device, self.vocabulary, forwards)

    def _window(self, cache: str) -> Window | None:
        return self.window if cache == WINDOW else None

    def _attended(
        self, loaded: Loaded, decoder: CausalModel, cache: str, width: int
    ) -> tuple[CausalModel, Any, int]:
        """Return what the kernel alone is given of a model: the rows its tokens see together."""
        block = read.parts(loaded.model).blocks[0]
        rows = seen(block, decoder.length, self._window(cache)) + width - 1
        return decoder, block.heads, rows


def play(plays: dict[Key, Play], *, seconds: float, takes: int) -> dict[Key, Floats]:
    """Play repetitions for `seconds`, at least two; return [repetitions, parts] milliseconds."""
    found: list[list[Floats]] = []
    gc.collect()
    gc.freeze()  # what is loaded stays: no collection in a pass need walk it again
    began = time.monotonic()
    try:
        while len(found) < LEAST or time.monotonic() - began < seconds:
            found.append(repetition(list(plays.values()), len(found) % len(plays), takes))
            took = time.monotonic() - began
            print(f"repetition {len(found)}, {took:.0f} of {seconds:g} s", file=sys.stderr)
    finally:
        gc.unfreeze()
    return {
        key: np.stack([each[number].mean(0) for each in found]) / 1e6
        for number, key in enumerate(plays)
    }


def result(bench: Bench, found: dict[Key, Floats]) -> dict[str, Any]:
    """Return all figures as JSON knows them."""
    made = bench.passes(found)
    shortest = {
        (each.path, each.place.caches, each.what): each
        for each in reversed(made)  # the first of each is of the shortest context, and stays
    }
    rows = [told(each, shortest[each.path, each.place.caches, each.what]) for each in made]
    return {
        "settings": msgspec.to_builtins(bench.settings),
        "repetitions": len(next(iter(found.values()))),
        "limits": msgspec.to_builtins(bench.limits(found)),
        "replayed": bench.replayed(),
        "passes": msgspec.to_builtins(rows),
    }


def table(whole: dict[str, Any]) -> list[str]:
    """Return the figures as lines: the machine's limits, then two blocks for each kind of caches.

    The first says what each pass must do, which is the same by both paths, the second what it took.
    """
    lines = []
    for name, each in whole["limits"].items():
        lines.append(f"{name.replace('_', ' ')}: {_figure(each, 1e-9)} x 1e9")
    for caches, (target, draft) in CACHES.items():
        rows = [each for each in whole["passes"] if each["caches"] == caches]
        rows.sort(key=lambda row: (row["context"], PATHS.index(row["path"])))
        musts = [_must(row) for row in rows if row["path"] == PATHS[0]]
        for title, heads, units, shown in (
            ("the least", MUST, MUST_UNIT, musts),
            ("what it took", TOOK, TOOK_UNIT, [_took(row) for row in rows]),
        ):
            grid = [list(column) for column in zip(heads, units, *shown, strict=True)]
            lines += ["", f"target {target}, draft {draft}: {title}", *_lines(grid)]
    count = whole["repetitions"]
    few = f"; intervals need {FEWEST}" if count < FEWEST else " [95% interval]"
    return [*lines, "", f"medians of {count} repetitions, each there and back{few}"]


def _must(row: dict[str, Any]) -> list[str]:
    rows = row["least_row_bytes"]
    return [
        f"{row['context']:,} {row['what']}",
        f"{(row['least_weight_bytes'] + rows) / 1e6:.1f}",
        f"{rows / 1e6:.1f}",
        f"{(row['least_weight_flops'] + row['least_attention_flops']) / 1e6:.1f}",
        row["bound_by"],
        _figure(row["least_ms"]),
        _figure(row["kernel_ms"]),
    ]


def _took(row: dict[str, Any]) -> list[str]:
    names = ("ms", "time_over_least_time", "growth_ms", *OVER)
    return [
        f"{row['context']:,} {row['path']} {row['what']}",
        *(_figure(row[name], bounds="over" in name) for name in names),
    ]


def _figure(figure: dict[str, Any] | None, scale: float = 1, *, bounds: bool = False) -> str:
    """Return a figure with three digits, and its interval where it has one and that is asked."""
    if figure is None:
        return ABSENT
    value, low, high = (figure[name] for name in ("value", "low", "high"))
    told_ = f"{scale * value:.3g}"
    return (
        f"{told_} [{scale * low:.3g} {scale * high:.3g}]" if bounds and low is not None else told_
    )


def main(given: Sequence[str] | None = None) -> None:
    """Measure, print the tables and write everything down; a rehearsal writes where it is told."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--contexts", type=int, nargs="+", default=None)
    parser.add_argument("--seconds", type=float, default=240.0, help="of repetitions")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--depth", type=int, default=4)
    parser.add_argument("--graphs", default="auto", help="off: nothing is replayed")
    parser.add_argument("--takes", type=int, default=3, help="rounds of a turn that count")
    parser.add_argument("--target", default="pocket/target")
    parser.add_argument("--draft", default="pocket/draft")
    parser.add_argument("--text", default=None)
    parser.add_argument("--reduced", action="store_true", help="a rehearsal; its figures are none")
    parser.add_argument("--into", type=result_folder, default=RESULTS)
    asked = parser.parse_args(given)
    contexts = asked.contexts or (REDUCED if asked.reduced else CONTEXTS)
    settings = Settings(
        target=asked.target,
        draft=asked.draft,
        text=asked.text,
        device="cpu",
        context=max(contexts),
        depth=asked.depth,
        window=REDUCED[0] if asked.reduced else RECENT,
        threads=asked.threads,
        graphs=asked.graphs,
    )
    with threads(asked.threads):
        bench = Bench(settings, contexts, reduced=asked.reduced)
        found = play(bench.plays(), seconds=asked.seconds, takes=asked.takes)
        whole = {"stamp": stamp(torch.device("cpu")), "reduced": asked.reduced}
        whole |= result(bench, found)
    lines = "\n".join(table(whole))
    print(lines)
    if asked.reduced and asked.into == RESULTS:
        return
    (asked.into / "growth.txt").write_text(lines + "\n", encoding="utf-8")
    told_ = json.dumps(whole, indent=1, ensure_ascii=False) + "\n"
    (asked.into / "growth.json").write_text(told_, encoding="utf-8")


if __name__ == "__main__":
    main()
