"""The cost model agrees with the literature's numbers and with the measured times it explains."""

from itertools import pairwise

import pytest
from msgspec import structs

import captures
from specprof import registry
from specprof.analysis import cost_model
from specprof.analysis.columns import Columns
from specprof.analysis.cost_model import Costs
from specprof.analysis.evidence import Evidence
from specprof.errors import MissingEvidence
from specprof.extend import Rule
from specprof.findings import Found
from specprof.records import Burst, Event, Header, Plain, Round


def fed(fault="none", **settings):
    asked = {
        "stops": 6,
        "max_new_tokens": 120,
        "context": 2000,
        "temperature": 1.0,
        "plain_steps": 0,
        **settings,
    }
    columns = Columns()
    columns.feed(captures.events(fault, **asked))
    return columns


def cost(draft, verify, depth, **others):
    given = {
        "tau": 1.0,
        "extra_ns": 0.0,
        "accept_ns": 0.0,
        "gap_ns": 0.0,
        "plain_step_ns": 1.0,
        "plain_round_ns": 1.0,
        "mix": 1.0,
        "has_baseline": True,
        **others,
    }
    return Costs(depth=depth, draft_step_ns=draft, verify_ns=verify, **given)


@pytest.mark.parametrize(
    ("draft", "alphas"),
    [(0.1, {1: 0.10, 2: 0.17, 4: 0.29, 8: 0.45}), (0.3, {1: 0.30, 2: 0.42, 4: 0.57, 8: 0.72})],
)
def test_break_even_matches_the_published_table(draft, alphas):
    """theory 5.3: alpha_be(K) with v = 1, for c = .1 and c = .3."""
    for depth, alpha in alphas.items():
        assert cost_model.break_even(cost(draft, 1.0, depth)) == pytest.approx(alpha, abs=0.006)


def test_break_even_with_an_extra_forward():
    """theory 5.3: none at K = 1; .70, .62, .65 at K = 2, 4, 8 with c = .1."""
    assert cost_model.break_even(cost(0.1, 1.0, 1, extra_ns=1.0)) is None
    for depth, alpha in {2: 0.70, 4: 0.62, 8: 0.65}.items():
        found = cost_model.break_even(cost(0.1, 1.0, depth, extra_ns=1.0))
        assert found == pytest.approx(alpha, abs=0.006)


def test_expected_tokens_is_leviathans_equation_1():
    """(1 - a^(K+1)) / (1 - a), and K + 1 where every draft stands."""
    assert cost_model.expected_tokens(0.8, 4) == pytest.approx(3.3616)
    assert cost_model.expected_tokens(1.0, 4) == 5.0


def test_the_waterfall_ends_at_the_measured_speedup():
    """Factors multiply to tau * plain round / round: nothing is distributed silently."""
    columns, plain = fed(), fed(drafter="none")
    factors = cost_model.waterfall(Evidence(columns, beside=[plain]))
    for before, after in pairwise(factors):
        assert after.speedup == pytest.approx(before.speedup * after.times)
    rounds = columns.rounds
    ours = rounds.wall_ns.sum() / rounds.emitted.sum()
    theirs = plain.rounds.wall_ns.mean()
    assert factors[-1].speedup == pytest.approx(theirs / ours, rel=0.02)
    assert factors[-1].ns_per_token == pytest.approx(ours, rel=1e-9)
    assert factors[0].speedup == 5.0


def test_the_waterfall_of_the_worked_example():
    """theory 5.6: K=4, c=.12, v=1.15, s=.03, g=.08 goes 5.00, 2.77, 1.87, 1.70, 1.67, 1.59."""
    evidence = Evidence(fed())
    given = cost(0.12, 1.15, 4, tau=cost_model.expected_tokens(0.7, 4), accept_ns=0.03, gap_ns=0.08)
    evidence._answers[cost_model.costs] = given
    speeds = [factor.speedup for factor in cost_model.waterfall(evidence)]
    named = [5.00, 2.77, 1.87, 1.70, 1.67, 1.67, 1.59, 1.59, 1.59]
    assert speeds == pytest.approx(named, abs=0.006)


def test_speedup_needs_a_baseline_over_the_same_contexts():
    """Total time over total time, with an interval around it; elsewhere there is none."""
    columns = fed()
    gain = cost_model.speedup(Evidence(columns, beside=[fed(drafter="none")]))
    assert 1.5 < gain.low < gain.value < gain.high < 2.8
    far = fed(drafter="none", context=90_000, stops=1)
    with pytest.raises(MissingEvidence, match="contexts"):
        cost_model.speedup(Evidence(columns, beside=[far]))
    with pytest.raises(MissingEvidence, match="no baseline"):
        cost_model.speedup(Evidence(columns))


def test_without_a_baseline_the_verify_pass_bounds_the_plain_step():
    """The bound is never below what a baseline would have shown."""
    columns = fed()
    bound = cost_model.waterfall(Evidence(columns))[-1].speedup
    measured = cost_model.waterfall(Evidence(columns, beside=[fed(drafter="none")]))[-3].speedup
    assert bound >= measured
    assert not cost_model.costs(Evidence(columns)).has_baseline


