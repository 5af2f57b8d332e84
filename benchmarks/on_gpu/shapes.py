"""Real shapes with random weights at 20k tokens: whether they fit, and what each pass takes.

Times and bytes are those of the shape. Tau is that of random weights and means nothing. The time of
a round over that of a plain step is the tau above which a trained pair of that shape would win.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import torch
from on_gpu.pairs import Pair, load_pair, shape_pair
from on_gpu.passes import time_pass
from on_gpu.rows import NEEDS_CUDA, Ask, Row, figure_row, guard_rows

from specprof.engine import record_ahead
from specprof.engine.instruments.stopwatch import Clock, Mark
from specprof.engine.run import Run
from specprof.engine.setup.warmup import warm_up
from specprof.engine.setup.wiring import wire

if TYPE_CHECKING:
    from specprof.analysis.comparison import Figure

PAIRS = (
    ("pythia-2.8b", "pythia-70m"),
    ("pythia-2.8b", "pythia-160m"),
    ("pythia-2.8b", "pythia-410m"),
    ("llama-8b", "llama-1b"),
)
REPEATS = 40
MAX_BYTES_OVER_CACHES = 1.25
"""Bytes that a pair may take beside its weights, over its caches' bytes; prefill's peak counts."""


def rows(ask: Ask) -> Iterator[Row]:
    """Yield each pair's memory, prefill, draft step, decode and verify pass, and round."""
    for target, draft in PAIRS:
        pair = shape_pair(
            ask, target, draft, context=ask.few(20_000, 48), max_new_tokens=ask.few(64, 8)
        )
        yield from guard_rows(ask, pair.name, _shape_rows(ask, pair))


def _shape_rows(ask: Ask, pair: Pair) -> Iterator[Row]:
    load_pair(pair.settings)
    before = 0
    if ask.cuda:
        torch.cuda.reset_peak_memory_stats(ask.device)
        before = torch.cuda.memory_allocated(ask.device)
    run = wire(pair.settings)
    warm_up(run)
    yield from _prefill_rows(pair, run)
    yield from _pass_rows(ask, pair, run)
    yield from _memory_rows(ask, pair, run, before)


def _prefill_rows(pair: Pair, run: Run) -> Iterator[Row]:
    clock, tokens = run.loop.parts.watch.clock, run.tokens[: pair.settings.context]
    loop = run.loop
    began = clock.mark()
    loop.target.prefill(tokens[loop.target.length : -1])
    between = clock.mark()
    loop.drafter.prefill(tokens)
    ended = clock.mark()
    of_ = f"{len(tokens)} tokens"
    yield _duration_row(clock, f"{pair.name}: prefill of the target, {of_}", began, between)
    yield _duration_row(clock, f"{pair.name}: prefill of the draft, {of_}", between, ended)


def _duration_row(clock: Clock, what: str, began: Mark, ended: Mark) -> Row:
    return Row(what=what, figure=clock.between(began, ended) / 1e6, unit="ms")


def _pass_rows(ask: Ask, pair: Pair, run: Run) -> Iterator[Row]:
    loop, depth, repeats = run.loop, pair.settings.depth, ask.few(REPEATS, 2)
    steps = {
        "draft step": (loop.drafter.draft, 1),
        "decode": (loop.target, 1),
        f"verify {depth + 1}": (loop.target, depth + 1),
    }
    took: dict[str, Figure | None] = {}
    for name, (decoder, width) in steps.items():
        took[name] = time_pass(decoder, width, repeats) if decoder else None
        yield figure_row(took[name], what=f"{pair.name}: {name}", unit="ms/pass")
    committed = list(run.tokens[: pair.settings.context])
    new = pair.settings.max_new_tokens
    record_ahead.record_next(loop)
    rounds = loop.rounds(committed, new_tokens=new, stop=frozenset())
    played = [(one.lap, len(one.emitted)) for one in rounds]  # logits would count as memory
    walls = [lap.wall_ns() for lap, _ in played]
    emitted = sum(count for _, count in played)
    plain, middle = took["decode"], float(np.median(walls)) / 1e6
    yield Row(what=f"{pair.name}: a round", figure=middle, unit="ms/round")
    yield Row(
        what=f"{pair.name}: tau",
        figure=emitted / len(played),
        unit="emitted/round",
        note=pair.note,
    )
    yield Row(
        what=f"{pair.name}: tau that breaks even",
        figure=middle / plain.value if plain else None,
        unit="round/decode",
    )


def _memory_rows(ask: Ask, pair: Pair, run: Run, before: int) -> Iterator[Row]:
    """Yield the peak of allocated bytes: over the device's memory, and less those from `before`.

    The first figure includes the models of earlier pairs.
    """
    whole, beside = f"{pair.name}: most allocated", f"{pair.name}: most allocated beside weights"
    units = "of the device", "bytes/bytes of caches"
    if not ask.cuda:
        yield Row(what=whole, unit=units[0], note=NEEDS_CUDA)
        yield Row(what=beside, unit=units[1], at_most=MAX_BYTES_OVER_CACHES, note=NEEDS_CUDA)
        return
    has = torch.cuda.get_device_properties(ask.device).total_memory
    most = torch.cuda.max_memory_allocated(ask.device)
    facts = [each.facts for each in (run.target, run.draft) if each]
    owed = run.loop.parts.capacity * sum(each.kv_bytes_per_token for each in facts)
    yield Row(what=whole, figure=most / has, unit=units[0], note=f"{most / 2**30:.3g} GiB")
    yield Row(
        what=beside,
        figure=(most - before) / owed,
        unit=units[1],
        at_most=MAX_BYTES_OVER_CACHES,
        note=f"caches {owed / 2**30:.3g} GiB",
    )
