"""Which probe is run next, what it costs, and what its outcome does to the diagnosis."""

from dataclasses import replace

import msgspec
import pytest

import captures
from specprof import registry
from specprof.analysis.columns import Columns
from specprof.analysis.evidence import Evidence
from specprof.decision_table import PLACE_WITHOUT_STAGE, place
from specprof.diagnosis import diagnose
from specprof.diagnosis.diagnose import Diagnosis, Verdict, sum_up
from specprof.diagnosis.probing import choose, estimate_s, next_probe, run_probes
from specprof.errors import MissingEvidence, UnknownName, UsageError
from specprof.extend import Probe
from specprof.findings import Clear, Crashed, Finding, Found, Stage, Unknown
from specprof.limits import check
from specprof.records import Overlaps, Prefill, Scan
from specprof.settings import Settings

HEADINGS = ["Changes", "Confirms", "Overturns", "Does not see"]
PROBES = registry.members("probe")


def taken(events):
    columns = Columns()
    columns.feed(events)
    return Evidence(columns, name="run")


def evidence(fault="none", **given):
    """A synthetic capture that says it is the engine's own, so that its runs can be varied."""
    given = {"stops": 8, "max_new_tokens": 120, "context": 4000} | given
    header, *rest = captures.events(fault, **given)
    settings = msgspec.structs.replace(header.spec.settings, backend="native")
    spec = msgspec.structs.replace(header.spec, settings=settings)
    return taken([msgspec.structs.replace(header, spec=spec), *rest])


def read(settings, overlap):
    """A run of the workload `overlap` whose places are owed `overlap` of their context."""
    header = captures.events()[0]
    header = msgspec.structs.replace(
        header, spec=msgspec.structs.replace(header.spec, settings=settings)
    )
    places = range(1, settings.context - settings.shift)
    made = [round(overlap(each), 5) for each in places]
    return taken([header, Overlaps(
        context=1, overlap=made, agree=[0] * len(made), target_nll=[2.0] * len(made),
        draft_nll=[2.5] * len(made), start_ns=0, wall_ns=1,
    )])  # fmt: skip


def made_up(*verdicts):
    return Diagnosis("run", "", None, None, verdicts)


def bug(rule, place=PLACE_WITHOUT_STAGE, family="bug"):
    return Verdict(rule, family, Found(finding=Finding(message="x", measures=(), remedy="")), place)


def never(name, settings):
    raise AssertionError((name, settings))


@pytest.mark.parametrize("name", PROBES)
def test_a_probe_explains_itself_under_the_headings(name):
    """What it changes, confirms, overturns and can't see, in that order."""
    lines = PROBES[name].docstring.splitlines()
    places = [lines.index(each) for each in HEADINGS]
    assert places == sorted(places)
    assert all(lines[place + 1].startswith("    ") for place in places)


@pytest.mark.parametrize("name", PROBES)
@pytest.mark.parametrize(
    "given",
    [
        {},
        {"temperature": 0.0},
        {"draft_cache": "sink-window", "window": 64},
        {"drafter": "ngram", "draft": None},
        {"drafter": "eagle", "draft": "pocket/eagle"},
        {"shape": "static-tree"},
        {"batch": 3},
        {"context": 100},
        {"drafter": "none", "draft": None, "depth": 0},
    ],
    ids=str,
)
def test_a_probe_asks_only_for_runs_that_can_be_made(name, given):
    """Whatever the capture: each run passes the checks, or none is asked for."""
    header = evidence().header
    settings = msgspec.structs.replace(header.spec.settings, **given)
    spec = msgspec.structs.replace(header.spec, settings=settings)
    probe = registry.load(Probe, PROBES[name])()
    for each in probe.runs(msgspec.structs.replace(header, spec=spec)):
        check(each)
        assert each != settings or name in {"shifted-control", "temp-zero", "k-sweep"}


def test_other_engines_runs_are_not_made_again():
    """Their settings say nothing of their own."""
    foreign = taken(captures.events())
    for name, member in PROBES.items():
        assert registry.load(Probe, member)().runs(foreign.header) == [], name


