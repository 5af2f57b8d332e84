"""From rounds as they were played to the Rounds a capture holds, a few at a time.

A round waits, as it was played, until it is observed and read together with others: one pass over
the laws of all of them and one transfer, between rounds, costs little more than one round's would.
On a device what was observed is read only once the next round has been played: by then it is done,
so that reading makes nobody wait.
"""

import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from specprof.engine.loop import PlayedRound
from specprof.engine.observe.evidence import RoundEvidence, drafted_tokens
from specprof.engine.observe.observe import PendingEvidence, observe
from specprof.extend import Acceptance, Depth, Law
from specprof.records import Round
from specprof.settings import EVIDENT, Detail

MOST = 32
"""Rounds that wait at most; more would save no time worth having."""
LONGEST_NS = 200_000_000
"""How long the first of them waits at most: who follows the capture is not to see it stall."""
ROOM = 2**24
"""Bytes of logits that wait at most, 16 MiB: reading them takes a few times as much."""


@dataclass(frozen=True, slots=True)
class PendingRound:
    """A round that was played and not yet read."""

    played: PlayedRound
    burst: int
    index: int
    sequence: int
    shared: int
    taken_ns: int
    """Host time when it was over."""

    @property
    def bytes(self) -> int:
        """What holding its laws takes."""
        proposal = self.played.proposal
        held = (self.played.target_logits, proposal.logits, proposal.draft_probs)
        return sum(each.nbytes for each in held if each is not None)


@dataclass(slots=True, kw_only=True)
class RoundRecorder:
    """Numbers the rounds of a run and turns each into its record.

    At most `MOST` rounds wait, or `ROOM` bytes of them, or as many as `LONGEST_NS` allows: a round
    that took so long itself is read at once. That is what a run loses that is killed outright; one
    that ends in any other way hands over what waits by `flush`.
    """

    law: Law
    acceptance: Acceptance
    policies: Sequence[Depth]
    """One a sequence; told of the times of its every round."""
    detail: Detail
    origin_ns: int
    """Host time that counts as 0."""
    late: bool
    """Whether marks and evidence are read a round later."""
    most: int = MOST
    observe_ns: int = 0
    _index: int = 0
    _waiting: list[PendingRound] = field(default_factory=list)
    _bytes: int = 0
    _observed: list[tuple[list[PendingRound], PendingEvidence | None]] = field(default_factory=list)
    """Rounds whose evidence is on its way, and that evidence."""
    _queued_ns: int = 0
    """Host time when the last of it was queued."""
    _untold: list[PendingRound] = field(default_factory=list)
    """Rounds whose policy has not been told of their times."""
    _ready: deque[Round] = field(default_factory=deque)

    @property
    def more(self) -> bool:
        """Whether another round follows at once the one that was just yielded."""
        return bool(self._ready)

    def take(
        self, played: PlayedRound, burst: int, *, sequence: int = 0, shared: int = 1
    ) -> Iterator[Round]:
        """Take in a round that `shared` sequences played together; yield those readable now."""
        started = time.perf_counter_ns()
        one = PendingRound(played, burst, self._index, sequence, shared, started)
        self._index += 1
        if self.late:
            begun = played.lap.at_ns
            self._tell(begun)
            if self._queued_ns < begun:  # what was queued before this round has passed
                self._read()
        if type(self.policies[sequence]).timed is not Depth.timed:
            self._untold.append(one)
        if not self.late:
            self._tell()
        if self.detail != "off":
            self._wait(one)
        self.observe_ns += time.perf_counter_ns() - started
        while self._ready:
            yield self._ready.popleft()

    def flush(self) -> Iterator[Round]:
        """Yield all that still waits: the burst is over, or the run."""
        started = time.perf_counter_ns()
        self._read()
        self._observe()
        self._read()
        self._tell()
        self.observe_ns += time.perf_counter_ns() - started
        while self._ready:
            yield self._ready.popleft()

    def _wait(self, one: PendingRound) -> None:
        """Let a round wait; read all that do where the next one would come too late."""
        self._waiting.append(one)
        self._bytes += one.bytes
        took_ns = one.taken_ns - one.played.lap.at_ns
        waits_ns = one.taken_ns - self._waiting[0].taken_ns
        full = len(self._waiting) >= self.most or self._bytes >= ROOM
        if full or waits_ns + took_ns > LONGEST_NS:
            self._observe()
            if not self.late or took_ns > LONGEST_NS:  # beside which a wait is nothing
                self._read()

    def _observe(self) -> None:
        """Queue the evidence of all rounds that wait."""
        waiting = self._waiting
        drafted = [one.played for one in waiting if one.played.drafted]
        evident = drafted and self.detail in EVIDENT
        evidence = observe(drafted, self.law, self.acceptance) if evident else None
        if waiting:
            self._observed.append((waiting, evidence))
        self._waiting, self._bytes, self._queued_ns = [], 0, time.perf_counter_ns()

    def _read(self) -> None:
        """Read what was observed, and make records of it."""
        for waiting, pending in self._observed:
            evidence = iter(pending.read() if pending else ())
            self._ready += [
                self._record(one, next(evidence, None) if one.played.drafted else None)
                for one in waiting
            ]
        self._observed = []

    def _tell(self, begun_ns: int | None = None) -> None:
        """Tell the policies of the times of their rounds, of those over before `begun_ns`."""
        untold, self._untold = self._untold, []
        for one in untold:
            if begun_ns is None or one.taken_ns < begun_ns:
                self.policies[one.sequence].timed(self._record(one, None))
            else:
                self._untold.append(one)

    def _record(self, one: PendingRound, read: RoundEvidence | None) -> Round:
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
        )
