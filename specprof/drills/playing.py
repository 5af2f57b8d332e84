"""Runs broken on purpose, or sound on purpose, and what the diagnosis makes of each.

A drill is a fault of the catalogue in the real engine (`faults/`), a fault of the made-up one, or a
control: a cell of the profile `controls`, healthy or merely mismatched, that nobody may accuse. It
is recorded like any run, and diagnosed from its capture alone.
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
"""What faults of the made-up engine are shown on, some 400 rounds."""


@dataclass(frozen=True, slots=True)
class Drill:
    """One thing to run, and what is wrong with it."""

    name: str
    kind: Kind
    settings: Settings
    fault: type[Fault] | None = None
    """Put into the real engine."""

    def backend(self) -> "Backend":
        """Return what plays it."""
        if self.kind == "made-up":
            from specprof.backends.synthetic import Synthetic

            return Synthetic(self.name)
        from specprof.backends.native import Native

        return Native(self.fault() if self.fault else None)


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """What one drill's diagnosis came to."""

    name: str
    kind: Kind
    seed: int
    accepted_per_reached: float | None
    rounds: int
    leading: str | None
    """The rule of the leading finding."""
    family: str | None
    """Of the leading finding."""
    suspects: list[str]
    """Of the leading finding."""
    bugs: list[str]
    """Every rule that found a bug."""
    found: list[str]
    """Every rule that found anything."""
    named: bool | None
    """A fault: whether its case is the suspect, or one of two that leave the same signals. A
    control: whether no bug was found. None where nobody says what is right."""
    grouped: bool | None
    """A fault: whether a suspect is of its case's group."""
    sentence: str
    probes: list[str] = []
    """Those that were run, where any could be."""
    seconds: float


def names() -> dict[str, Kind]:
    """Return every drill's name, loading none of them."""
    from specprof.backends._tables import FAULTS

    faults = dict.fromkeys(registry.members("fault"), "fault")
    controls = {spec.label: "control" for spec in _controls()}
    found: dict[str, Kind] = {**faults, **controls, **dict.fromkeys(FAULTS, "made-up")}  # type: ignore[dict-item]
    return found


def drill(name: str, given: Mapping[str, Value] | None = None) -> Drill:
    """Return a drill by name, with settings of it replaced; a fault's slash may be a dash."""
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
    one: Drill, path: Path, settings: Settings | None = None, *, overwrite: bool = False
) -> "Evidence":
    """Record a drill in a capture at `path`, and return the evidence in it.

    With other `settings` it is a probe's run: just as broken.
    """
    from specprof.analysis.columns import Columns
    from specprof.analysis.evidence import Evidence

    spec = RunSpec(id="drill", profile="drill", settings=settings or one.settings, label=one.name)
    trouble, end = None, None
    with CaptureWriter(path, overwrite=overwrite) as writer:
        try:
            told = ["specprof", "drill", one.name]
            end = record(one.backend(), spec, writer, command=told)
        except Exception as broken:
            if one.fault is None:
                raise
            # A broken engine may well crash: its capture says how, and is judged like any other.
            trouble = broken
    if end and end.status == "interrupted":  # what was played of it is judged by nobody
        raise KeyboardInterrupt(end.reason)
    try:
        capture, columns = read_capture(path), Columns()
    except CaptureUnreadable:
        if trouble:  # it never began
            raise trouble from None
        raise
    columns.damaged = capture.damaged
    columns.feed([capture.header, *capture.events])
    return Evidence(columns, name=str(path))


def judge(
    one: Drill, path: Path | None = None, *, budget_s: float = 0.0, overwrite: bool = False
) -> tuple[Judged, "Diagnosis"]:
    """Run a drill and diagnose it, by its capture and as many probes as `budget_s` allows.

    The capture is kept where a `path` is given; `overwrite` what is there.
    """
    from specprof.diagnosis import diagnose, probing

    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        numbers = count()

        def played(name: str, settings: Settings) -> "Evidence":
            return play(one, Path(folder) / f"{name}-{next(numbers)}.jsonl", settings)

        evidence = play(one, path or Path(folder) / "drill.jsonl", overwrite=overwrite)
        diagnosis = diagnose(evidence)
        if budget_s:
            auto = [AUTO]
            diagnosis = probing.judged(diagnosis, evidence, auto, played, budget_s=budget_s)
    return _summed_up(one, evidence, diagnosis, time.monotonic() - started), diagnosis


def _summed_up(one: Drill, evidence: "Evidence", made: "Diagnosis", seconds: float) -> Judged:
    places, leading = evidence.columns.places, made.leading
    suspects = list(leading.finding.suspects) if leading and leading.finding else []
    bugs = [each.rule for each in made.found if each.family == "bug"]
    named, grouped = _right(one, suspects, bugs)
    return Judged(
        name=one.name,
        kind=one.kind,
        seed=one.settings.seed,
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


def _right(one: Drill, suspects: list[str], bugs: list[str]) -> tuple[bool | None, bool | None]:
    if one.kind == "control" or one.name == "none":
        return not bugs, None
    if one.kind == "made-up":
        return None, None
    cases = catalogue.cases()
    groups = {cases[each].group for each in suspects if each in cases}
    alike = {one.name, *cases[one.name].alike}
    return one.name in suspects and alike.issuperset(suspects), cases[one.name].group in groups


def _controls() -> Iterator[RunSpec]:
    yield from expand(read_profile("controls"))
