"""The open capture of a user's loop: what the loop hands over becomes events.

Owns the clock, the counters' thread, and the engine's own recorder of rounds.
"""

import sys
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from specprof import limits, registry
from specprof.bounds import Bounds
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
from specprof.narration import narrate
from specprof.recorder import Ledger
from specprof.recording.burst import OpenBurst, describe_processed
from specprof.recording.checks import check_bounds, check_readable, read_ids
from specprof.recording.models import Model, as_loaded, make_reference, name_models
from specprof.recording.reader import RowReader
from specprof.recording.round import Duty, OpenRound
from specprof.recording.troubles import Troubles, has_evidence, without_evidence
from specprof.records import Event, Header, Note, Recheck, Round
from specprof.settings import EVIDENCE_DETAILS, RunSpec, Settings


def record(
    path: str | Path,
    *,
    target: Model,
    draft: Model | None = None,
    engine: str = "",
    stop: Collection[int] = (),
    max_new_tokens: int = 0,
    device: str = "cpu",
    overwrite: bool = False,
    draft_temperature: float | None = None,
    draft_top_k: int | None = None,
    draft_top_p: float | None = None,
    **settings: Any,  # noqa: ANN401 - Settings checks each field
) -> "Log":
    """Open a capture for your own loop. Closing it writes how the run ended.

    `target` and `draft` are named in the header. Every burst is rechecked, unless the target is a
    mere name. `engine` is the name of your loop, `stop` the token ids that end a text,
    `max_new_tokens` the longest burst (0: not known), `device` the device that runs the spans.
    `draft_temperature`, `draft_top_k` and `draft_top_p` are those by which the draft draws, if they
    are not the target's; at 0 it takes its first choice.
    `settings` are fields of `Settings`: `temperature`, `top_k`, `top_p`, `acceptance`, `depth`,
    `drafter`, `cache`, `window`, `detail`, `recheck_context` ...

    Raises UsageError if a setting is unknown or wrong, or if `path` exists and `overwrite` is not
    set.
    """
    given = {"drafter": "draft-model" if draft is not None else "ngram", **settings}
    names = name_models(target, draft)
    try:
        chosen = Settings(
            target=names[0],
            draft=names[1],
            workload="generate",
            device=device,
            **given,
        )
    except TypeError as trouble:
        known = ", ".join(Settings.__struct_fields__)
        raise UsageError(f"specprof.record: {trouble}", f"settings are {known}") from trouble
    own = chosen.drafter not in registry.members("drafter")
    limits.check(msgspec.structs.replace(chosen, drafter="ngram") if own else chosen)
    limits.check_values({"max_new_tokens": max_new_tokens})
    draft_law = _draft_law(chosen, draft_temperature, draft_top_k, draft_top_p)
    limit = {"backend": limits.RECORDED_BACKEND, "max_new_tokens": max_new_tokens}
    ends = frozenset(read_ids(stop, "stop"))
    writer = CaptureWriter(Path(path), overwrite=overwrite)
    try:
        return Log(
            writer,
            msgspec.structs.replace(chosen, **limit),
            models=(target, draft),
            draft_law=draft_law,
            engine=engine or Path(sys.argv[0] or "interactive").name,
            stop=ends,
        )
    except BaseException:  # nothing is recorded yet: leave no file in the way of the next try
        with writer:
            writer.forget()
        raise


def _draft_law(
    settings: Settings, temperature: float | None, top_k: int | None, top_p: float | None
) -> ProcessedLaw:
    """Return the law that the draft declares: the target's, but for what is given.

    Raises UsageError for a number that no run may have.
    """
    own = {"temperature": temperature, "top_k": top_k, "top_p": top_p}
    given = {name: value for name, value in own.items() if value is not None}
    try:
        limits.check_values(given)
    except UsageError as trouble:
        raise UsageError(f"draft_{trouble.title}", trouble.hint) from None
    law = {name: getattr(settings, name) for name in own} | given
    return ProcessedLaw(**law)