def test_two_forwards_are_booked_as_extra():
    """Half of the verify span belongs to the forward that should not be."""
    costs = cost_model.costs(Evidence(fed("two-target-forwards")))
    assert costs.extra_ns == pytest.approx(costs.verify_ns)


def test_the_best_depth_is_the_one_a_sweep_would_pick():
    """A deep run predicts which smaller K is fastest; the sweep itself agrees to 7%."""
    plain = fed(drafter="none")
    choice = cost_model.best_depth(Evidence(fed("slow-draft", depth=4), beside=[plain]))
    assert choice.best == 0
    assert choice.gain.low > 1.5
    deep = cost_model.best_depth(Evidence(fed(depth=8, max_new_tokens=300), beside=[plain]))
    measured = {}
    for depth in range(1, 9):
        rounds = fed(depth=depth, max_new_tokens=300).rounds
        measured[depth] = rounds.emitted.sum() / rounds.wall_ns.sum()
    assert measured[deep.best] >= 0.93 * max(measured.values())


def test_no_spans_no_costs():
    """Costs can't be read out of counts."""
    columns = fed()
    columns._spans.clear()
    with pytest.raises(MissingEvidence, match="verify"):
        cost_model.costs(Evidence(columns))


def test_plain_steps_beside_each_burst_are_a_baseline():
    """They agree with a baseline capture of the same made-up machine to 5%, and come first."""
    evidence = Evidence(fed(plain_steps=12), beside=[fed(drafter="none", plain_steps=0)])
    inside, costs = cost_model.yardstick(evidence), cost_model.costs(evidence)
    evidence.columns.plains.clear()
    outside = cost_model.yardstick(evidence)
    assert inside.round_ns.mean() == pytest.approx(outside.round_ns.mean(), rel=0.05)
    assert 0 < inside.spread < 0.02
    assert costs.has_baseline
    assert costs.plain_step_ns == costs.plain_round_ns


def test_a_plain_step_of_a_batch_is_shared_by_its_sequences():
    """It emits a token of each: a token's share is what a round's share is held against."""
    one = fed(plain_steps=4)
    header = one.header
    of_four = structs.replace(
        header,
        spec=structs.replace(header.spec, settings=structs.replace(header.spec.settings, batch=4)),
    )
    alone = cost_model.yardstick(Evidence(one))
    one.header = of_four
    shared = cost_model.yardstick(Evidence(one))
    assert shared.step_ns == pytest.approx(alone.step_ns / 4)
    assert shared.round_ns == pytest.approx(alone.round_ns / 4)
    assert shared.spread == alone.spread


def test_the_waterfall_ends_at_the_measured_speed_up_where_depth_costs():
    """Plain steps dearer with depth and rounds of unlike yield: both figures are still one."""
    columns = fed(plain_steps=3)
    dear = [structs.replace(one, steps_ns=[one.context * 900] * 3) for one in columns.plains]
    columns.plains[:] = dear
    evidence = Evidence(columns)
    achieved = cost_model.waterfall(evidence)[-1].speedup
    assert achieved == pytest.approx(cost_model.speedup(evidence).value, rel=1e-9)
    assert abs(cost_model.costs(evidence).mix - 1) > 0.01


def coarse(made, kind, **changes):
    """Return evidence on the events, those of a kind as a clock saw them that hardly ticks."""
    columns = Columns()
    columns.feed([structs.replace(e, **changes) if isinstance(e, kind) else e for e in made])
    return Evidence(columns)


@pytest.mark.parametrize(
    ("kind", "changes", "told"),
    [
        (Plain, {"steps_ns": [0, 0, 0]}, "plain steps took no time"),
        (Round, {"wall_ns": 0, "spans": []}, "rounds took no time"),
    ],
)
def test_a_clock_too_coarse_for_a_step_tells_no_speed(kind, changes, told):
    """No time is not a speed: neither a gain nor a loss is said."""
    made = captures.events(stops=4, max_new_tokens=60)
    evidence = coarse(made, kind, **changes)
    with pytest.raises(MissingEvidence, match=told):
        evidence.ask(cost_model.speedup)
    outcome = registry.get(Rule, "no-speedup")().judge
    if kind is Plain:
        assert not isinstance(outcome(evidence), Found)
    else:
        with pytest.raises(MissingEvidence, match=told):
            outcome(evidence)


def test_a_round_that_commits_nothing_has_no_cost_a_token():
    """All of them empty: nothing is divided by the tokens that never came."""
    made = list[Event]()
    for event in captures.events(stops=4, max_new_tokens=60):
        match event:
            case Round():
                none = [structs.replace(each, accepted=False) for each in event.drafted]
                made.append(structs.replace(event, emitted=[], accepted=0, drafted=none))
            case Header() | Burst() | Plain():
                made.append(event)
    columns = Columns()
    columns.feed(captures.agreeing(made))
    with pytest.raises(MissingEvidence, match="committed a token"):
        Evidence(columns).ask(cost_model.costs)
