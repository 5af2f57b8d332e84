"""Rules are documented by their headings, and each looks at what it says it does."""

import ast
import re
from pathlib import Path

import msgspec
import pytest

import captures
from specprof import registry
from specprof.analysis import cost_model
from specprof.analysis.columns import Columns
from specprof.analysis.evidence import Evidence
from specprof.backends._tables import FAULTS
from specprof.bounds import Damage, Damaged
from specprof.errors import MissingEvidence
from specprof.extend import Rule
from specprof.findings import Clear, Found, Unknown
from specprof.records import ClockFacts, End, Header, Observed, Recheck, Round

HEADINGS = ("Measures", "Fires when", "Why", "Likely causes", "Confirm", "Does not see", "Try it")
MEMBERS = registry.members("rule")
DRILLED = [
    (name, command)
    for name, member in MEMBERS.items()
    for command in re.findall(r"specprof drill ([^\n]+)", member.docstring.split("\nTry it\n")[1])
]
RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"
MATRIX = msgspec.json.decode((RESULTS / "diagnosis.json").read_bytes())
LONG = {"stops": 8, "max_new_tokens": 160, "context": 4000}
replace = msgspec.structs.replace


def fed(events):
    columns = Columns()
    columns.feed(events)
    return columns


def judged(name, events, damaged=(), **evidence):
    rule = registry.load(Rule, MEMBERS[name])()
    columns = fed(events)
    columns.damaged = Damaged(damaged)
    return rule.judge(Evidence(columns, **evidence))


@pytest.mark.parametrize("name", MEMBERS)
def test_a_rule_explains_itself_under_fixed_headings(name):
    """One line that names the defect, then every heading, in order, each with a body."""
    opening, *rest = MEMBERS[name].docstring.split("\n")
    assert opening.endswith(".")
    assert len(opening) <= 100
    headings = [line for line in rest if line and not line.startswith(" ")]
    assert len(headings) == len(HEADINGS)
    for heading, wanted in zip(headings, HEADINGS, strict=True):
        assert heading == wanted or (wanted == "Why" and heading.startswith("Why this is "))
    bodies = re.split(r"^\S.*$", "\n".join(rest), flags=re.MULTILINE)[1:]
    assert all(len(body.strip()) > 10 for body in bodies)


@pytest.mark.parametrize(("name", "command"), DRILLED)
def test_a_drill_a_rule_points_to_makes_it_fire(name, command):
    """`Try it` is a command that the command line takes, and it shows the rule.

    Of faults of the real engine that was written down when the matrix was recorded.
    """
    fault, *options = command.split()
    assert not options, "a drill has settings of its own"
    if fault in FAULTS:
        assert isinstance(judged(name, captures.events(fault, **LONG)), Found)
    else:
        assert registry.member("fault", fault)
        found = {each["name"]: each["found"] for each in MATRIX["drills"]}
        younger = not any(name in each for each in found.values())  # than the matrix
        assert younger or name in found[fault]


@pytest.mark.parametrize("name", MEMBERS)
def test_a_rules_name_states_the_defect(name):
    """Not the fix: no imperative, no `check`, no negation of health (ruff's habit)."""
    assert not re.match(r"(check|use|avoid|fix|ensure|verify)-", name)
    tree = ast.parse(MEMBERS[name].path.read_text())
    assert sum(isinstance(node, ast.ClassDef) for node in tree.body) == 1


def broken(events, at, **changes):
    """Change one round, the `at`-th."""
    rounds = [event for event in events if isinstance(event, Round)]
    changed = [replace(e, **changes) if e is rounds[at] else e for e in events]
    return captures.agreeing(changed)


def test_one_lost_correction_in_a_thousand_rounds_is_seen():
    """Exact rules need no statistics."""
    events = captures.events(**LONG)
    rounds = [event for event in events if isinstance(event, Round)]
    row = next(i for i, one in enumerate(rounds) if len(one.emitted) == 2)
    assert isinstance(judged("emitted-count-broken", events), Clear)
    outcome = judged("emitted-count-broken", broken(events, row, emitted=rounds[row].emitted[:1]))
    assert isinstance(outcome, Found)
    assert outcome.finding.rounds == (row,)