class Log:
    """A capture of a user's loop, open until the `with` block ends."""

    def __init__(
        self,
        writer: CaptureWriter,
        settings: Settings,
        *,
        models: tuple[Model, Model | None],
        draft_law: ProcessedLaw,
        engine: str,
        stop: frozenset[int],
    ) -> None:
        device = device_for(settings.device)
        self.settings = settings
        self.stop = stop
        self.watch = Stopwatch(clock_for(device))
        target_law = ProcessedLaw(settings.temperature, settings.top_k, settings.top_p)
        readings = Readings(Reading(declared=target_law), Reading(declared=draft_law))
        rule = registry.member("acceptance", limits.acceptance_in_force(settings))
        self.acceptance = registry.load(Acceptance, rule)()
        self.reference = make_reference(*models, settings, readings, self.acceptance)
        self._open: OpenBurst | None = None
        self._round: OpenRound | None = None
        self._bursts = 0
        self._raw: bool | None = None
        self.origin_ns = time.perf_counter_ns()
        self._writer = writer
        self._said_gone = self._closed = False
        self._processed: set[str] = set()
        """Models whose rows were noted to be processed."""
        self._troubles = Troubles(lambda text: self.take(Note(at_ns=self.now(), text=text)))
        longest = settings.recheck_context
        self._reader = RowReader(readings, self.reference, self._troubles, longest)
        self._ledger = Ledger(writer)
        self._bounds: Bounds | None = None
        """What a reader of the lines so far allows; None before the header."""
        self._lines = 0
        self._sampler = Sampler(device, self.now)
        policy = registry.get(Depth, settings.depth_policy)
        self._recorder = RoundRecorder(
            law=readings.law,
            acceptance=self.acceptance,
            policies=[policy(settings)],
            detail=settings.detail,
            origin_ns=self.origin_ns,
            late=self.watch.clock.late,
            spared=lambda trouble: self._troubles.take_evidence_error(
                self._recorder.count, trouble
            ),
        )
        self.take(
            header(
                RunSpec(id=writer.path.stem, profile=limits.RECORDED_BACKEND, settings=settings),
                sys.argv,
                target=as_loaded(models[0]),
                draft=as_loaded(models[1]),
                acceptance=rule.name,
                lossless=self.acceptance.lossless,
                clock=self.watch.clock,
                device=device,
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
        self._ledger.end(error, observe_ns=self._recorder.observe_ns)
        self._say_if_gone()
        self._closed = True
        self._writer.close()

    def now(self) -> int:
        """Return the nanoseconds since the capture was opened."""
        return time.perf_counter_ns() - self.origin_ns

    def take(self, event: Event) -> None:
        """Write an event of another kind: a `Prefill`, a `Note`.

        Raises UsageError for one that no reader of captures would take.
        """
        check_readable(event)
        if isinstance(event, Header):
            self._bounds = Bounds(event)
        elif self._bounds is not None:
            check_bounds(event, self._bounds, self._lines + 1)
        self._lines += 1
        self._ledger.take(event)

    @contextmanager
    def burst(self, committed: Sequence[int]) -> Iterator[OpenBurst]:
        """Open the rounds that extend the token ids `committed`; recheck them at its end."""
        self._refuse_closed()
        if self._open is not None:
            raise UsageError("a burst is open already", "end its `with` block first")
        text = read_ids(committed, "the burst's text")
        self._open = burst = OpenBurst(
            self._bursts,
            text,
            self._recorder,
            KeptLogits(MAX_KEPT_BYTES) if self._rechecks(len(text)) else None,
            self.now,
        )
        self._bursts += 1
        try:
            yield burst
            for event in burst.end(self.stop):
                self._take_guarded(event)
            self._recheck(burst)
        finally:
            self._open = None
            with suppress(Exception):  # the error that ended the burst is raised, no later one
                for one in burst.rest():
                    self._take_guarded(one)
        self._drain()
        self._say_if_gone()

    def round(self) -> OpenRound:
        """Begin a round of the open burst: a `with` block."""
        burst = self._require_burst("a round was begun")
        if self._round is not None and self._round.open:
            raise UsageError("a round is open already", "end its `with` block first")
        duty = Duty(
            reader=self._reader,
            text=burst.committed,
            raw=self._raw,
            evidence=self.settings.detail in EVIDENCE_DETAILS,
            lawless=has_distribution(self.settings.drafter) is False,
            joint=self.acceptance.joint,
            note_lawless=lambda found: self._troubles.take_rows(self._recorder.count, found),
        )

        def play(played: PlayedRound, raw: bool | None) -> None:  # noqa: FBT001 - a callback's argument
            self._raw = self._raw if raw is None else raw
            self._read_rows_so()
            for one in burst.play(played, raw=raw):
                self._take_guarded(one)

        self._round = OpenRound(self.watch, duty, play)
        return self._round

    @contextmanager
    def plain_step(self) -> Iterator[None]:
        """Time a plain decoding step after the burst's last round: it is part of the baseline."""
        burst = self._require_burst("a plain step was timed")
        self.watch.begin()
        yield
        burst.steps_ns.append(self.watch.finish().wall_ns())

    def _require_burst(self, what: str) -> OpenBurst:
        if self._open is None:
            hint = "put it inside `with log.burst(prompt_token_ids):`"
            raise UsageError(f"{what} outside a burst", hint)
        return self._open

    def _refuse_closed(self) -> None:
        if self._closed:
            title = f"the capture {self._writer.path} is closed: its end is written"
            raise UsageError(title, "open another with specprof.record")

    def _read_rows_so(self) -> None:
        """Make laws of all rows as the reader found that they are."""
        readings = self._reader.readings
        if self.reference is not None and self.reference.readings is not readings:
            self.reference = replace(self.reference, law=readings.law, readings=readings)
        self._recorder.law = readings.law

    def _take_guarded(self, event: Event) -> None:
        """Write an event; a round whose probabilities no reader would take goes without them."""
        try:
            self.take(event)
        except UsageError as trouble:
            if not isinstance(event, Round) or not has_evidence(event):
                raise
            self.take(without_evidence(event))
            self._troubles.take_evidence_error(event.index, trouble)

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
            if each.model not in self._processed:
                self._processed.add(each.model)
                self.take(Note(at_ns=self.now(), text=describe_processed(each)))

    def _rechecks(self, context: int) -> bool:
        settings = self.settings
        short = context <= settings.recheck_context
        return self.reference is not None and short and settings.detail in EVIDENCE_DETAILS

    def _say_if_gone(self) -> None:
        """Print once that the file was deleted or replaced; the user's loop goes on."""
        if not self._said_gone and self._writer.gone:
            self._said_gone = True
            narrate(
                f"{self._writer.path} was deleted or replaced while it was recorded: it is lost"
            )
            narrate("  run again, and leave the file where it is until the run has ended")

    def _drain(self) -> None:
        for sample in self._sampler.drain():
            self.take(sample)
