"""Makes runs that are broken or sound on purpose, and diagnoses each.

A drill is one of three things: a fault of the catalogue in the real engine (`faults/`), a fault of
the synthetic engine, or a control. A control is a cell of the profile `controls`, healthy or only
mismatched, in which no rule may find a bug. A drill is recorded like any run, and diagnosed from
its capture alone.
"""

import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from specprof import catalogue, registry
from specprof.capture import read_capture
from specprof.capture_writer import CaptureWriter
from specprof.engine.fault import Fault
from specprof.errors import CaptureUnreadable, UnknownName
from specprof.limits import check
from specprof.plan import AUTO, expand, read_profile
from specprof.recorder import record
from specprof.settings import RunSpec, Settings, Value

if TYPE_CHECKING:
    from specprof.analysis.evidence import Evidence
    from specprof.diagnosis.diagnose import Diagnosis
    from specprof.extend import Backend

Kind = Literal["fault", "made-up", "control"]
MADE_UP: dict[str, Value] = {
    "backend": "synthetic",
    "context": 4000,
    "stops": 8,
    "max_new_tokens": 160,
    "temperature": 1.0,
}
"""The run that shows faults of the synthetic engine, some 400 rounds."""


@dataclass(frozen=True, slots=True)
class Drill:
    """One run, and what is wrong with it."""

    name: str
    kind: Kind
    settings: Settings
    fault: type[Fault] | None = None
    """The fault to put into the real engine."""

    def make_backend(self) -> "Backend":
        """Return the backend that makes the run."""
        if self.kind == "made-up":
            from specprof.backends.synthetic import Synthetic

            return Synthetic(self.name)
        from specprof.backends.native import Native

        return Native(self.fault() if self.fault else None)


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """The result of one drill's diagnosis."""

    name: str
    kind: Kind
    seed: int
    accepted_per_reached: float | None
    rounds: int
    leading: str | None
    """The rule of the leading finding."""
    family: str | None
    """The family of the leading finding."""
    suspects: list[str]
    """The suspects of the leading finding."""
    bugs: list[str]
    """Every rule that found a bug."""
    found: list[str]
    """Every rule that found anything."""
    named: bool | None
    """For a fault: whether its case is the suspect, or one of two that leave the same signals.

    For a control: whether no bug was found. None for faults of the synthetic engine, which have no
    expected case.
    """
    grouped: bool | None
    """For a fault: whether a suspect is of its case's group."""
    sentence: str
    probes: list[str] = []
    """The probes that were run."""
    seconds: float


def names() -> dict[str, Kind]:
    """Return every drill's name and kind, without loading a drill."""
    from specprof.backends._tables import FAULTS

    faults = dict.fromkeys(registry.members("fault"), "fault")
    controls = {spec.label: "control" for spec in _controls()}
    found: dict[str, Kind] = {**faults, **controls, **dict.fromkeys(FAULTS, "made-up")}  # type: ignore[dict-item]
    return found


def drill(name: str, given: Mapping[str, Value] | None = None) -> Drill:
    """Return a drill by name, with the `given` settings replaced; a fault's slash may be a dash.

    Raises UnknownName for an unknown name, and UsageError for settings that can't be run.
    """
    known = names()
    asked = next((each for each in known if name in {each, each.replace("/", "-", 1)}), name)
    if asked not in known:
        raise UnknownName("drill", name, known)
    fault = None
    if known[asked] == "fault":
        from specprof.faults._settings import DRILL_SETTINGS

        fault = registry.get(Fault, asked)
        written = DRILL_SETTINGS | fault.settings
    elif known[asked] == "control":
        written = next(msgspec.to_builtins(s.settings) for s in _controls() if s.label == asked)
    else:
        written = MADE_UP
    settings = msgspec.convert({**written, **(given or {})}, Settings)
    check(settings)
    return Drill(asked, known[asked], settings, fault)


def play(
    drill: Drill, path: Path, settings: Settings | None = None, *, overwrite: bool = False
) -> "Evidence":
    """Record a drill in a capture at `path`, and return the evidence in it.

    With other `settings` it makes a probe's run of the same broken engine.
    """
    from specprof.analysis.columns import Columns
    from specprof.analysis.evidence import Evidence

    settings = settings or drill.settings
    spec = RunSpec(id="drill", profile="drill", settings=settings, label=drill.name)
    trouble, end = None, None
    with CaptureWriter(path, overwrite=overwrite) as writer:
        try:
            command = ["specprof", "drill", drill.name]
            end = record(drill.make_backend(), spec, writer, command=command)
        except Exception as broken:
            if drill.fault is None:
                raise
            # A broken engine may crash: its capture says how, and is judged like any other.
            trouble = broken
    if end and end.status == "interrupted":  # an interrupted drill is not judged
        raise KeyboardInterrupt(end.reason)
    try:
        capture, columns = read_capture(path), Columns()
    except CaptureUnreadable:
        if trouble:  # the run failed before its capture began
            raise trouble from None
        raise
    columns.damaged = capture.damaged
    columns.feed([capture.header, *capture.events])
    return Evidence(columns, name=str(path))


def judge(
    drill: Drill, path: Path | None = None, *, budget_s: float = 0.0, overwrite: bool = False
) -> tuple[Judged, "Diagnosis"]:
    """Run a drill, and diagnose it by its capture and by as many probes as `budget_s` allows.

    The capture is kept where a `path` is given; with `overwrite` it may replace a file.
    """
    from specprof.diagnosis import diagnose, probing

    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        numbers = count()

        def play_probe(name: str, settings: Settings) -> "Evidence":
            return play(drill, Path(folder) / f"{name}-{next(numbers)}.jsonl", settings)

        evidence = play(drill, path or Path(folder) / "drill.jsonl", overwrite=overwrite)
        diagnosis = diagnose(evidence)
        if budget_s:
            auto = [AUTO]
            diagnosis = probing.run_probes(diagnosis, evidence, auto, play_probe, budget_s=budget_s)
    return _sum_up(drill, evidence, diagnosis, time.monotonic() - started), diagnosis


def _sum_up(drill: Drill, evidence: "Evidence", made: "Diagnosis", seconds: float) -> Judged:
    places, leading = evidence.columns.places, made.leading
    suspects = list(leading.finding.suspects) if leading and leading.finding else []
    bugs = [each.rule for each in made.found if each.family == "bug"]
    named, grouped = _score(drill, suspects, bugs)
    return Judged(
        name=drill.name,
        kind=drill.kind,
        seed=drill.settings.seed,
        accepted_per_reached=round(float(places.accepted.mean()), 4) if len(places) else None,
        rounds=len(evidence.columns.rounds),
        leading=leading.rule if leading else None,
        family=leading.family if leading else None,
        suspects=suspects,
        bugs=bugs,
        found=[each.rule for each in made.found],
        named=named,
        grouped=grouped,
        sentence=made.sentence,
        probes=[each.rule for each in made.verdicts if each.probe],
        seconds=round(seconds, 1),
    )


def _score(drill: Drill, suspects: list[str], bugs: list[str]) -> tuple[bool | None, bool | None]:
    """Return `Judged.named` and `Judged.grouped`."""
    if drill.kind == "control" or drill.name == "none":
        return not bugs, None
    if drill.kind == "made-up":
        return None, None
    cases = catalogue.cases()
    groups = {cases[each].group for each in suspects if each in cases}
    case = cases[drill.name]
    alike = {drill.name, *case.alike}
    return drill.name in suspects and alike.issuperset(suspects), case.group in groups


def _controls() -> Iterator[RunSpec]:
    yield from expand(read_profile("controls"))
