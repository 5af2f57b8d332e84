"""The walk: feed known text up to a depth, decode from there, forget what was decoded, go on.

The sequences of a batch walk together: each over its own part of the text, all to equal depths.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field

from specprof import registry
from specprof.engine.batch import steps
from specprof.engine.instruments.threads import threads
from specprof.engine.loop import PlayedRound
from specprof.engine.observe.round_recorder import RoundRecorder
from specprof.engine.recheck.kept_logits import MAX_KEPT_BYTES, KeptLogits
from specprof.engine.recheck.recheck import Reference, recheck
from specprof.engine.record_ahead import record_missed, record_next, record_plain
from specprof.engine.run import Lane, Run
from specprof.extend import Cache
from specprof.records import Burst, Event, Plain, Prefill, Recheck, Round
from specprof.settings import EVIDENCE_DETAILS


@dataclass(slots=True, kw_only=True)
class Stretch:
    """One sequence decoded from one stop of the walk."""

    burst: int
    sequence: int
    lane: Lane
    committed: list[int]
    played: int = 0
    rounds: list[Round] = field(default_factory=list)
    """The recorded rounds, if the burst will be rechecked."""
    held: KeptLogits | None = None
    """The logits that the rounds acted on; None if the burst will not be rechecked."""


class Walk:
    """Decodes every sequence of a run at one depth after another, and yields what was measured."""

    def __init__(self, run: Run, *, origin_ns: int, prefill_threads: int) -> None:
        """Count times from `origin_ns` on the host's clock."""
        self.run = run
        self.origin_ns = origin_ns
        self.prefill_threads = prefill_threads
        self.recorder = RoundRecorder(
            law=run.loop.parts.law,
            acceptance=run.loop.acceptance,
            policies=[lane.loop.parts.policy for lane in run.lanes],
            detail=run.settings.detail,
            origin_ns=origin_ns,
            late=run.loop.parts.watch.clock.late,
        )

    @property
    def observe_ns(self) -> int:
        """Time spent computing evidence so far."""
        return self.recorder.observe_ns

    def stop(self, number: int, context: int) -> Iterator[Event]:
        """Feed the text up to `context`, decode from there, and forget what was decoded.

        A batch decodes its sequences together. Each sequence has a burst of its own; all bursts
        last until the last sequence has ended.
        """
        run, clock = self.run, self.run.loop.parts.watch.clock
        started_ns, started = time.perf_counter_ns() - self.origin_ns, clock.mark()
        sequences = [
            Stretch(
                burst=number * len(run.lanes) + sequence,
                sequence=sequence,
                lane=lane,
                committed=lane.tokens[:context],
                held=KeptLogits(MAX_KEPT_BYTES // len(run.lanes))
                if self._rechecks(context)
                else None,
            )
            for sequence, lane in enumerate(run.lanes)
        ]
        for each in sequences:
            yield self._prefill(each)
        for each in sequences:
            record_next(each.lane.loop)
        yield from self._rounds(sequences)
        wall_ns = clock.between(started, clock.mark())
        for each in sequences:
            yield Burst(
                burst=each.burst,
                start_ns=started_ns,
                wall_ns=wall_ns,
                rounds=each.played,
                emitted=len(each.committed) - context,
                finish="eos" if each.committed[-1] in run.stop else "length",
                sequence=each.sequence,
            )
        if run.settings.plain_steps and run.settings.drafter != "none":
            yield from self._plain(sequences)
        for each in sequences:
            yield from self._recheck(each)
        run.roll_back_to(context)

    def _rechecks(self, context: int) -> bool:
        settings = self.run.settings
        return context <= settings.recheck_context and settings.detail in EVIDENCE_DETAILS

    def _prefill(self, stretch: Stretch) -> Prefill:
        loop, committed = stretch.lane.loop, stretch.committed
        target, watch = loop.target, loop.parts.watch
        fed = len(committed) - 1 - target.length
        watch.begin()
        with threads(self.prefill_threads):
            with watch.span("prefill-target"):
                target.prefill(committed[target.length : -1])
            with watch.span("prefill-draft"):
                loop.drafter.prefill(committed)
        lap = watch.finish()
        return Prefill(
            burst=stretch.burst,
            context=len(committed),
            fed=fed,
            start_ns=lap.at_ns - self.origin_ns,
            wall_ns=lap.wall_ns(),
            spans=lap.spans(),
        )

    def _rounds(self, sequences: Sequence[Stretch]) -> Iterator[Round]:
        decoding = steps(
            [each.lane.loop for each in sequences],
            [each.committed for each in sequences],
            new_tokens=self.run.settings.max_new_tokens,
            stop=self.run.stop,
        )
        with closing(decoding):  # a run that is stopped frees its sequences here
            try:
                for step in decoding:
                    for sequence, played in step.items():
                        yield from self._take(sequences, sequence, played, len(step))
                        record_missed(sequences[sequence].lane.loop)
            except GeneratorExit:
                raise
            except BaseException:  # a failure, a Ctrl-C: record what was played before
                with suppress(Exception):
                    yield from self._remember(sequences, self.recorder.flush())
                raise
        yield from self._remember(sequences, self.recorder.flush())

    def _take(
        self, sequences: Sequence[Stretch], sequence: int, played: PlayedRound, shared: int
    ) -> Iterator[Round]:
        """Take in a round of one sequence; yield the rounds of any sequence that are ready now."""
        each = sequences[sequence]
        each.played += 1
        if each.held is not None:
            each.held.keep(played)
        rounds = self.recorder.take(played, each.burst, sequence=sequence, shared=shared)
        yield from self._remember(sequences, rounds)

    def _remember(self, sequences: Sequence[Stretch], rounds: Iterator[Round]) -> Iterator[Round]:
        """Yield recorded rounds, and remember those that a recheck will need."""
        for one in rounds:
            if sequences[one.sequence].held is not None:
                sequences[one.sequence].rounds.append(one)
            yield one

    def _plain(self, sequences: Sequence[Stretch]) -> Iterator[Plain]:
        """Time the target alone, all sequences at once, from where their bursts ended.

        It is recorded once, for the first sequence.
        """
        alone, laps = [each.lane.alone() for each in sequences], []
        played = steps(
            alone,
            [list(each.committed) for each in sequences],
            new_tokens=self.run.settings.plain_steps,
            stop=frozenset(),
        )
        for loop in alone:
            record_plain(loop)
        for step in played:
            laps.append(step[0].lap)
            for loop in alone:
                record_plain(loop)
        steps_ns = [lap.wall_ns() for lap in laps]
        first = sequences[0]
        yield Plain(burst=first.burst, context=len(first.committed), steps_ns=steps_ns)

    def _recheck(self, stretch: Stretch) -> Iterator[Recheck]:
        """Recompute a burst without a cache, if its rounds have evidence to compare."""
        loop, settings = stretch.lane.loop, self.run.settings
        kept = registry.get(Cache, settings.cache)(settings)
        reference = Reference(
            target=kept.plain(self.run.target.model),
            draft=loop.drafter.plain,
            certain=loop.drafter.draft is None,  # no model has no state to lose
            law=loop.parts.law,
            acceptance=loop.acceptance,
        )
        held, stretch.held = stretch.held, None
        if held is not None and stretch.rounds:
            with threads(self.prefill_threads):
                yield recheck(reference, stretch.committed, stretch.rounds, held.rounds)
