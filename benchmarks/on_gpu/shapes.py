"""Real shapes with random weights at 20k tokens: whether they fit, and what each pass takes.

Times and bytes are those of the shape; tau is that of random weights and means nothing. What a
round takes over a plain step is the tau from which a trained pair of that shape would win.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import torch
from on_gpu.pairs import Pair, ready, shaped
from on_gpu.passes import pass_ms
from on_gpu.rows import NEEDS_CUDA, Ask, Row, apart, of

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
ROOM = 1.25
"""Times its caches' bytes a pair may take beside its weights, a prefill's passing ones included."""


def rows(ask: Ask) -> Iterator[Row]:
    """Yield memory, prefill, draft step, decode and verify pass, and a round of each pair."""
    for target, draft in PAIRS:
        pair = shaped(
            ask, target, draft, context=ask.few(20_000, 48), max_new_tokens=ask.few(64, 8)
        )
        yield from apart(ask, pair.name, _shape(ask, pair))


def _shape(ask: Ask, pair: Pair) -> Iterator[Row]:
    ready(pair.settings)
    before = 0
    if ask.cuda:
        torch.cuda.reset_peak_memory_stats(ask.device)
        before = torch.cuda.memory_allocated(ask.device)
    run = wire(pair.settings)
    warm_up(run)
    yield from _prefills(pair, run)
    yield from _passes(ask, pair, run)
    yield from _fits(ask, pair, run, before)


def _prefills(pair: Pair, run: Run) -> Iterator[Row]:
    clock, tokens = run.loop.parts.watch.clock, run.tokens[: pair.settings.context]
    loop = run.loop
    began = clock.mark()
    loop.target.prefill(tokens[loop.target.length : -1])
    between = clock.mark()
    loop.drafter.prefill(tokens)
    ended = clock.mark()
    of_ = f"{len(tokens)} tokens"
    yield _lasted(clock, f"{pair.name}: prefill of the target, {of_}", began, between)
    yield _lasted(clock, f"{pair.name}: prefill of the draft, {of_}", between, ended)


def _lasted(clock: Clock, what: str, began: Mark, ended: Mark) -> Row:
    return Row(what=what, figure=clock.between(began, ended) / 1e6, unit="ms")


def _passes(ask: Ask, pair: Pair, run: Run) -> Iterator[Row]:
    loop, depth, repeats = run.loop, pair.settings.depth, ask.few(REPEATS, 2)
    steps = {
        "draft step": (loop.drafter.draft, 1),
        "decode": (loop.target, 1),
        f"verify {depth + 1}": (loop.target, depth + 1),
    }
    took: dict[str, Figure | None] = {}
    for name, (decoder, width) in steps.items():
        took[name] = pass_ms(decoder, width, repeats) if decoder else None
        yield of(took[name], what=f"{pair.name}: {name}", unit="ms/pass")
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


def _fits(ask: Ask, pair: Pair, run: Run, before: int) -> Iterator[Row]:
    """Yield the most that was allocated: of the device, and beside what was so `before`.

    The first counts the models of the pairs before this one as well.
    """
    whole, beside = f"{pair.name}: most allocated", f"{pair.name}: most allocated beside weights"
    units = "of the device", "bytes/bytes of caches"
    if not ask.cuda:
        yield Row(what=whole, unit=units[0], note=NEEDS_CUDA)
        yield Row(what=beside, unit=units[1], at_most=ROOM, note=NEEDS_CUDA)
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
        at_most=ROOM,
        note=f"caches {owed / 2**30:.3g} GiB",
    )