@pytest.mark.parametrize(
    ("rule", "family", "expected"),
    [
        ("draft-state-drifts", "bug", {"self-draft", "perturbed-self"}),
        ("accept-rule-unfair", "bug", {"self-draft", "temp-zero", "temperature-extremes"}),
        ("position-range-exceeded", "mismatch", {"short-view", "shifted-control", "recompute"}),
    ],
)
def test_the_leading_verdict_is_what_is_probed(rule, family, expected):
    """By a probe that bears on it, and that says why."""
    found = next_probe(made_up(bug(rule, family=family)), evidence(), {}, 1e9)
    assert found.name in expected
    assert rule in found.why
    assert found.seconds > 0


def test_what_counting_shows_is_not_probed():
    """A broken length stands whatever a run says."""
    assert (
        next_probe(
            made_up(bug("cache-length-wrong", place("cache-length-wrong", Stage.BOOKKEEPING))),
            evidence(),
            {},
            1e9,
        )
        is None
    )


def test_a_probe_beyond_the_budget_is_not_chosen():
    """The next best that fits is, or none."""
    diagnosis = made_up(bug("draft-state-drifts"))
    assert next_probe(diagnosis, evidence(), {}, 0.5) is None
    free = next_probe(diagnosis, evidence(), {}, 1e9)
    assert next_probe(diagnosis, evidence(), {}, free.seconds) is not None


def test_a_settled_verdict_is_left_alone():
    """One probe that said something is enough; one that couldn't is not."""
    diagnosis = made_up(bug("draft-state-drifts"))
    first = next_probe(diagnosis, evidence(), {}, 1e9)
    assert next_probe(diagnosis, evidence(), {first.name: Clear(detectable="")}, 1e9) is None
    again = next_probe(diagnosis, evidence(), {first.name: Unknown(reason="")}, 1e9)
    assert again is not None
    assert again.name != first.name


def test_nothing_found_and_nothing_unknown_asks_for_nothing():
    """A clean bill needs no further run."""
    clean = made_up(Verdict("draft-state-drifts", "bug", Clear(detectable="")))
    assert next_probe(clean, evidence(), {}, 1e9) is None


def test_what_could_not_be_judged_is():
    """An Unknown of family bug is worth a run."""
    blind = made_up(Verdict("self-draft-disagrees", "bug", Unknown(reason="other models")))
    found = next_probe(blind, evidence(), {}, 1e9)
    assert "self-draft-disagrees" in found.probe.bears_on
    assert found.why == "self-draft-disagrees couldn't be judged"


def test_a_short_view_that_recovers_names_the_cause():
    """Overlap falls past the trained length and a view brings it back: found, and leading."""
    capture = evidence()
    known = capture.header.draft.trained_context

    def played(_, settings):
        fallen = 0.3 if settings.view is None else 0.7
        return read(settings, lambda context: 0.7 if context < known else fallen)

    after = run_probes(diagnose(capture), capture, ["short-view"], played)
    (verdict,) = [each for each in after.verdicts if each.probe]
    assert verdict.family == "mismatch"
    assert verdict.finding.suspects == ("mismatch/context-beyond-training",)
    assert [each.value for each in verdict.finding.measures] == pytest.approx([0.7, 0.3, 0.7, 0.4])
    assert verdict.finding.message in after.sentence


def test_a_short_view_that_does_not_overturns_the_blame_of_a_length():
    """The finding becomes Unknown, and says by what."""
    capture = evidence()
    before = diagnose(capture)
    blamed = [replace(each, outcome=bug("x").outcome) if each.rule == "position-range-exceeded"
              else each for each in before.verdicts]  # fmt: skip
    before = replace(before, verdicts=tuple(blamed))
    after = run_probes(before, capture, ["short-view"], lambda _, each: read(each, lambda _: 0.6))
    (rule,) = [each for each in after.verdicts if each.rule == "position-range-exceeded"]
    assert rule.outcome == Unknown(reason="overturned by the probe short-view")
    assert not [each for each in after.found if each.family == "bug"]


