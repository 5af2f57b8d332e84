"""From a round as it was played to the Round a capture holds.

On a device, a round's events and its evidence are read only once the next round has been played:
by then they have passed, so that reading them makes nobody wait.
"""

import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count

import torch

from specprof.engine.loop import Played
from specprof.engine.observe import drafted_tokens, observe, sight
from specprof.extend import Acceptance, Depth, Law
from specprof.records import Round
from specprof.settings import Detail


@dataclass(slots=True, kw_only=True)
class Scribe:
    """Numbers the rounds of a run and turns each into its record."""

    law: Law
    acceptance: Acceptance
    policy: Depth
    """Told of every round's times."""
    detail: Detail
    origin_ns: int
    """Host time that counts as 0."""
    late: bool
    """Whether marks and evidence are read a round later."""
    sequence: int = 0
    """Whose rounds they are, in a batch."""
    numbers: Iterator[int] = field(default_factory=count)
    """Where each round's index comes from: one count for all sequences."""
    observe_ns: int = 0
    _waiting: deque[tuple[Played, torch.Tensor | None, int]] = field(default_factory=deque)

    def take(self, played: Played, burst: int, *, shared: int = 1) -> Iterator[Round]:
        """Take in a round that `shared` sequences played together; yield those readable now."""
        started = time.perf_counter_ns()
        rounds = self._read(burst)  # before this round's evidence is queued behind it
        seen = None
        if self.detail == "evidence" and played.drafted:
            seen = observe(played, self.law, self.acceptance)
        self._waiting.append((played, seen, shared))
        if not self.late:
            rounds += self._read(burst)
        self.observe_ns += time.perf_counter_ns() - started
        if self.detail != "off":
            yield from rounds

    def flush(self, burst: int) -> Iterator[Round]:
        """Yield what still waits: the burst is over."""
        rounds = self._read(burst)
        if self.detail != "off":
            yield from rounds

    def _read(self, burst: int) -> list[Round]:
        rounds = [self._record(*one, burst) for one in self._waiting]
        self._waiting.clear()
        for one in rounds:
            self.policy.timed(one)
        return rounds

    def _record(self, played: Played, seen: torch.Tensor | None, shared: int, burst: int) -> Round:
        read = None if seen is None else sight(played, seen.tolist(), self.law, self.acceptance)
        return Round(
            index=next(self.numbers),
            burst=burst,
            context=played.context,
            depth_asked=played.depth_asked,
            drafted=drafted_tokens(played, read),
            accepted=played.accepted,
            emitted=played.emitted,
            final_target_prob=read.final_target_prob if read else None,
            final_draft_prob=read.final_draft_prob if read else None,
            final_rank=read.final_rank if read else None,
            final_order=read.final_order if read else None,
            start_ns=played.lap.at_ns - self.origin_ns,
            wall_ns=played.lap.wall_ns(),
            spans=played.lap.spans(),
            target_forwards=played.target_forwards,
            draft_forwards=played.draft_forwards,
            target_length=played.target_length,
            draft_length=played.draft_length,
            target_kv_bytes=played.target_kv_bytes,
            draft_kv_bytes=played.draft_kv_bytes,
            target_evicted=played.target_evicted,
            draft_evicted=played.draft_evicted,
            sequence=self.sequence,
            shared=shared,
        )
