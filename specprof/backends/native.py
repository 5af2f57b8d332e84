"""specprof's own decode loop over Hugging Face models: the backend that is measured in full."""

import gc
import time
from collections.abc import Generator, Iterator

from specprof.engine.header import header
from specprof.engine.recheck import recheck
from specprof.engine.rounds import Scribe
from specprof.engine.sampler import Sampler
from specprof.engine.threads import threads
from specprof.engine.warmup import warm_up
from specprof.engine.wiring import Wired, wire
from specprof.extend import Backend
from specprof.plan import acceptance_in_force, stops
from specprof.records import Burst, Event, Header, Note, Plain, Prefill, Recheck, Round, RunSpec


class Native(Backend):
    """Walks over a text or generates from a prompt, yielding each round as it is played."""

    def run(self, spec: RunSpec, command: list[str]) -> Generator[Event]:
        """Load the models, then yield a header and, burst by burst, all that is measured."""
        gc.collect()  # what an earlier run of a sweep left
        self._begin(wire(spec.settings))
        yield self._header(spec, command)
        yield from self._notes()
        self.sampler.start()
        try:
            for burst, context in enumerate(stops(spec.settings)):
                yield from self._burst(burst, context)
                yield from self.sampler.drain()
        finally:
            self.sampler.stop()
            gc.unfreeze()  # else the next run of a sweep could never free this one's caches
        yield from self.sampler.drain()

    def _begin(self, wired: Wired) -> None:
        """Warm up, and start the clock all times are told on."""
        self.wired = wired
        self.prefill_threads = warm_up(wired)
        self.origin_ns = time.perf_counter_ns()
        self.sampler = Sampler(wired.device, self._now)
        self.scribe = Scribe(
            law=wired.rig.law,
            acceptance=wired.engine.acceptance,
            policy=wired.rig.policy,
            detail=wired.settings.detail,
            origin_ns=self.origin_ns,
            late=wired.rig.watch.clock.late,
        )

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

    def _burst(self, burst: int, context: int) -> Iterator[Event]:
        """Feed the text up to `context`, decode from there, and forget what was decoded."""
        wired, clock = self.wired, self.wired.rig.watch.clock
        started_ns, started = self._now(), clock.mark()
        committed = wired.tokens[:context]
        yield self._prefill(burst, committed)
        rounds: list[Round] = []
        for one in self._rounds(burst, committed):
            rounds.append(one)
            yield one
        wall_ns = clock.between(started, clock.mark())
        yield Burst(
            burst=burst,
            start_ns=started_ns,
            wall_ns=wall_ns,
            rounds=self._played,
            emitted=len(committed) - context,
            finish="eos" if committed[-1] in wired.stop else "length",
        )
        if wired.settings.plain_steps and wired.settings.drafter != "none":
            yield self._plain(burst, list(committed))
        if context <= wired.settings.recheck_context and any(one.drafted for one in rounds):
            yield from self._recheck(committed, rounds)
        wired.roll_back_to(context)

    def _prefill(self, burst: int, committed: list[int]) -> Prefill:
        target, watch = self.wired.engine.target, self.wired.rig.watch
        fed = len(committed) - 1 - target.length
        watch.begin()
        with threads(self.prefill_threads):
            with watch.span("prefill-target"):
                target.prefill(committed[target.length : -1])
            with watch.span("prefill-draft"):
                self.wired.engine.drafter.prefill(committed)
        lap = watch.finish()
        return Prefill(
            burst=burst,
            context=len(committed),
            fed=fed,
            start_ns=lap.at_ns - self.origin_ns,
            wall_ns=lap.wall_ns(),
            spans=lap.spans(),
        )

    def _rounds(self, burst: int, committed: list[int]) -> Iterator[Round]:
        settings = self.wired.settings
        self._played = 0
        for played in self.wired.engine.rounds(
            committed, new_tokens=settings.max_new_tokens, stop=self.wired.stop
        ):
            self._played += 1
            yield from self.scribe.take(played, burst)
        yield from self.scribe.flush(burst)
        self.observe_ns = self.scribe.observe_ns

    def _plain(self, burst: int, committed: list[int]) -> Plain:
        """Time the target alone from where the burst ended."""
        context, steps = len(committed), self.wired.settings.plain_steps
        alone = self.wired.alone().rounds(committed, new_tokens=steps, stop=frozenset())
        return Plain(
            burst=burst, context=context, steps_ns=[one.lap.wall_ns() for one in list(alone)]
        )

    def _recheck(self, committed: list[int], rounds: list[Round]) -> Iterator[Recheck]:
        """Recompute the burst without a cache, where there is evidence to hold against it."""
        draft, engine = self.wired.engine.drafter.plain, self.wired.engine
        if draft is not None and self.wired.settings.detail == "evidence":
            with threads(self.prefill_threads):
                yield recheck(
                    self.wired.target.model,
                    draft,
                    committed,
                    rounds,
                    engine.law,
                    engine.acceptance,
                )

    def _now(self) -> int:
        return time.perf_counter_ns() - self.origin_ns
