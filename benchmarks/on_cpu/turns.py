"""What is timed in turns: rounds of passes, their attention alone, and the machine's limits.

Each is a call that returns nanoseconds of a few parts. All are played in one mirrored order,
A B C C B A, so that drift affects all equally; the next repetition begins with B.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from on_cpu.due import LeastWork
from torch.nn.functional import scaled_dot_product_attention

from specprof.engine.decoder import CausalModel
from specprof.engine.flat.parts import Heads
from specprof.engine.replay.model import ReplayedModel

Floats = NDArray[np.float64]
Play = Callable[[], Sequence[float]]
"""Does its work once, and returns the nanoseconds of each of its parts."""
PASSES = ("draft step", "verify pass", "round")
"""The draft's pass over one token, the target's over K + 1, and K of the first with one second."""
now = time.perf_counter_ns


def time_parts(depth: int, step: Callable[[], object], verify: Callable[[], object]) -> list[float]:
    """Do a round's work in order; return nanoseconds of a draft step, of verify and of all."""
    begun = now()
    for _ in range(depth):
        step()
    drafted = now()
    verify()
    ended = now()
    return [(drafted - begun) / depth, ended - drafted, ended - begun]


@dataclass(frozen=True, slots=True)
class Round:
    """A round's passes by two decoders, which are rolled back afterwards."""

    draft: CausalModel
    target: CausalModel
    depth: int

    def __call__(self) -> list[float]:
        """Return nanoseconds of `PASSES`."""
        one, many = torch.ones(1, dtype=torch.int64), torch.ones(self.depth + 1, dtype=torch.int64)
        for decoder, widths in ((self.draft, [1]), (self.target, [self.depth + 1])):
            if isinstance(decoder, ReplayedModel):
                decoder.record_widths(widths)
        lengths = self.draft.length, self.target.length
        took = time_parts(self.depth, lambda: self.draft.feed(one), lambda: self.target.feed(many))
        self.draft.rollback(lengths[0])
        self.target.rollback(lengths[1])
        return took


class Attention:
    """A round's attention alone: torch's kernel over the decoders' own stored rows."""

    def __init__(
        self,
        draft: tuple[CausalModel, Heads, int],
        target: tuple[CausalModel, Heads, int],
        depth: int,
    ) -> None:
        """Take for each model a fed decoder, its heads, and the number of rows a token sees."""
        self.depth = depth
        self.draft = _make_attention(*draft, width=1)
        self.target = _make_attention(*target, width=depth + 1)

    def __call__(self) -> list[float]:
        """Return nanoseconds of attention in `PASSES`."""
        return time_parts(self.depth, self.draft, self.target)


def _make_attention(
    decoder: CausalModel, heads: Heads, seen: int, *, width: int
) -> Callable[[], None]:
    """Return a call that attends in every layer from `width` tokens to the last `seen` rows."""
    store = decoder.store
    end = store.length - store.dropped + width
    rows = [
        (each.keys[:, :, max(end - seen, 0) : end], each.values[:, :, max(end - seen, 0) : end])
        for each in store.layers
    ]
    queries = torch.ones(1, heads.queries, width, heads.size, dtype=rows[0][0].dtype)
    mask = queries.new_zeros(width, rows[0][0].shape[2]) if width > 1 else None
    shared = heads.keys != heads.queries

    @torch.inference_mode()
    def attend() -> None:
        for keys, values in rows:
            scaled_dot_product_attention(
                queries, keys, values, mask, scale=heads.scale, enable_gqa=shared
            )

    return attend


class Reading:
    """Reads as many bytes as a round's passes must, in their order, by sums: pure reads."""

    def __init__(self, draft: LeastWork, target: LeastWork, depth: int) -> None:
        self.depth = depth
        self.draft = torch.ones(draft.read_bytes // 4)
        self.target = torch.ones(target.read_bytes // 4)

    def __call__(self) -> list[float]:
        """Return nanoseconds of reading the bytes of `PASSES`."""
        return time_parts(self.depth, self.draft.sum, self.target.sum)


class Machine:
    """The machine's limits: reads from memory and from caches, and two matrix products."""

    PARTS = (
        "far_bytes_per_s",
        "near_bytes_per_s",
        "matmul_flops_per_s",
        "attention_shaped_flops_per_s",
    )

    def __init__(self, near: int, heads: Heads, width: int, *, reduced: bool) -> None:
        """Take in `near` the bytes of the read from caches: those of the target's weights."""
        self.far = torch.ones((2**22 if reduced else 2**28) // 4)
        """It is too large for a processor's caches."""
        self.near = torch.ones(near // 4)
        side = 128 if reduced else 1024
        self.square = torch.ones(side, side)
        self.queries = torch.ones(heads.queries, width, heads.size)
        self.keys = torch.ones(heads.queries, heads.size, 256)
        """They are few enough to stay in the caches, so their product is bound by its flops."""
        self.amounts = np.array(
            [
                self.far.nbytes,
                self.near.nbytes,
                2 * side**3,
                2 * heads.queries * width * heads.size * self.keys.shape[2],
            ],
            np.float64,
        )

    def __call__(self) -> list[float]:
        """Return nanoseconds of each of `PARTS`."""
        work = (
            self.far.sum,
            self.near.sum,
            lambda: torch.mm(self.square, self.square),
            lambda: torch.bmm(self.queries, self.keys),
        )
        took = []
        for each in work:
            each()  # to fill the caches
            begun = now()
            each()
            took.append(float(now() - begun))
        return took


def play_turn(play: Play, takes: int) -> Floats:
    """Return the medians [parts] of `takes` plays in a row, after one that is not counted."""
    play()
    return np.median([play() for _ in range(takes)], axis=0)


def play_repetition(plays: Sequence[Play], first: int, takes: int) -> list[Floats]:
    """Play all in order from number `first` on, and back; return [2, parts] of each play."""
    order = [(first + each) % len(plays) for each in range(len(plays))]
    times: list[list[Floats]] = [[] for _ in plays]
    for number in order + order[::-1]:
        times[number].append(play_turn(plays[number], takes))
    return [np.stack(each) for each in times]
