"""specprof's own decode loop over Hugging Face models: the backend that is measured in full."""

import gc
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import nullcontext

import msgspec
import torch

from specprof.engine.fault import Fault
from specprof.engine.heads.conventions import scans
from specprof.engine.instruments.counters import Sampler
from specprof.engine.instruments.threads import threads
from specprof.engine.known_text.overlap import overlaps
from specprof.engine.known_text.perplexity import score
from specprof.engine.module_spans import timing_modules
from specprof.engine.record_ahead import record_missed
from specprof.engine.run import Run
from specprof.engine.setup.header import header
from specprof.engine.setup.warmup import warm_up
from specprof.engine.setup.wiring import wire
from specprof.engine.walk import Walk
from specprof.extend import Backend
from specprof.plan import acceptance_in_force, stops
from specprof.records import Event, Header, Note
from specprof.settings import RunSpec, Settings


class Native(Backend):
    """Walks over a text or generates from a prompt, yielding each round as it is played."""

    def __init__(self, fault: Fault | None = None) -> None:
        """Break every run by `fault`, as `specprof drill` does; None breaks nothing.

        A broken run calls its models' modules, because faults are put into modules.
        """
        self.fault = fault

    @property
    def more(self) -> bool:
        """Whether another round follows at once: rounds that waited together come together."""
        return self.walk.recorder.more

    def run(self, spec: RunSpec, command: list[str]) -> Generator[Event]:
        """Load the models, then yield a header and, burst by burst, all that is measured."""
        gc.collect()  # frees what an earlier run of a sweep left
        settings = spec.settings
        if settings.workload == "ppl":
            settings = _without_drafter(settings)
        if self.fault:
            settings = msgspec.structs.replace(settings, path="modules", graphs="off")
        run = wire(settings)
        with self.fault.inject(run) if self.fault else nullcontext(), timing_modules(run):
            yield from self._measure(spec, command, run)

    def _measure(self, spec: RunSpec, command: list[str], run: Run) -> Iterator[Event]:
        """Yield a header and, burst by burst, all that is measured of a run."""
        self._begin(run)
        yield self._header(spec, command)
        yield from self._notes()
        self.sampler.start()
        try:
            yield from self._play(spec.settings)
        finally:
            self.sampler.stop()
            self.observe_ns = self.walk.observe_ns
            gc.unfreeze()  # else the next run of a sweep could never free this one's caches
        yield from self.sampler.drain()

    def _play(self, settings: Settings) -> Iterator[Event]:
        """Yield what the workload measures."""
        match settings.workload:
            case "ppl":
                yield from self._score_text()
            case "overlap":
                with threads(self.prefill_threads):
                    yield from overlaps(self.playing, self.origin_ns)
            case "scan":
                with threads(self.prefill_threads):
                    yield from scans(self.playing)
            case _:
                yield from self._decode_stops(stops(settings))

    def _decode_stops(self, contexts: Sequence[int]) -> Iterator[Event]:
        """Decode a burst of every sequence at each context."""
        for number, context in enumerate(contexts):
            yield from self.walk.stop(number, context)
            yield from self.sampler.drain()

    def _score_text(self) -> Iterator[Event]:
        """Score the text; forwards wider than a token take the threads of prefill."""
        run, step = self.playing, self.playing.settings.score_step
        passes = score(
            run.loop.target,
            run.tokens,
            step=step,
            watch=run.loop.parts.watch,
            origin_ns=self.origin_ns,
        )
        with threads(self.prefill_threads if step > 1 else torch.get_num_threads()):
            for one in passes:
                yield one
                record_missed(run.loop)
                yield from self.sampler.drain()

    def _begin(self, run: Run) -> None:
        """Warm up, and start the clock that all times count from."""
        self.playing = run
        self.prefill_threads = warm_up(run)
        self.origin_ns = time.perf_counter_ns()
        self.sampler = Sampler(run.device, self._now)
        self.walk = Walk(run, origin_ns=self.origin_ns, prefill_threads=self.prefill_threads)

    def _header(self, spec: RunSpec, command: list[str]) -> Header:
        run = self.playing
        return header(
            spec,
            command,
            target=run.target,
            draft=run.draft,
            acceptance=acceptance_in_force(run.settings),
            lossless=run.loop.acceptance.lossless,
            clock=run.loop.parts.watch.clock,
            device=run.device,
            source=run.source,
            path=run.settings.path,
            decoders=(run.loop.target, run.loop.drafter.draft),
        )

    def _notes(self) -> Iterator[Note]:
        if self.sampler.absent:
            yield Note(at_ns=self._now(), text=self.sampler.absent)
        loaded = (self.playing.target, self.playing.draft)
        widths = {each.facts.vocabulary for each in loaded if each}
        if len(widths) > 1:
            text = f"the models' embeddings have {max(widths)} and {min(widths)} ids: ids past the "
            text += f"first {min(widths)} are no tokens, and are left out of both laws"
            yield Note(at_ns=self._now(), text=text)

    def _now(self) -> int:
        return time.perf_counter_ns() - self.origin_ns


def _without_drafter(settings: Settings) -> Settings:
    """Return the settings without a drafter: known text is scored by the target alone."""
    return msgspec.structs.replace(
        settings, drafter="none", draft=None, depth=0, depth_policy="fixed", shape="chain"
    )
