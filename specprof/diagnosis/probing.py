"""Which controlled change to try next, and what its outcome does to a diagnosis.

Knows verdicts, probes and times; not how a run is made: whoever asks hands in `played`, which turns
settings into evidence, in another process or in this one with a fault still in place. A probe is
worth its time only while a verdict hangs on it: one that would be overturned or confirmed, or one
that couldn't be reached.
"""

import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from specprof import registry
from specprof.analysis.columns import Columns
from specprof.analysis.evidence import Evidence
from specprof.decision_table import last_place, place
from specprof.diagnosis.diagnose import Diagnosis, Verdict, summed_up
from specprof.diagnosis.outcomes import sound
from specprof.errors import (
    STOPPED,
    MissingEvidence,
    SpecprofError,
    UnknownName,
    UsageError,
    summarise_error,
)
from specprof.extend import Probe
from specprof.findings import Clear, Crashed, Found, Outcome, Stage, Unknown
from specprof.plan import AUTO, stops
from specprof.settings import Settings

COUNTED = last_place(Stage.BOOKKEEPING)
"""Up to this place of the decision table findings rest on counting: no run could overturn them."""
MISMATCHED = 0.1
"""A share of rejections owed to the laws that is worth a cause."""
GUESSED_S = 1e-3
"""A token's time where the capture tells none."""
CONVENTIONS = 12
"""Readings of the text a scan makes, about."""
Played = Callable[[str, Settings], Evidence]
"""Makes one run of the probe of that name."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A probe worth running."""

    name: str
    probe: Probe
    settings: Sequence[Settings]
    seconds: float
    """What its runs should take, by the capture's own times."""
    why: str


@dataclass(frozen=True, slots=True)
class Subject:
    """What a probe could settle."""

    rules: frozenset[str]
    why: str
    families: frozenset[str] | None = None
    """Only probes whose own findings are of these; None: any."""


def chosen(names: Iterable[str], evidence: Evidence, also: Iterable[Path] = ()) -> list[Choice]:
    """Return the named probes, in that order; refuse unknown names and those that don't apply."""
    known = _probes(also)
    found = list[Choice]()
    for name in names:
        if name not in known:
            raise UnknownName("probe", name, [AUTO, *known])
        choice = _choice(name, known[name], evidence, "asked for")
        if choice is None:
            title = f"the probe {name} can't be made of {evidence.name or 'this capture'}"
            raise UsageError(title, _ruled_out(name, evidence.header.spec.settings))
        found.append(choice)
    return found


def _ruled_out(name: str, settings: Settings) -> str:
    if settings.backend != "native":
        made = f"this one is of {settings.backend!r}"
        return f"only runs of specprof's own engine can be made again, and {made}"
    return f"its settings rule it out: specprof explain {name}"


def fitting(names: Iterable[str], evidence: Evidence) -> list[str]:
    """Return those of the names that can be made of this capture; `auto` always can."""
    known = _probes()
    return [
        name
        for name in names
        if name == AUTO or (name in known and _runs(name, known[name], evidence))
    ]


def next_probe(
    diagnosis: Diagnosis,
    evidence: Evidence,
    done: Mapping[str, Outcome],
    budget_s: float,
    also: Iterable[Path] = (),
) -> Choice | None:
    """Return the probe the diagnosis hangs on most that fits the budget; None where none does.

    Subjects in turn: the leading finding, a mismatch without a named cause, what couldn't be
    judged. Of the probes that bear on one, those that may overturn it come first, then the quick.
    """
    known = {name: probe for name, probe in _probes(also).items() if name not in done}
    settled = {
        rule
        for name, outcome in done.items()
        if isinstance(outcome, Found | Clear)
        for rule in _probes(also)[name].bears_on
    }
    for subject in _subjects(diagnosis, settled):
        choices = [
            choice
            for name, probe in known.items()
            if probe.bears_on & subject.rules
            and (subject.families is None or probe.family in subject.families)
            and (choice := _choice(name, probe, evidence, subject.why))
            and choice.seconds <= budget_s
        ]
        if choices:
            return min(choices, key=lambda each: (not _overturns(each, subject), each.seconds))
    return None


