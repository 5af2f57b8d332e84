"""The open capture of a user's loop: what the loop hands over becomes events.

Owns the clock, the counters' thread, and the engine's own recorder of rounds.
"""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from types import TracebackType
from typing import Self

from specprof import limits, registry
from specprof.capabilities import has_distribution
from specprof.capture_writer import CaptureWriter
from specprof.engine.instruments.counters import Sampler
from specprof.engine.instruments.stopwatch import Stopwatch, clock_for
from specprof.engine.loop import PlayedRound
from specprof.engine.observe.round_recorder import RoundRecorder
from specprof.engine.recheck.kept_logits import MAX_KEPT_BYTES, KeptLogits
from specprof.engine.recheck.readings import Reading, Readings
from specprof.engine.sampling import ProcessedLaw
from specprof.engine.setup.header import header
from specprof.engine.setup.loading import device_for
from specprof.errors import UsageError
from specprof.extend import Acceptance, Depth
from specprof.recording.burst import OpenBurst, describe_processed
from specprof.recording.checks import check_request, read_ids
from specprof.recording.lines import Lines
from specprof.recording.models import Models, as_loaded, make_reference
from specprof.recording.reader import RowReader
from specprof.recording.round import DescribedRound, Duty, OpenRound
from specprof.recording.step import OpenStep
from specprof.recording.troubles import Troubles, has_evidence, without_evidence
from specprof.records import Event, Note, Recheck, Round
from specprof.settings import EVIDENCE_DETAILS, RunSpec, Settings