def test_a_stop_may_cut_a_bursts_last_round_short():
    """max_new_tokens inside an accepted prefix is no bug."""
    events = captures.events(**LONG, depth=8)
    last = [e for e in events if isinstance(e, Round)][-1]
    assert any(len(e.emitted) < e.accepted + 1 for e in events if isinstance(e, Round)), (
        "the run should hold a round that was cut"
    )
    assert isinstance(judged("emitted-count-broken", events), Clear)
    assert isinstance(judged("cache-length-wrong", events), Clear)
    over = broken(events, last.index, emitted=[1] * (last.accepted + 2))
    assert isinstance(judged("emitted-count-broken", over), Found)


def test_a_shortfall_that_heals_every_round_is_not_said_to_add_up():
    """One token short after each rejection, right again after each all-accepted round."""
    events = [
        replace(one, draft_length=one.draft_length - (one.accepted < len(one.drafted)))
        if isinstance(one, Round)
        else one
        for one in captures.events(**LONG)
    ]
    told = judged("cache-length-wrong", events).finding.message
    assert told == "the draft cache is 1 token short after every rejection"


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("draft-cache-short", "the draft cache gets 2 tokens short after every rejection"),
        ("draft-last-missing", "the draft cache gets 1 token short after every all-accepted round"),
        ("target-keeps-rejected", "the target cache gets 1 token too long after every rejection"),
    ],
)
def test_a_wrong_cache_length_is_told_with_its_occasion(fault, told):
    """The sentence that is the product names the role, the amount and the occasion."""
    assert judged("cache-length-wrong", captures.events(fault, **LONG)).finding.message == told


def test_lengths_that_were_not_recorded_are_not_judged():
    """Another engine's capture may hold none."""
    events = [
        replace(e, target_length=None, draft_length=None) if isinstance(e, Round) else e
        for e in captures.events()
    ]
    with pytest.raises(Exception, match="no cache lengths"):
        judged("cache-length-wrong", events)


def test_a_missing_bonus_is_told_from_a_missing_correction():
    """Which rounds lack a token says which code to look at."""
    bonus = judged("emitted-count-broken", captures.events("no-bonus", **LONG)).finding
    assert "bonus token is missing" in bonus.message
    events = captures.events(**LONG)
    rounds = [e for e in events if isinstance(e, Round)]
    cut = {id(e) for e in rounds if len(e.drafted) > e.accepted == len(e.emitted) - 1 > 0}
    lost = [replace(e, emitted=e.emitted[:-1]) if id(e) in cut else e for e in events]
    lost = captures.agreeing(lost)
    assert "correction is missing" in judged("emitted-count-broken", lost).finding.message


def test_a_self_draft_below_one_is_a_bug():
    """The same capture is no case for the rule when the models differ."""
    same = {"target": "pocket/target", "draft": "pocket/target"}
    assert isinstance(judged("self-draft-disagrees", captures.events(**LONG, **same)), Found)
    with pytest.raises(Exception, match="different models"):
        judged("self-draft-disagrees", captures.events(**LONG))


def test_speed_is_measured_against_a_baseline_or_bounded():
    """With a baseline: measured. Without: found only where even the bound is below 1."""
    plain = fed(captures.events(drafter="none", **LONG))
    events = captures.events(**LONG, plain_steps=0)
    assert isinstance(judged("no-speedup", events, beside=[plain]), Clear)
    assert isinstance(judged("no-speedup", captures.events(**LONG)), Clear)
    assert isinstance(judged("no-speedup", events), Unknown)
    slow = captures.events("slow-draft", **LONG, plain_steps=0)
    measured = judged("no-speedup", slow, beside=[plain]).finding.measures[0]
    unsure = judged("no-speedup", slow).finding
    assert "runs at no more than 0." in unsure.message
    bound = unsure.measures[0]
    assert measured.high < 1
    assert measured.value <= bound.value < 1
    assert bound.name.endswith("upper bound")


def test_a_weak_draft_is_a_mismatch_and_a_broken_one_is_not():
    """Low overlap counts as a mismatch only where nothing else explains it."""
    weak = {"context": 60_000, "workload": "generate", "max_new_tokens": 800}
    # Past the trained range everywhere: overlap in range is not to be had, so all of it counts.
    events = [
        replace(e, draft=replace(e.draft, trained_context=None)) if isinstance(e, Header) else e
        for e in captures.events(**weak)
    ]
    assert isinstance(judged("drafts-mismatched", events), Found)
    outcome = judged("drafts-mismatched", captures.events("draft-state", **LONG))
    assert isinstance(outcome, Unknown)
    assert "state" in outcome.reason