def idle(diagnosis: Diagnosis, evidence: Evidence, also: Iterable[Path] = ()) -> str:
    """Say why `auto` makes no probe of a diagnosis, within whatever budget it had."""
    leading = diagnosis.leading
    if leading and leading.place <= COUNTED:
        return f"{leading.rule} leads, which rests on counting: no run could overturn it"
    choice = next_probe(diagnosis, evidence, {}, float("inf"), also)
    if choice:
        return f"{choice.name} should take {choice.seconds:.0f} s, more than the budget"
    return "no verdict hangs on a run that could be made"


def judged(
    diagnosis: Diagnosis,
    evidence: Evidence,
    names: Sequence[str],
    played: Played,
    *,
    budget_s: float = float("inf"),
    told: Callable[[Choice], None] = lambda _: None,
    also: Iterable[Path] = (),
) -> Diagnosis:
    """Run the named probes, or with `auto` those the diagnosis hangs on; return what it becomes.

    `told` hears of each before it is run. Runs that several probes make are made once. A probe
    that took longer than it was told to makes the next ones' estimates that much longer.
    """
    made: dict[Settings, Evidence] = {}
    done: dict[str, Outcome] = {}
    began, late, auto = time.monotonic(), 0.0, AUTO in names
    rest = chosen([name for name in names if name != AUTO], evidence, also)
    while True:
        left = budget_s - (time.monotonic() - began)
        choice = rest.pop(0) if rest else None
        if choice is None and auto:
            choice = next_probe(diagnosis, evidence, done, left - late, also)
        if choice is None:
            return diagnosis
        if choice.seconds + late > left:
            title = f"the probe {choice.name} should take {choice.seconds + late:.0f} s, and "
            title += f"{max(left, 0):.0f} s of the budget are left"
            raise UsageError(title, "raise --budget, or leave it out for no bound")
        told(choice)
        started = time.monotonic()
        outcome = done[choice.name] = _outcome(choice, evidence, made, played)
        late = max(late, time.monotonic() - started - choice.seconds)
        diagnosis = _with(diagnosis, evidence, choice, outcome)


def seconds(settings: Settings, columns: Columns) -> float:
    """Return what a run should take, by the times of a capture of the same pair on this machine."""
    target_s, draft_s = (_feeding_s(columns, side) for side in ("target", "draft"))
    prefill_ns = sum(one.wall_ns for one in columns.prefills)
    decoding_ns = sum(one.wall_ns for one in columns.bursts) - prefill_ns
    emitted = sum(one.emitted for one in columns.bursts)
    token_s = decoding_ns / 1e9 / emitted if emitted else GUESSED_S
    loading_s = max(_loading_s(columns), 1.0)
    deep = stops(settings)
    if settings.workload == "scan":
        return loading_s + CONVENTIONS * settings.context * (target_s + draft_s)
    if settings.workload == "overlap":
        shown = len(deep) * settings.max_new_tokens * (settings.view or 0)
        if settings.gap:  # a forward for each stop
            shown = sum(deep)
        return loading_s + settings.context * (target_s + draft_s) + shown * draft_s
    rechecked = sum(each for each in deep if each <= settings.recheck_context)
    fed = (settings.context + rechecked) * settings.batch * (target_s + draft_s)
    return loading_s + len(deep) * settings.max_new_tokens * settings.batch * token_s + fed


def _feeding_s(columns: Columns, side: str) -> float:
    """Return a known token's time in one of the models, by the median of the prefills.

    The quickest would be nearer, as short ones take longer for each token; but a file is anybody's,
    and one tiny number in it would decide.
    """
    found = [
        span.ns / 1e9 / one.fed
        for one in columns.prefills
        for span in one.spans
        if span.name == f"prefill-{side}" and one.fed
    ]
    return statistics.median(found) if found else GUESSED_S


def _loading_s(columns: Columns) -> float:
    """Return the time of a run before its clock began: loading and warming up."""
    if columns.end is None:
        return 0.0
    ended_ns = [one.start_ns + one.wall_ns for one in columns.bursts]
    return (columns.end.wall_ns - max(ended_ns, default=columns.end.wall_ns)) / 1e9