class Log:
    """A capture of a user's loop, open until the `with` block ends."""

    def __init__(
        self,
        writer: CaptureWriter,
        settings: Settings,
        models: Models,
        *,
        draft_law: ProcessedLaw,
        engine: str,
        stop: frozenset[int],
    ) -> None:
        self.settings = settings
        self.stop = stop
        self.origin_ns = time.perf_counter_ns()
        self._device = device_for(settings.device)
        self.watch = Stopwatch(clock_for(self._device))
        target_law = ProcessedLaw(settings.temperature, settings.top_k, settings.top_p)
        readings = Readings(Reading(declared=target_law), Reading(declared=draft_law))
        rule = registry.member("acceptance", limits.acceptance_in_force(settings))
        self.acceptance = registry.load(Acceptance, rule)()
        self.reference = make_reference(models, settings, readings, self.acceptance)
        self._open: list[OpenBurst] = []
        self._timed: OpenRound | OpenStep | None = None
        """What was begun last."""
        self._bursts = 0
        self._raw: bool | None = None
        """Whether rows came as logits, and not as probabilities; None: none came yet."""
        self._lines = Lines(writer)
        self._processed: set[str] = set()
        """Models whose rows were noted to be processed."""
        self._troubles = Troubles(lambda text: self.take(Note(at_ns=self.now(), text=text)))
        longest = settings.recheck_context
        self._reader = RowReader(readings, self.reference, self._troubles, longest)
        self._sampler = Sampler(self._device, self.now)
        self._recorder = self._make_recorder(readings)
        spec = RunSpec(id=writer.path.stem, profile=limits.RECORDED_BACKEND, settings=settings)
        self._write_header(spec, models, rule.name, engine)

    def _make_recorder(self, readings: Readings) -> RoundRecorder:
        policy = registry.get(Depth, self.settings.depth_policy)
        return RoundRecorder(
            law=readings.law,
            acceptance=self.acceptance,
            policies=[policy(self.settings) for _ in range(self.settings.batch)],
            detail=self.settings.detail,
            origin_ns=self.origin_ns,
            late=self.watch.clock.late,
            spared=lambda trouble: self._troubles.take_evidence_error(
                self._recorder.count, trouble
            ),
        )

    def _write_header(self, spec: RunSpec, models: Models, rule: str, engine: str) -> None:
        self.take(
            header(
                spec,
                sys.argv,
                target=as_loaded(models.target),
                draft=as_loaded(models.draft),
                acceptance=rule,
                lossless=self.acceptance.lossless,
                clock=self.watch.clock,
                device=self._device,
                source=None,
                engine=engine,
            )
        )

    def __enter__(self) -> Self:
        self._refuse_closed()
        if self._sampler.absent:
            self.take(Note(at_ns=self.now(), text=self._sampler.absent))
        self._sampler.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._sampler.stop()
        self._drain()
        self._lines.end(error, observe_ns=self._recorder.observe_ns)

    def now(self) -> int:
        """Return the nanoseconds since the capture was opened."""
        return time.perf_counter_ns() - self.origin_ns

    def take(self, event: Event) -> None:
        """Write an event of another kind: a `Prefill`, a `Note`.

        Raises UsageError for one that no reader of captures would take.
        """
        self._lines.take(event)

    @contextmanager
    def burst(
        self, committed: Sequence[int], *, request: str | int | None = None
    ) -> Iterator[OpenBurst]:
        """Open the rounds that extend the token ids `committed`; recheck them at its end.

        Bursts with a `request`, an id of your own, may be open side by side: begin their rounds by
        `burst.round()`, or in a batch by `step.round(burst)`.
        """
        self._refuse_closed()
        name = check_request(request, [each.request for each in self._open])
        text = read_ids(committed, "the burst's text")
        room = MAX_KEPT_BYTES // self.settings.batch
        burst = OpenBurst(
            self._bursts,
            text,
            KeptLogits(room) if self._rechecks(len(text)) else None,
            self.now,
            self._begin_round,
            request=name,
            sequence=self._find_sequence(),
        )
        self._open.append(burst)
        self._bursts += 1
        try:
            yield burst
            self._write(self._recorder.flush())
            for event in burst.end(self.stop):
                self.take(event)
            self._recheck(burst)
        finally:
            with suppress(Exception):  # the error that ended the burst is raised, no later one
                self._write(self._recorder.flush())
            self._open.remove(burst)
        self._drain()
        self._lines.say_if_gone()

    def round(self) -> OpenRound:
        """Begin a round of the open burst: a `with` block."""
        return self._begin_round(self._require_burst("a round was begun"))

    def step(self) -> OpenStep:
        """Begin a step of a batch: a `with` block in which `step.round(burst)` adds each round."""
        self._refuse_open("a step was begun")
        self._timed = OpenStep(self.watch, self.settings.batch, self._describe)
        return self._timed

    def _begin_round(self, burst: OpenBurst) -> OpenRound:
        self._refuse_open("a round was begun")
        self._timed = OpenRound(self.watch, self._duty(burst), self._player(burst))
        return self._timed

    def _describe(self, step: OpenStep, burst: OpenBurst) -> DescribedRound:
        return DescribedRound(self.watch, self._duty(burst), self._player(burst, step))

    def _duty(self, burst: OpenBurst) -> Duty:
        """Return what a round of this burst must hand over."""
        self._require_open(burst)
        return Duty(
            reader=self._reader,
            text=burst.committed,
            raw=self._raw,
            evidence=self.settings.detail in EVIDENCE_DETAILS,
            lawless=has_distribution(self.settings.drafter) is False,
            joint=self.acceptance.joint,
            require_open=lambda: self._require_open(burst),
            note_lawless=lambda found: self._troubles.take_rows(self._recorder.count, found),
        )

    def _player(
        self, burst: OpenBurst, step: OpenStep | None = None
    ) -> Callable[[PlayedRound, bool | None], None]:
        """Return what records a round of this burst, which may share a step."""

        def play(played: PlayedRound, raw: bool | None) -> None:  # noqa: FBT001 - a callback's argument
            self._raw = self._raw if raw is None else raw
            self._read_rows_so()
            burst.play(played, raw=raw)
            shared = 1 if step is None else step.shared
            taken = self._recorder.take(
                played, burst.number, sequence=burst.sequence, shared=shared
            )
            self._write(taken)

        return play

    def _find_sequence(self) -> int:
        """Return the first place in the batch that no open burst has; where none is free, any."""
        taken = {each.sequence for each in self._open}
        free = (each for each in range(self.settings.batch) if each not in taken)
        return next(free, self._bursts % self.settings.batch)

    def _require_open(self, burst: OpenBurst) -> None:
        if burst not in self._open:
            raise UsageError("a round was begun in a burst that has ended", "open another burst")

    def _refuse_open(self, what: str) -> None:
        if self._timed is not None and self._timed.open:
            kind = "step" if isinstance(self._timed, OpenStep) else "round"
            hint = "end its `with` block first; a step's rounds are begun by `step.round(burst)`"
            raise UsageError(f"{what}, and a {kind} is open already", hint)

    @contextmanager
    def plain_step(self) -> Iterator[None]:
        """Time a plain decoding step after the burst's last round: it is part of the baseline.

        In a batch a step decodes a token of every sequence, while all their bursts are open.
        """
        self._refuse_open("a plain step was timed")
        batch = self.settings.batch > 1 and self._open
        burst = self._open[0] if batch else self._require_burst("a plain step was timed")
        self.watch.begin()
        yield
        burst.steps_ns.append(self.watch.finish().wall_ns())

    def _require_burst(self, what: str) -> OpenBurst:
        if not self._open:
            hint = "put it inside `with log.burst(prompt_token_ids):`"
            raise UsageError(f"{what} outside a burst", hint)
        if len(self._open) > 1:
            title = f"{what}, and {len(self._open)} bursts are open"
            raise UsageError(title, "begin a round by `burst.round()`, so that it has its burst")
        return self._open[0]

    def _refuse_closed(self) -> None:
        if self._lines.closed:
            title = f"the capture {self._lines.place} is closed: its end is written"
            raise UsageError(title, "open another with specprof.record")

    def _read_rows_so(self) -> None:
        """Make laws of all rows as the reader found that they are."""
        readings = self._reader.readings
        if self.reference is not None and self.reference.readings is not readings:
            self.reference = replace(self.reference, law=readings.law, readings=readings)
        self._recorder.law = readings.law

    def _write(self, rounds: Iterator[Round]) -> None:
        """Write rounds whose evidence is ready, and keep each for its burst's recheck.

        A round whose probabilities no reader would take is written without them.
        """
        for one in rounds:
            kept = one
            try:
                self.take(one)
            except UsageError as trouble:
                if not has_evidence(one):
                    raise
                kept = without_evidence(one)
                self.take(kept)
                self._troubles.take_evidence_error(one.index, trouble)
            for burst in self._open:
                burst.keep(kept)

    def _recheck(self, burst: OpenBurst) -> None:
        """Recheck a burst that has ended. Whatever goes wrong there ends nothing."""
        if self.reference is None:
            return
        try:
            found = burst.recheck(self.reference)
            if found is not None:
                self.take(found)
        except Exception as trouble:  # noqa: BLE001 - the user's function is asked, too
            self._troubles.take_recheck_error(burst.number, trouble)
            return
        if found is not None:
            self._troubles.take_recheck(found)
            self._note_processed(found)

    def _note_processed(self, recheck: Recheck) -> None:
        """Note once of each model that its rows are no raw logits, and what was done to them."""
        for each in recheck.processed:
            if each.processed and each.model not in self._processed:
                self._processed.add(each.model)
                self.take(Note(at_ns=self.now(), text=describe_processed(each)))

    def _rechecks(self, context: int) -> bool:
        settings = self.settings
        short = context <= settings.recheck_context
        return self.reference is not None and short and settings.detail in EVIDENCE_DETAILS

    def _drain(self) -> None:
        for sample in self._sampler.drain():
            self.take(sample)
