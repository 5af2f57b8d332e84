"""specprof's own decode loop over Hugging Face models: the backend that is measured in full."""

import gc
import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count

import msgspec
import torch

from specprof.engine.batch import steps
from specprof.engine.header import header
from specprof.engine.recheck import recheck
from specprof.engine.rounds import Scribe
from specprof.engine.sampler import Sampler
from specprof.engine.score import score
from specprof.engine.threads import threads
from specprof.engine.warmup import warm_up
from specprof.engine.wiring import Lane, Wired, member, wire
from specprof.extend import Backend, Cache
from specprof.plan import acceptance_in_force, stops
from specprof.records import (
    Burst,
    Event,
    Header,
    Note,
    Plain,
    Prefill,
    Recheck,
    Round,
    RunSpec,
    Settings,
)


@dataclass(slots=True, kw_only=True)
class Stretch:
    """One sequence decoded from one stop of the walk."""

    burst: int
    lane: Lane
    scribe: Scribe
    committed: list[int]
    played: int = 0
    rounds: list[Round] = field(default_factory=list)
    """Those that were recorded."""

    def keep(self, rounds: Iterator[Round]) -> Iterator[Round]:
        """Remember recorded rounds as they go by."""
        for one in rounds:
            self.rounds.append(one)
            yield one


