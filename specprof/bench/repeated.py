"""The same decoding over and over from one place, bare or with the profiler on.

A text is fed once; every play decodes on from its end and is then forgotten, so that no prefill is
in any of the times. Knows neither peers nor statistics.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

import msgspec
import torch

from specprof.capture_writer import CaptureWriter
from specprof.engine.instruments.bout import Bout, moment, settle, since
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
def silenced(watch: Stopwatch) -> Iterator[None]:
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

        Raises whatever `wire` refuses the settings with.
        """
        self.run = wire(settings)
        self.prefill_threads = warm_up(self.run)
        self.threads = torch.get_num_threads()
        """What decoding was measured fastest with, or was asked to take."""
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

        `off` reads no clock and keeps nothing; any other level does all that a run does and writes
        a capture. `alone`: plain decoding, by the target over the same cache.
        """
        lane = self._lanes[alone]
        lane.loop.parts.generator.manual_seed(seed)
        record_next(lane.loop)
        settle(self.run.device)
        try:
            return self._bare(lane) if detail == "off" else self._kept(lane, detail)
        finally:
            self.run.roll_back_to(len(self.prompt))

    def gap(self, tokens: list[int], other: int) -> float:
        """Return how far the last of `tokens` after the text lies from `other` at its place.

        In standard deviations of the target's logits there; it is fed token by token, as plain
        decoding is.
        """
        target = self.run.loop.target
        try:
            for token in (self.prompt[-1], *tokens[:-1]):
                logits = target.feed(torch.tensor([token], device=target.device))[-1]  # [vocab]
        finally:
            self.run.roll_back_to(len(self.prompt))
        return float((logits[tokens[-1]] - logits[other]).abs() / logits.std())

    def _bare(self, lane: Lane) -> Bout:
        committed = list(self.prompt)
        with silenced(lane.loop.parts.watch):
            begun = moment()
            rounds = sum(1 for _ in self._rounds(lane.loop, committed))
            return since(begun, rounds, committed[len(self.prompt) :])

    def _kept(self, lane: Lane, detail: Detail) -> Bout:
        committed, rounds, told = list(self.prompt), 0, self._told(lane, detail)
        recorder = Walk(told, origin_ns=0, prefill_threads=self.prefill_threads).recorder
        with CaptureWriter(self.place, overwrite=True) as writer, timing_modules(told):
            begun = moment()
            for played in self._rounds(lane.loop, committed):
                rounds += 1
                for one in recorder.take(played, 0):
                    writer.write(one, more=recorder.more)
            for one in recorder.flush():
                writer.write(one, more=recorder.more)
            return since(begun, rounds, committed[len(self.prompt) :])

    def _rounds(self, loop: Loop, committed: list[int]) -> Iterator[PlayedRound]:
        new = self.run.settings.max_new_tokens
        return loop.rounds(committed, new_tokens=new, stop=frozenset())

    def _told(self, lane: Lane, detail: Detail) -> Run:
        """Return the run as it would be had that level of detail been asked for."""
        settings = msgspec.structs.replace(self.run.settings, detail=detail)
        return replace(self.run, settings=settings, lanes=[lane])