def test_slow_first_rounds_are_told():
    """Three rounds of a second each, before a thousand of milliseconds."""
    events = captures.events(**LONG)
    assert isinstance(judged("warm-up-included", events), Clear)
    for row in range(3):
        events = broken(events, row, wall_ns=1_000_000_000)
    finding = judged("warm-up-included", events).finding
    assert finding.message.startswith("the first 3 rounds")
    assert finding.rounds == (0, 1, 2)


def test_a_dear_clock_is_told():
    """A reading that costs a tenth of a millisecond, twenty times a round."""
    events = captures.events(**LONG)
    assert isinstance(judged("clock-coarse", events), Clear)
    slow = replace(events[0], clock=ClockFacts(kind="slow", read_ns=100_000.0))
    assert isinstance(judged("clock-coarse", [slow, *events[1:]]), Found)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"status": "interrupted"}, "was interrupted"),
        ({"status": "failed", "reason": "out of memory"}, "failed (out of memory)"),
        ({"rounds": 10**6}, "rounds are missing"),
    ],
)
def test_an_unfinished_run_is_told(change, told):
    """With the reason the file gives."""
    *events, end = captures.events()
    assert isinstance(end, End)
    outcome = judged("capture-incomplete", [*events, replace(end, **change)])
    assert told in outcome.finding.message
    lines = [Damage(4, "torn"), Damage(9, "it is no UTF-8")]
    damaged = judged("capture-incomplete", [*events, end], damaged=lines)
    both = "2 lines could not be read (line 4: torn; line 9: it is no UTF-8)"
    assert both in damaged.finding.message
    bare = judged(
        "capture-incomplete", [each for each in events if not isinstance(each, Round)] + [end]
    )
    assert f"{end.rounds:,} rounds are missing" in bare.finding.message


def test_a_draft_worse_than_a_constant_is_told():
    """Five per cent of first drafts stand in a text that is a third one token."""
    events = captures.events(**LONG)

    def spoilt(one):
        stood = one.index % 20 == 0
        emitted = one.emitted if one.index % 3 else [1] * len(one.emitted)
        token = one.drafted[0].token if stood else min(set(range(48)) - set(emitted))
        seen = Observed(0.05, 1, 0.05, 0.05)
        drafted = [replace(one.drafted[0], token=token, accepted=stood, seen=seen)]
        changed = {"drafted": drafted, "accepted": int(stood), "final_target_prob": None}
        changed |= {"final_draft_prob": None, "final_rank": None, "final_order": None}
        return replace(one, emitted=emitted, **changed)

    made = captures.agreeing([spoilt(e) if isinstance(e, Round) else e for e in events])
    assert isinstance(judged("worse-than-constant", made), Found)
    assert isinstance(judged("worse-than-constant", events), Clear)


def test_a_draft_that_feeds_anew_ends_where_its_round_began():
    """A tree is taken back whole, and so is what a head on the target's features drafted."""
    tree = captures.events(**LONG, shape="static-tree")
    assert isinstance(judged("cache-length-wrong", tree), Clear)
    left = [replace(e, draft_length=e.context + 1) if isinstance(e, Round) else e for e in tree]
    assert "1 token too long" in judged("cache-length-wrong", left).finding.message
    header, *rest = captures.events(**LONG)
    assert isinstance(judged("cache-length-wrong", [header, *rest]), Clear)
    settings = replace(header.spec.settings, drafter="eagle")
    eagle = replace(header, spec=replace(header.spec, settings=settings))
    assert isinstance(judged("cache-length-wrong", [eagle, *rest]), Found)
    anew = [replace(e, draft_length=e.context) if isinstance(e, Round) else e for e in rest]
    assert isinstance(judged("cache-length-wrong", [eagle, *anew]), Clear)
    settings = replace(header.spec.settings, drafter="a-plugin-elsewhere")
    unknown = replace(header, spec=replace(header.spec, settings=settings))
    for recorded in (rest, anew):  # how it feeds is not known: only the target's side is judged
        assert "draft" not in judged("cache-length-wrong", [unknown, *recorded]).detectable


def test_what_would_have_been_rechecked_is_said():
    """Too deep a run is told the option; a drafter no forward can repeat is named."""
    header, *rest = captures.events(**LONG)
    bare = [event for event in rest if not isinstance(event, Recheck)]
    settings = replace(header.spec.settings, drafter="eagle")
    eagle = replace(header, spec=replace(header.spec, settings=settings))
    shallow = replace(
        header, spec=replace(header.spec, settings=replace(settings, recheck_context=0))
    )
    growing = [event for event in bare if not isinstance(event, End)]
    for events, hint in (
        ([shallow, *bare], "--recheck-context N"),
        ([eagle, *growing], "once it has ended"),
        ([eagle, *bare], "'eagle' has no plain forward"),
    ):
        with pytest.raises(MissingEvidence) as missing:
            judged("draft-state-drifts", events)
        assert hint in missing.value.hint