def _subjects(diagnosis: Diagnosis, settled: set[str]) -> list[Subject]:
    """Return what is worth settling, the most first; nothing where no run could change it."""
    found, leading = list[Subject](), diagnosis.leading
    if leading and leading.place <= COUNTED:
        return []
    if leading and not leading.probe and leading.rule not in settled:
        why = f"it would confirm or overturn {leading.rule}"
        found.append(Subject(frozenset({leading.rule}), why))
    bugs = [each for each in diagnosis.found if each.family == "bug"]
    if bugs:
        return found
    if _unexplained(diagnosis):
        causes = {each.rule for each in diagnosis.verdicts if each.family == "mismatch"}
        found.append(
            Subject(frozenset(causes), "it may name the mismatch's cause", frozenset({"mismatch"}))
        )
    unknown = [
        each.rule
        for each in diagnosis.verdicts
        if isinstance(each.outcome, Unknown) and each.family == "bug" and each.rule not in settled
    ]
    return [
        *found,
        *(Subject(frozenset({each}), f"{each} couldn't be judged") for each in unknown),
    ]


def _unexplained(diagnosis: Diagnosis) -> bool:
    """Whether much is owed to a mismatch and no probe has named its cause."""
    chain = diagnosis.attribution
    named = any(each.probe and each.family == "mismatch" for each in diagnosis.found)
    return chain is not None and chain.mismatch.frac.value >= MISMATCHED and not named


def _overturns(choice: Choice, subject: Subject) -> bool:
    return bool((choice.probe.clears | choice.probe.corrects) & subject.rules)


def _choice(name: str, probe: Probe, evidence: Evidence, why: str) -> Choice | None:
    """Return the probe with its runs and their time; None where it doesn't apply."""
    settings = _runs(name, probe, evidence)
    took = sum(seconds(each, evidence.columns) for each in settings)
    return Choice(name, probe, settings, took, why) if settings else None


def _runs(name: str, probe: Probe, evidence: Evidence) -> list[Settings]:
    """Return the runs a probe asks for; none of one that fails to say, which is told."""
    try:
        asked = probe.runs(evidence.header)
    except STOPPED:
        raise
    except BaseException as trouble:
        if type(probe).__module__.startswith("specprof."):
            raise
        registry.leave_out(f"the probe {name}", trouble)
        return []
    if not isinstance(asked, list) or not all(isinstance(each, Settings) for each in asked):
        registry.leave_out(f"the probe {name}", "its runs are no list of settings")
        return []
    return asked


def _outcome(
    choice: Choice, evidence: Evidence, made: dict[Settings, Evidence], played: Played
) -> Outcome:
    """Make the runs that are not made yet, and judge; what fails is told, not raised."""
    try:
        for each in choice.settings:
            if each not in made:
                made[each] = played(choice.name, each)
        return sound(choice.probe.judge(evidence, [made[each] for each in choice.settings]))
    except MissingEvidence as missing:
        return Unknown(reason=f"{missing.title}; {missing.hint}")
    except SpecprofError as error:
        return Unknown(reason=f"a run could not be made: {error.title}")
    except STOPPED:
        raise
    except BaseException as error:  # noqa: BLE001 - it must not hide the diagnosis
        return Crashed(error=summarise_error(error))


def _with(diagnosis: Diagnosis, evidence: Evidence, choice: Choice, outcome: Outcome) -> Diagnosis:
    """Return the diagnosis with the probe's verdict, and without the findings it overturns."""
    probe = choice.probe
    gone = probe.corrects if isinstance(outcome, Found) else frozenset[str]()
    gone |= probe.clears if isinstance(outcome, Clear) else frozenset[str]()
    verdicts = [
        replace(each, outcome=Unknown(reason=f"overturned by the probe {choice.name}"))
        if each.finding and not each.probe and each.rule in gone
        else each
        for each in diagnosis.verdicts
    ]
    standing = place(choice.name, probe.stage)
    verdicts.append(Verdict(choice.name, probe.family, outcome, standing, probe=True))
    return summed_up(evidence, verdicts)


def _probes(also: Iterable[Path] = ()) -> dict[str, Probe]:
    """Return every probe by name."""
    return registry.load_usable(Probe, also)
