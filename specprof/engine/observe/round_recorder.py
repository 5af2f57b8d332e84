"""Turns played rounds into the Rounds a capture holds, a few at a time.

A played round waits until it is observed and read together with others: one pass over the laws of
many rounds and one transfer, between rounds, cost little more than those of a single round. On a
device the evidence is read only after the next round has been played. By then it has been computed,
so reading it does not wait for the device.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from specprof.engine.loop import PlayedRound
from specprof.engine.observe.evidence import RoundEvidence, drafted_tokens
from specprof.engine.observe.observe import PendingEvidence, observe
from specprof.extend import Acceptance, Depth, Law
from specprof.records import Round
from specprof.settings import EVIDENCE_DETAILS, Detail

MAX_WAITING_ROUNDS = 32
"""More would save little time."""
MAX_WAIT_NS = 200_000_000
"""How long the first of them waits: a dashboard that follows the capture should not stall."""
MAX_WAITING_BYTES = 2**24
"""Bytes of logits, 16 MiB. To observe them takes a few times as much memory."""


@dataclass(frozen=True, slots=True)
class PendingRound:
    """A played round whose evidence has not been read yet."""

    played: PlayedRound
    burst: int
    index: int
    sequence: int
    shared: int
    taken_ns: int
    """Host time when the round was over."""

    @property
    def bytes(self) -> int:
        """Bytes of the tensors it holds."""
        proposal = self.played.proposal
        held = (self.played.target_logits, proposal.logits, proposal.draft_probs)
        return sum(each.nbytes for each in held if each is not None)


@dataclass(slots=True, kw_only=True)
class RoundRecorder:
    """Numbers the rounds of a run and turns each into its record.

    Rounds wait up to `MAX_WAITING_ROUNDS`, `MAX_WAITING_BYTES` and `MAX_WAIT_NS`; a round that took
    longer than `MAX_WAIT_NS` itself is read at once. A run that is killed outright loses the rounds
    that wait. A run that ends in any other way hands them over by `flush`.
    """

    law: Law
    acceptance: Acceptance
    policies: Sequence[Depth]
    """The depth policy of each sequence; it is given the times of that sequence's rounds."""
    detail: Detail
    origin_ns: int
    """Host time that records count as 0."""
    late: bool
    """Whether marks and evidence are read a round later."""
    spared: Callable[[Exception], None] | None = None
    """Takes each error of this code, so that it ends nothing; None: errors are raised."""
    max_waiting: int = MAX_WAITING_ROUNDS
    observe_ns: int = 0
    _index: int = 0
    _waiting: list[PendingRound] = field(default_factory=list)
    _bytes: int = 0
    _observed: list[tuple[list[PendingRound], PendingEvidence | None]] = field(default_factory=list)
    """Rounds that were observed and not read yet, with their evidence; None: none is wanted."""
    _queued_ns: int = 0
    """Host time when the last evidence was queued."""
    _untimed: list[PendingRound] = field(default_factory=list)
    """Rounds whose times the depth policy has not been given yet."""
    _ready: deque[Round] = field(default_factory=deque)

    @property
    def count(self) -> int:
        """Rounds taken so far."""
        return self._index

    @property
    def more(self) -> bool:
        """Whether more rounds are ready now, so that a writer may write them together."""
        return bool(self._ready)

    def take(
        self, played: PlayedRound, burst: int, *, sequence: int = 0, shared: int = 1
    ) -> Iterator[Round]:
        """Take in a round that `shared` sequences played together; yield the rounds ready now."""
        started = time.perf_counter_ns()
        one = PendingRound(played, burst, self._index, sequence, shared, started)
        self._index += 1
        if self.late:
            begun = played.lap.at_ns
            self._report_times(begun)
            if self._queued_ns < begun:  # queued before this round: computed by now
                self._read()
        if type(self.policies[sequence]).timed is not Depth.timed:
            self._untimed.append(one)
        if not self.late:
            self._report_times()
        if self.detail != "off":
            self._wait(one)
        self.observe_ns += time.perf_counter_ns() - started
        while self._ready:
            yield self._ready.popleft()

    def flush(self) -> Iterator[Round]:
        """Yield all rounds that still wait, at the end of a burst or of the run."""
        started = time.perf_counter_ns()
        self._read()
        self._observe()
        self._read()
        self._report_times()
        self.observe_ns += time.perf_counter_ns() - started
        while self._ready:
            yield self._ready.popleft()

    def _wait(self, one: PendingRound) -> None:
        """Let a round wait. Observe all that wait once they are full or the next would be late."""
        self._waiting.append(one)
        self._bytes += one.bytes
        took_ns = one.taken_ns - one.played.lap.at_ns
        waits_ns = one.taken_ns - self._waiting[0].taken_ns
        full = len(self._waiting) >= self.max_waiting or self._bytes >= MAX_WAITING_BYTES
        if full or waits_ns + took_ns > MAX_WAIT_NS:
            self._observe()
            if not self.late or took_ns > MAX_WAIT_NS:  # a wait for the device adds little then
                self._read()

    def _observe(self) -> None:
        """Queue the evidence of all rounds that wait."""
        waiting, self._waiting, self._bytes = self._waiting, [], 0
        try:
            if waiting:
                self._observed.append((waiting, self._queue(waiting)))
        except Exception as trouble:
            if self.spared is None:
                raise
            self.spared(trouble)
            self._observed += [([one], self._try_to_queue(one)) for one in waiting]
        self._queued_ns = time.perf_counter_ns()

    def _queue(self, waiting: list[PendingRound]) -> PendingEvidence | None:
        evident = [one.played for one in waiting if self._is_evident(one.played)]
        return observe(evident, self.law, self.acceptance) if evident else None

    def _try_to_queue(self, one: PendingRound) -> PendingEvidence | None:
        """Queue a round's evidence alone: another round that waited with it had the trouble."""
        try:
            return self._queue([one])
        except Exception:  # noqa: BLE001 - this one had it; it was taken note of
            return None

    def _is_evident(self, played: PlayedRound) -> bool:
        wanted = self.detail in EVIDENCE_DETAILS
        return wanted and bool(played.drafted) and played.no_law is None

    def _read(self) -> None:
        """Read the evidence that was queued, and make records."""
        observed, self._observed = self._observed, []
        for waiting, pending in observed:
            evidence = iter(self._fetch(pending) if pending else ())
            self._ready += [
                self._record(one, next(evidence, None) if self._is_evident(one.played) else None)
                for one in waiting
            ]

    def _fetch(self, pending: PendingEvidence) -> Sequence[RoundEvidence]:
        try:
            return pending.read()
        except Exception as trouble:
            if self.spared is None:
                raise
            self.spared(trouble)
            return ()

    def _report_times(self, begun_ns: int | None = None) -> None:
        """Give the policies the times of their rounds; if `begun_ns`, of rounds over before it."""
        untimed, self._untimed = self._untimed, []
        for one in untimed:
            if begun_ns is None or one.taken_ns < begun_ns:
                self.policies[one.sequence].timed(self._record(one, None))
            else:
                self._untimed.append(one)

    def _record(self, one: PendingRound, read: RoundEvidence | None) -> Round:
        """Make the record of a round, with its evidence if there is any."""
        played = one.played
        lap = played.lap
        return Round(
            index=one.index,
            burst=one.burst,
            context=played.context,
            depth_asked=played.depth_asked,
            drafted=drafted_tokens(played, read),
            accepted=played.accepted,
            emitted=played.emitted,
            final_target_prob=read.final_target_prob if read else None,
            final_draft_prob=read.final_draft_prob if read else None,
            final_rank=read.final_rank if read else None,
            final_order=read.final_order if read else None,
            row_choices=list(read.row_choices) if read else [],
            start_ns=lap.at_ns - self.origin_ns,
            wall_ns=lap.wall_ns(),
            spans=lap.spans(),
            target_forwards=played.target_forwards,
            draft_forwards=played.draft_forwards,
            target_length=played.target_length,
            draft_length=played.draft_length,
            target_kv_bytes=played.target_kv_bytes,
            draft_kv_bytes=played.draft_kv_bytes,
            target_evicted=played.target_evicted,
            draft_evicted=played.draft_evicted,
            sequence=one.sequence,
            shared=one.shared,
            no_law=played.no_law,
        )
