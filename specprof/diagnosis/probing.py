"""Chooses the next probe to run, runs it, and changes the diagnosis by its outcome.

Knows verdicts, probes and times, but not how a run is made: the caller passes `play`, which turns
settings into evidence, in another process or in this one with a fault still in place. A probe is
worth its time only while a verdict depends on it: a verdict that it may overturn or confirm, or a
verdict that no rule could reach.
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
from specprof.diagnosis.diagnose import Diagnosis, sum_up
from specprof.diagnosis.outcomes import check_outcome
from specprof.diagnosis.own_loops import CANT_PROBE, is_own_loop
from specprof.diagnosis.verdict import Verdict
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
from specprof.records import Header
from specprof.settings import Settings

LAST_COUNTED_PLACE = last_place(Stage.BOOKKEEPING)
"""Up to this place of the decision table, findings rest on counts, which no run can overturn."""
MIN_MISMATCH = 0.1
"""The share of rejections due to the laws from which the cause is worth a probe."""
GUESSED_TOKEN_S = 1e-3
"""Taken where the capture holds no time."""
PASSES_PER_SCAN = 12
"""How often a scan reads the text, about."""
PlayRun = Callable[[str, Settings], Evidence]
"""Makes one run for the probe of that name."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A probe that may be run next."""

    name: str
    probe: Probe
    settings: Sequence[Settings]
    seconds: float
    """How long its runs should take, estimated from the capture's own times."""
    why: str


@dataclass(frozen=True, slots=True)
class Subject:
    """A question that a probe could settle."""

    rules: frozenset[str]
    why: str
    families: frozenset[str] | None = None
    """Only probes whose own findings are of these families; None: any probe."""


def choose(names: Iterable[str], evidence: Evidence, also: Iterable[Path] = ()) -> list[Choice]:
    """Return the named probes, in that order.

    Raises UnknownName for an unknown name, and UsageError for a probe that doesn't apply.
    """
    known = _probes(also)
    found = list[Choice]()
    for name in names:
        if name not in known:
            raise UnknownName("probe", name, [AUTO, *known])
        choice = _make_choice(name, known[name], evidence, "asked for")
        if choice is None:
            title = f"the probe {name} can't be run on {evidence.name or 'this capture'}"
            raise UsageError(title, _explain_refusal(name, evidence.header))
        found.append(choice)
    return found


def _explain_refusal(name: str, header: Header) -> str:
    if is_own_loop(header):
        return CANT_PROBE
    settings = header.spec.settings
    if settings.backend != "native":
        made = f"this capture was made by {settings.backend!r}"
        return f"probes can only repeat runs of specprof's own engine, and {made}"
    return f"the capture's settings rule it out: specprof explain {name}"


def keep_fitting(names: Iterable[str], evidence: Evidence) -> list[str]:
    """Return the names of the probes that can be run on this capture; `auto` always can."""
    known = _probes()
    return [
        name
        for name in names
        if name == AUTO or (name in known and _ask_runs(name, known[name], evidence))
    ]


def next_probe(
    diagnosis: Diagnosis,
    evidence: Evidence,
    done: Mapping[str, Outcome],
    budget_s: float,
    also: Iterable[Path] = (),
) -> Choice | None:
    """Return the probe that matters most to the diagnosis and fits the budget; None where none.

    The subjects come in this order: the leading finding, a mismatch without a named cause, rules
    that couldn't judge. Of the probes that bear on a subject, those that may overturn it come
    first, then the quicker ones.
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
            and (choice := _make_choice(name, probe, evidence, subject.why))
            and choice.seconds <= budget_s
        ]
        if choices:
            return min(choices, key=lambda each: (not _overturns(each, subject), each.seconds))
    return None


def explain_idle(diagnosis: Diagnosis, evidence: Evidence, also: Iterable[Path] = ()) -> str:
    """Say why `auto` ran no probe for a diagnosis."""
    if is_own_loop(evidence.columns.header):
        return CANT_PROBE
    leading = diagnosis.leading
    if leading and leading.place <= LAST_COUNTED_PLACE:
        return f"{leading.rule} leads; it rests on counts, which no run could overturn"
    choice = next_probe(diagnosis, evidence, {}, float("inf"), also)
    if choice:
        return f"{choice.name} should take {choice.seconds:.0f} s, more than the budget"
    return "no verdict depends on a run that could be made"


def run_probes(
    diagnosis: Diagnosis,
    evidence: Evidence,
    names: Sequence[str],
    play: PlayRun,
    *,
    budget_s: float = float("inf"),
    announce: Callable[[Choice], None] = lambda _: None,
    also: Iterable[Path] = (),
) -> Diagnosis:
    """Run the named probes, or with `auto` those that matter; return the diagnosis after them.

    `announce` is called with each probe before it runs. A run that several probes ask for is made
    once. When a probe took longer than estimated, that excess is added to the later estimates.
    Raises UsageError where a named probe does not fit what is left of the budget.
    """
    made: dict[Settings, Evidence] = {}
    done: dict[str, Outcome] = {}
    began, late, auto = time.monotonic(), 0.0, AUTO in names
    rest = choose([name for name in names if name != AUTO], evidence, also)
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
        announce(choice)
        started = time.monotonic()
        outcome = done[choice.name] = _run_and_judge(choice, evidence, made, play)
        late = max(late, time.monotonic() - started - choice.seconds)
        diagnosis = _add_verdict(diagnosis, evidence, choice, outcome)


def estimate_s(settings: Settings, columns: Columns) -> float:
    """Estimate a run's time from a capture of the same pair of models on the same machine."""
    target_s, draft_s = (_feeding_s(columns, side) for side in ("target", "draft"))
    prefill_ns = sum(one.wall_ns for one in columns.prefills)
    decoding_ns = sum(one.wall_ns for one in columns.bursts) - prefill_ns
    emitted = sum(one.emitted for one in columns.bursts)
    token_s = decoding_ns / 1e9 / emitted if emitted else GUESSED_TOKEN_S
    loading_s = max(_loading_s(columns), 1.0)
    deep = stops(settings)
    if settings.workload == "scan":
        return loading_s + PASSES_PER_SCAN * settings.context * (target_s + draft_s)
    if settings.workload == "overlap":
        shown = len(deep) * settings.max_new_tokens * (settings.view or 0)
        if settings.gap:  # a forward for each stop
            shown = sum(deep)
        return loading_s + settings.context * (target_s + draft_s) + shown * draft_s
    rechecked = sum(each for each in deep if each <= settings.recheck_context)
    fed = (settings.context + rechecked) * settings.batch * (target_s + draft_s)
    return loading_s + len(deep) * settings.max_new_tokens * settings.batch * token_s + fed


