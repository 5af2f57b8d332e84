"""Repeat one decoding from one place, bare or with the profiler on.

A text is fed once. Every play decodes on from its end and is then rolled back, so no time includes
prefill. Knows neither peers nor statistics.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

import msgspec
import torch

from specprof.capture_writer import CaptureWriter
from specprof.engine.instruments.bout import Bout, finish_bout, moment, synchronise
from specprof.engine.instruments.stopwatch import Lap, Stopwatch
from specprof.engine.instruments.threads import threads
from specprof.engine.loop import Loop, PlayedRound
from specprof.engine.module_spans import timing_modules
from specprof.engine.patch import swapped
from specprof.engine.record_ahead import record_next
from specprof.engine.run import Lane, Run
from specprof.engine.setup.warmup import warm_up
from specprof.engine.setup.wiring import wire
from specprof.engine.walk import Walk
from specprof.settings import Detail, Settings


@contextmanager
def silence_watch(watch: Stopwatch) -> Iterator[None]:
    """Let a stopwatch read no clock inside the block: the loop as it is without a profiler."""
    nothing, lap = nullcontext(), Lap(watch.clock, 0, None)
    with ExitStack() as undo:
        undo.enter_context(swapped(watch, begin=lambda: None))
        undo.enter_context(swapped(watch, span=lambda _: nothing))
        undo.enter_context(swapped(watch, finish=lambda: lap))
        yield


class Repeated:
    """One wired engine, decoded over and over from the end of its text."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        """Load, warm up and feed `settings.context` tokens; captures are written into `folder`.

        Raises what `wire` raises for settings that it refuses.
        """
        self.run = wire(settings)
        self.prefill_threads = warm_up(self.run)
        self.threads = torch.get_num_threads()
        """The thread count that was asked for, or that decoded fastest."""
        self.place = folder / "repeated.jsonl"
        lane = self.run.lanes[0]
        self.prompt = lane.tokens[: settings.context]
        self._lanes = {
            False: lane,
            True: replace(lane, loop=lane.alone()),
        }
        with threads(self.prefill_threads):
            lane.loop.target.prefill(self.prompt[:-1])
            lane.loop.drafter.prefill(self.prompt)

    def play(self, detail: Detail, *, alone: bool = False, seed: int = 0) -> Bout:
        """Decode `max_new_tokens` on from the text's end; draws begin anew from `seed`.

        The detail `off` reads no clock and keeps nothing. Any other level does all that a run does,
        and writes a capture. `alone` means plain decoding by the target, over the same cache.
        """
        lane = self._lanes[alone]
        lane.loop.parts.generator.manual_seed(seed)
        record_next(lane.loop)
        synchronise(self.run.device)
        try:
            return self._play_bare(lane) if detail == "off" else self._record(lane, detail)
        finally:
            self.run.roll_back_to(len(self.prompt))

    def gap(self, tokens: list[int], other: int) -> float:
        """Return the gap between the logits of the last of `tokens` and of `other` at its place.

        The unit is the standard deviation of the target's logits there. The `tokens` follow the
        text and are fed one by one, as in plain decoding.
        """
        target = self.run.loop.target
        try:
            for token in (self.prompt[-1], *tokens[:-1]):
                logits = target.feed(torch.tensor([token], device=target.device))[-1]  # [vocab]
        finally:
            self.run.roll_back_to(len(self.prompt))
        return float((logits[tokens[-1]] - logits[other]).abs() / logits.std())

    def _play_bare(self, lane: Lane) -> Bout:
        committed = list(self.prompt)
        with silence_watch(lane.loop.parts.watch):
            begun = moment()
            rounds = sum(1 for _ in self._rounds(lane.loop, committed))
            return finish_bout(begun, rounds, committed[len(self.prompt) :])

    def _record(self, lane: Lane, detail: Detail) -> Bout:
        committed, rounds, run = list(self.prompt), 0, self._run_with(lane, detail)
        recorder = Walk(run, origin_ns=0, prefill_threads=self.prefill_threads).recorder
        with CaptureWriter(self.place, overwrite=True) as writer, timing_modules(run):
            begun = moment()
            for played in self._rounds(lane.loop, committed):
                rounds += 1
                for one in recorder.take(played, 0):
                    writer.write(one, more=recorder.more)
            for one in recorder.flush():
                writer.write(one, more=recorder.more)
            return finish_bout(begun, rounds, committed[len(self.prompt) :])

    def _rounds(self, loop: Loop, committed: list[int]) -> Iterator[PlayedRound]:
        new = self.run.settings.max_new_tokens
        return loop.rounds(committed, new_tokens=new, stop=frozenset())

    def _run_with(self, lane: Lane, detail: Detail) -> Run:
        """Return the run as it would be with that level of detail."""
        settings = msgspec.structs.replace(self.run.settings, detail=detail)
        return replace(self.run, settings=settings, lanes=[lane])