@pytest.mark.parametrize(("middle", "told"), [(0.5, 7), (0.31, 11)])
def test_the_smallest_larger_draft_that_gains_is_named(middle, told):
    """The last rung is all but the target, and gains always; every rung's gain is measured."""
    capture = layered(evidence())

    def played(_, settings):
        owed = {None: 0.3, 7: middle, 11: 0.8}[settings.exit_layer]
        return read(settings, lambda _: owed)

    finding = run_probes(diagnose(capture), capture, ["draft-ladder"], played).verdicts[-1].finding
    assert f"the target's first {told} layers, overlaps" in finding.message
    assert len(finding.measures) == 3
    assert "--sweep exit_layer=7,11" in finding.remedy


def layered(capture):
    """The evidence, of a draft that is the target's first 3 layers of 12."""
    header = capture.header
    settings = msgspec.structs.replace(header.spec.settings, drafter="layer-skip", draft=None)
    capture.header = msgspec.structs.replace(
        header,
        spec=msgspec.structs.replace(header.spec, settings=settings),
        target=msgspec.structs.replace(header.target, layers=12),
        draft=msgspec.structs.replace(header.draft, layers=3),
    )
    return capture


def test_a_wider_windows_gain_is_told_by_its_width():
    """Four times as wide, and all: each under its own name."""
    capture = evidence(draft_cache="sink-window", window=64)

    def played(_, settings):
        owed = {64: 0.4, 256: 0.5}[settings.window] if settings.draft_cache != "dense" else 0.6
        return read(settings, lambda _: owed)

    finding = run_probes(diagnose(capture), capture, ["window-sweep"], played).verdicts[-1].finding
    assert [each.name.rpartition(", ")[2] for each in finding.measures] == [
        "own window", "window 256", "no window",
    ]  # fmt: skip
    assert [each.value for each in finding.measures] == pytest.approx([0.4, 0.1, 0.2])


def test_what_was_not_rechecked_is_no_caveat_once_it_was():
    """A silent recompute takes it from the sentence; any other probe leaves it there."""
    capture = evidence(context=8000)
    before = diagnose(capture)
    assert "were not rechecked may hold a wrong state" in before.sentence
    for probe, stays in (("recompute", False), ("k-sweep", True)):
        verdict = Verdict(probe, "bug", Clear(detectable="x"), probe=True)
        after = sum_up(capture, [*before.verdicts, verdict]).sentence
        assert ("not rechecked" in after) is stays
        assert ("no implementation bug shows" in after) is not stays


@pytest.mark.parametrize(("kept", "found"), [(0.1, Clear), (0.6, Found)])
def test_a_shifted_law_must_not_agree(kept, found):
    """A control that fails says that the overlap means nothing."""
    capture = evidence()

    def played(_, settings):
        return read(settings, lambda _: kept if settings.shift else 0.6)

    after = run_probes(diagnose(capture), capture, ["shifted-control"], played)
    assert isinstance(after.verdicts[-1].outcome, found)


@pytest.mark.parametrize(
    ("convention", "agreed", "suspects"),
    [
        ("features a token earlier", 400, ("eagle/input-shift-missing",)),
        ("logits with the residual", 500, ("eagle/residual-dropped-before-head",)),
        ("features a layer later", 120, None),
    ],
)
def test_a_convention_that_agrees_far_better_is_named(convention, agreed, suspects):
    """A little better is chance, or a layer's neighbour."""
    capture = evidence(drafter="draft-model")
    settings = msgspec.structs.replace(
        capture.settings, drafter="eagle", draft="pocket/eagle", shape="chain"
    )
    spec = msgspec.structs.replace(capture.header.spec, settings=settings)
    capture.header = msgspec.structs.replace(capture.header, spec=spec)

    def played(_, asked):
        assert asked.workload == "scan"
        told = {"as run": 100, convention: agreed, "embedding and features swapped": 3}
        return taken(
            [capture.header, *(Scan(convention=k, agreed=v, n=999) for k, v in told.items())]
        )

    verdict = run_probes(diagnose(capture), capture, ["head-scan"], played).verdicts[-1]
    assert (verdict.finding.suspects if verdict.finding else None) == suspects