def _feeding_s(columns: Columns, side: str) -> float:
    """Return the time one model takes for a token of known text, by the median of the prefills.

    The quickest prefill would be nearer, because a short one takes longer for each token. But a
    capture may come from anywhere, and one tiny number in it would then decide.
    """
    found = [
        span.ns / 1e9 / one.fed
        for one in columns.prefills
        for span in one.spans
        if span.name == f"prefill-{side}" and one.fed
    ]
    return statistics.median(found) if found else GUESSED_TOKEN_S


def _loading_s(columns: Columns) -> float:
    """Return the time a run took before its first burst: loading and warming up."""
    if columns.end is None:
        return 0.0
    ended_ns = [one.start_ns + one.wall_ns for one in columns.bursts]
    return (columns.end.wall_ns - max(ended_ns, default=columns.end.wall_ns)) / 1e9


def _subjects(diagnosis: Diagnosis, settled: set[str]) -> list[Subject]:
    """Return the open questions, the most important first; none where no run could change one."""
    found, leading = list[Subject](), diagnosis.leading
    if leading and leading.place <= LAST_COUNTED_PLACE:
        return []
    if leading and not leading.probe and leading.rule not in settled:
        why = f"it would confirm or overturn {leading.rule}"
        found.append(Subject(frozenset({leading.rule}), why))
    bugs = [each for each in diagnosis.found if each.family == "bug"]
    if bugs:
        return found
    if _is_unexplained(diagnosis):
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


def _is_unexplained(diagnosis: Diagnosis) -> bool:
    """Return whether the mismatch is large and no probe has named its cause."""
    chain = diagnosis.attribution
    named = any(each.probe and each.family == "mismatch" for each in diagnosis.found)
    return chain is not None and chain.mismatch.frac.value >= MIN_MISMATCH and not named


def _overturns(choice: Choice, subject: Subject) -> bool:
    return bool((choice.probe.clears | choice.probe.corrects) & subject.rules)


def _make_choice(name: str, probe: Probe, evidence: Evidence, why: str) -> Choice | None:
    """Return the probe with its runs and their estimated time; None where it doesn't apply."""
    settings = _ask_runs(name, probe, evidence)
    took = sum(estimate_s(each, evidence.columns) for each in settings)
    return Choice(name, probe, settings, took, why) if settings else None


def _ask_runs(name: str, probe: Probe, evidence: Evidence) -> list[Settings]:
    """Return the runs a probe asks for; none, with a warning, where asking it fails."""
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


def _run_and_judge(
    choice: Choice, evidence: Evidence, made: dict[Settings, Evidence], play: PlayRun
) -> Outcome:
    """Make the runs that are not made yet, and judge; a failure becomes the outcome."""
    try:
        for each in choice.settings:
            if each not in made:
                made[each] = play(choice.name, each)
        return check_outcome(choice.probe.judge(evidence, [made[each] for each in choice.settings]))
    except MissingEvidence as missing:
        return Unknown(reason=f"{missing.title}; {missing.hint}")
    except SpecprofError as error:
        return Unknown(reason=f"a run could not be made: {error.title}")
    except STOPPED:
        raise
    except BaseException as error:  # noqa: BLE001 - a broken probe must not hide the diagnosis
        return Crashed(error=summarise_error(error))


def _add_verdict(
    diagnosis: Diagnosis, evidence: Evidence, choice: Choice, outcome: Outcome
) -> Diagnosis:
    """Return the diagnosis with the probe's verdict, and without the findings it overturns."""
    probe = choice.probe
    gone = probe.corrects if isinstance(outcome, Found) else frozenset[str]()
    gone |= probe.clears if isinstance(outcome, Clear) else frozenset[str]()
    standing = place(choice.name, probe.stage)
    verdicts = [
        replace(each, outcome=Unknown(reason=f"overturned by the probe {choice.name}"))
        if each.rule in gone and _is_overturned(each, probe, outcome, standing)
        else each
        for each in diagnosis.verdicts
    ]
    verdicts.append(Verdict(choice.name, probe.family, outcome, standing, probe=True))
    return sum_up(evidence, verdicts)


def _is_overturned(each: Verdict, probe: Probe, outcome: Outcome, standing: float) -> bool:
    """Return whether a probe's outcome is strong enough to withdraw a rule's finding.

    What a probe found explains only findings that stand behind it in the decision table, and no
    finding of another kind than a bug explains a bug away.
    """
    if not (each.finding or each.consequence) or each.probe:
        return False
    if isinstance(outcome, Clear):
        return True
    return each.place > standing and (probe.family == "bug" or each.family != "bug")


def _probes(also: Iterable[Path] = ()) -> dict[str, Probe]:
    """Return every probe by name."""
    return registry.load_usable(Probe, also)