class Native(Backend):
    """Walks over a text or generates from a prompt, yielding each round as it is played."""

    def run(self, spec: RunSpec, command: list[str]) -> Generator[Event]:
        """Load the models, then yield a header and, burst by burst, all that is measured."""
        gc.collect()  # what an earlier run of a sweep left
        scores = spec.settings.workload == "ppl"
        self._begin(wire(_drafting_nothing(spec.settings) if scores else spec.settings))
        yield self._header(spec, command)
        yield from self._notes()
        self.sampler.start()
        try:
            yield from self._scored() if scores else self._walked(stops(spec.settings))
        finally:
            self.sampler.stop()
            gc.unfreeze()  # else the next run of a sweep could never free this one's caches
        yield from self.sampler.drain()

    def _walked(self, contexts: Sequence[int]) -> Iterator[Event]:
        """Decode a burst of every sequence at each depth."""
        for stop, context in enumerate(contexts):
            yield from self._stop(stop, context)
            yield from self.sampler.drain()

    def _scored(self) -> Iterator[Event]:
        """Score the text, with as many threads as its forwards are wide enough for."""
        wired, step = self.wired, self.wired.settings.score_step
        passes = score(
            wired.engine.target,
            wired.tokens,
            step=step,
            watch=wired.rig.watch,
            origin_ns=self.origin_ns,
        )
        with threads(self.prefill_threads if step > 1 else torch.get_num_threads()):
            for one in passes:
                yield one
                yield from self.sampler.drain()

    def _begin(self, wired: Wired) -> None:
        """Warm up, and start the clock all times are told on."""
        self.wired = wired
        self.prefill_threads = warm_up(wired)
        self.origin_ns = time.perf_counter_ns()
        self.sampler = Sampler(wired.device, self._now)
        numbers = count()
        self.scribes = [
            Scribe(
                law=lane.rig.law,
                acceptance=lane.engine.acceptance,
                policy=lane.rig.policy,
                detail=wired.settings.detail,
                origin_ns=self.origin_ns,
                late=lane.rig.watch.clock.late,
                sequence=sequence,
                numbers=numbers,
            )
            for sequence, lane in enumerate(wired.lanes)
        ]

    def _header(self, spec: RunSpec, command: list[str]) -> Header:
        wired = self.wired
        return header(
            spec,
            command,
            target=wired.target,
            draft=wired.draft,
            acceptance=acceptance_in_force(wired.settings),
            lossless=wired.engine.acceptance.lossless,
            clock=wired.rig.watch.clock,
            device=wired.device,
            source=wired.source,
        )

    def _notes(self) -> Iterator[Note]:
        if self.sampler.absent:
            yield Note(at_ns=self._now(), text=self.sampler.absent)
        loaded = (self.wired.target, self.wired.draft)
        widths = {each.facts.vocabulary for each in loaded if each}
        if len(widths) > 1:
            text = f"embeddings of {max(widths)} and {min(widths)} ids: those past the "
            text += f"first {min(widths)}, no tokens of the tokenizer, are left out of both laws"
            yield Note(at_ns=self._now(), text=text)

    def _stop(self, stop: int, context: int) -> Iterator[Event]:
        """Feed the text up to `context`, decode from there, and forget what was decoded.

        A batch decodes its sequences together: each has a burst of its own, that lasts as long as
        that of the last to end.
        """
        wired, clock = self.wired, self.wired.rig.watch.clock
        started_ns, started = self._now(), clock.mark()
        sequences = [
            Stretch(
                burst=stop * len(wired.lanes) + scribe.sequence,
                lane=lane,
                scribe=scribe,
                committed=lane.tokens[:context],
            )
            for lane, scribe in zip(wired.lanes, self.scribes, strict=True)
        ]
        for each in sequences:
            yield self._prefill(each)
        yield from self._rounds(sequences)
        wall_ns = clock.between(started, clock.mark())
        for each in sequences:
            yield Burst(
                burst=each.burst,
                start_ns=started_ns,
                wall_ns=wall_ns,
                rounds=each.played,
                emitted=len(each.committed) - context,
                finish="eos" if each.committed[-1] in wired.stop else "length",
                sequence=each.scribe.sequence,
            )
        if wired.settings.plain_steps and wired.settings.drafter != "none":
            yield from self._plain(sequences)
        if context <= wired.settings.recheck_context:
            for each in sequences:
                yield from self._recheck(each)
        wired.roll_back_to(context)

    def _prefill(self, stretch: Stretch) -> Prefill:
        parts, committed = stretch.lane.engine, stretch.committed
        target, watch = parts.target, parts.watch
        fed = len(committed) - 1 - target.length
        watch.begin()
        with threads(self.prefill_threads):
            with watch.span("prefill-target"):
                target.prefill(committed[target.length : -1])
            with watch.span("prefill-draft"):
                parts.drafter.prefill(committed)
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
        for step in steps(
            [each.lane.engine for each in sequences],
            [each.committed for each in sequences],
            new_tokens=self.wired.settings.max_new_tokens,
            stop=self.wired.stop,
        ):
            for sequence, played in step.items():
                each = sequences[sequence]
                each.played += 1
                yield from each.keep(each.scribe.take(played, each.burst, shared=len(step)))
        for each in sequences:
            yield from each.keep(each.scribe.flush(each.burst))
        self.observe_ns = sum(scribe.observe_ns for scribe in self.scribes)

    def _plain(self, sequences: Sequence[Stretch]) -> Iterator[Plain]:
        """Time the target alone, all sequences at once, from where their bursts ended.

        It is told once, in the first one's name.
        """
        alone = steps(
            [each.lane.alone() for each in sequences],
            [list(each.committed) for each in sequences],
            new_tokens=self.wired.settings.plain_steps,
            stop=frozenset(),
        )
        laps = [step[0].lap for step in list(alone)]
        steps_ns = [lap.wall_ns() for lap in laps]
        first = sequences[0]
        yield Plain(burst=first.burst, context=len(first.committed), steps_ns=steps_ns)

    def _recheck(self, stretch: Stretch) -> Iterator[Recheck]:
        """Recompute a burst without a cache, where there is evidence to hold against it."""
        engine, drafts = stretch.lane.engine, any(one.drafted for one in stretch.rounds)
        draft = engine.drafter.plain
        settings = self.wired.settings
        if draft is not None and drafts and settings.detail == "evidence":
            kept = member(Cache, "cache", settings.cache)(settings)
            with threads(self.prefill_threads):
                yield recheck(
                    kept.plain(self.wired.target.model),
                    draft,
                    stretch.committed,
                    stretch.rounds,
                    engine.law,
                    engine.acceptance,
                )

    def _now(self) -> int:
        return time.perf_counter_ns() - self.origin_ns


def _drafting_nothing(settings: Settings) -> Settings:
    """Return the settings without a drafter: known text is scored by the target alone."""
    return msgspec.structs.replace(
        settings, drafter="none", draft=None, depth=0, depth_policy="fixed", shape="chain"
    )