def test_a_depth_no_one_fixed_is_not_said_to_be_asked():
    """Under a policy K is a bound, and fixing it means naming the policy too."""
    header, *rest = captures.events(**LONG, depth=16)
    assert judged("depth-too-deep", [header, *rest]).finding.message.startswith("K = 16 is too")
    settings = replace(header.spec.settings, depth_policy="hf-heuristic")
    policed = replace(header, spec=replace(header.spec, settings=settings))
    finding = judged("depth-too-deep", [policed, *rest]).finding
    assert finding.message.startswith("K up to 16 (policy hf-heuristic) is too deep here: K up to")
    assert "--depth-policy fixed" in finding.confirm[0]


@pytest.mark.parametrize("way", [{"shape": "static-tree"}, {"batch": 3}])
def test_exact_rules_hold_in_trees_and_batches(way):
    """A lost correction, a second forward: one is enough. A rejected sibling comes back twice."""
    events = captures.events(**LONG, **way)
    rounds = [event for event in events if isinstance(event, Round)]
    row, other, *_ = (
        i
        for i, one in enumerate(rounds)
        if len(one.emitted) == 2 and any(d.reached and not d.accepted for d in one.drafted)
    )
    one, names = rounds[row], ("emitted-count-broken", "residual-unsupported")
    assert all(isinstance(judged(name, events), Clear) for name in names)
    lost = judged("emitted-count-broken", broken(events, row, emitted=one.emitted[:1]))
    assert lost.finding.rounds[0] == row
    back = events
    for at in (row, other):
        again = [d.token for d in rounds[at].drafted if d.reached and not d.accepted][-1]
        back = broken(back, at, emitted=[rounds[at].emitted[0], again])
    assert judged("residual-unsupported", back).finding.rounds == (row, other)
    twice = broken(events, row, target_forwards=2)
    assert isinstance(judged("extra-target-forwards", twice), Found)


def test_drafts_without_a_law_have_none_to_test():
    """Looked-up drafts have all the mass of their law: nothing is promised before a draw."""

    def certain(one):
        seen = one.seen and replace(
            one.seen, draft_prob=1.0, overlap=one.seen.target_prob, accept_owed=one.seen.target_prob
        )
        return replace(one, seen=seen)

    events = [
        replace(e, drafted=[certain(d) for d in e.drafted]) if isinstance(e, Round) else e
        for e in captures.events(**LONG)
    ]
    with pytest.raises(Exception, match="no draft was drawn"):
        judged("draft-law-differs", events)


def test_what_is_only_true_of_chains_is_not_said_of_trees():
    """A shallower tree is another tree; a self-drafted tree's younger siblings rarely stand."""
    same = {"target": "pocket/target", "draft": "pocket/target"}
    tree = captures.events("slow-draft", **LONG, shape="static-tree", **same)
    assert isinstance(judged("depth-too-deep", tree), Unknown)
    with pytest.raises(Exception, match="in a tree"):
        judged("self-draft-disagrees", tree)


def test_a_varying_depth_is_costed_as_it_was():
    """Where most rounds draft one token, a cap at one gains little: the deep ones are few."""
    events = captures.events(**LONG, depth=8)

    def cut(one):
        if one.index % 10 == 0 or len(one.drafted) < 8:
            return one
        spans = [replace(s, ns=s.ns // 8) if s.name == "draft" else s for s in one.spans]
        stood = min(one.accepted, 1)
        first = replace(one, drafted=one.drafted[:1], accepted=stood, spans=spans)
        return replace(first, emitted=one.emitted[: stood + 1])

    varied = fed(captures.agreeing([cut(e) if isinstance(e, Round) else e for e in events]))
    choice = cost_model.best_depth(Evidence(varied))
    levels = varied.rounds.levels
    assert (choice.asked, levels.min(), levels.max()) == (8, 1, 8)
    asked = choice.tokens_per_second[8]
    costs = cost_model.costs(Evidence(varied))
    assert asked == pytest.approx(1e9 * (1 + varied.rounds.accepted.mean()) / costs.round_ns)