@pytest.mark.parametrize("name", ["k-sweep", "temp-zero"])
def test_healthy_runs_clear_what_they_probe(name):
    """No probe of a sound engine accuses it; seeds fixed."""
    capture = evidence()

    def played(_, settings):
        given = {"depth": settings.depth, "temperature": settings.temperature, "stops": 4}
        return taken(captures.events(**given, max_new_tokens=120))

    verdict = run_probes(diagnose(capture), capture, [name], played).verdicts[-1]
    assert isinstance(verdict.outcome, Clear), verdict


def test_a_fault_that_stays_is_found_by_the_probes_own_run():
    """The rules' finding in the run is the probe's, with what they suspect."""
    capture = evidence("always-accept")

    def played(_, settings):
        return taken(captures.events("always-accept", stops=6, max_new_tokens=120))

    verdict = run_probes(diagnose(capture), capture, ["perturbed-self"], played).verdicts[-1]
    assert verdict.family == "bug"
    assert "accept-rule-unfair" in verdict.finding.message


@pytest.mark.parametrize(
    ("trouble", "outcome"),
    [
        (UsageError("no room", "make some"), Unknown(reason="a run could not be made: no room")),
        (MissingEvidence("blind", "see"), Unknown(reason="blind; see")),
        (ZeroDivisionError("x"), Crashed(error="ZeroDivisionError: x")),
    ],
)
def test_a_probe_that_fails_hides_nothing(trouble, outcome):
    """The rules' verdicts stand beside it."""
    capture = evidence()

    def played(_, settings):
        raise trouble

    before = diagnose(capture)
    after = run_probes(before, capture, ["self-draft"], played)
    assert after.verdicts[:-1] == before.verdicts
    assert after.verdicts[-1].outcome == outcome


def test_runs_that_probes_share_are_made_once():
    """The text as it is, read for both."""
    capture, made = evidence(), []

    def played(_, settings):
        made.append(settings)
        return read(settings, lambda _: 0.6)

    run_probes(diagnose(capture), capture, ["short-view", "shifted-control"], played)
    assert len(made) == 3
    assert len(set(made)) == 3


def test_names_and_budgets_are_checked_before_any_run():
    """Unknown names list the known; what doesn't apply says so; too little time says how much."""
    capture = evidence()
    with pytest.raises(UnknownName, match="short-view"):
        run_probes(diagnose(capture), capture, ["shortview"], never)
    with pytest.raises(UsageError, match="can't be run on"):
        choose(["head-scan"], capture)
    with pytest.raises(UsageError, match="of the budget are left"):
        run_probes(diagnose(capture), capture, ["self-draft"], never, budget_s=0.1)


def test_a_longer_run_is_estimated_longer():
    """More stops, a short view, a deeper text."""
    capture = evidence()
    columns, base = capture.columns, capture.settings
    read_it = msgspec.structs.replace(base, workload="overlap")
    assert (
        0
        < estimate_s(base, columns)
        < estimate_s(msgspec.structs.replace(base, max_new_tokens=500), columns)
    )
    assert estimate_s(read_it, columns) < estimate_s(
        msgspec.structs.replace(read_it, view=256), columns
    )
    assert estimate_s(Settings(workload="scan"), Columns()) > 0


@pytest.mark.parametrize("workload", ["overlap", "scan", "generate"])
def test_one_tiny_number_of_a_strangers_capture_moves_the_estimate_little(workload):
    """A prefill that is said to have taken no time is one of many."""
    asked = msgspec.structs.replace(evidence().settings, workload=workload, context=100_000)
    whole = captures.events(stops=8, max_new_tokens=120, context=4000)
    prefills = [each for each in whole if isinstance(each, Prefill) and each.fed]
    assert len(prefills) > 2
    spans = [msgspec.structs.replace(each, ns=1) for each in prefills[-1].spans]
    assert spans
    tiny = msgspec.structs.replace(prefills[-1], spans=spans)
    altered = [tiny if each is prefills[-1] else each for each in whole]
    honest, moved = (estimate_s(asked, taken(each).columns) for each in (whole, altered))
    assert moved > honest / 2
