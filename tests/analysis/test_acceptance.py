"""Rates carry their own denominators and agree with each other as theory says they must."""

from itertools import pairwise

import numpy as np
import pytest

import captures
from specprof.analysis import acceptance
from specprof.analysis.columns import Columns
from specprof.records import Drafted, Round


def fed(events):
    columns = Columns()
    columns.feed(events)
    return columns


@pytest.fixture(scope="module")
def columns():
    """About a thousand rounds over 8000 tokens of context."""
    return fed(captures.events(stops=40, max_new_tokens=64, context=8000, temperature=1.0))


def chain(index, flags, context=10):
    """A round that drafted len(flags) tokens of which the leading true ones stood."""
    accepted = [*flags, False].index(False)
    drafted = [
        Drafted(token=i, parent=i - 1, reached=i <= accepted, accepted=i < accepted)
        for i in range(len(flags))
    ]
    return Round(
        index=index,
        context=context,
        depth_asked=len(flags),
        drafted=drafted,
        accepted=accepted,
        emitted=[0] * (accepted + 1),
        start_ns=0,
        wall_ns=1,
    )


def test_each_rate_has_its_own_denominator():
    """Ten rounds of one accepted and one rejected draft, ten of no draft at all."""
    rounds = [chain(i, [True, False, False]) for i in range(10)]
    rounds += [chain(i, []) for i in range(10, 20)]
    rates = acceptance.rates(fed(rounds))
    assert rates.accept_frac.value == pytest.approx(10 / 30)
    assert rates.alpha_cond.value == pytest.approx(10 / 20)
    assert rates.tau.value == pytest.approx(30 / 20)
    assert rates.tokens_per_target_forward.value == pytest.approx(30 / 20)


def test_a_rate_without_a_denominator_is_none():
    """A baseline drafts nothing: its acceptance is not 0, it is not there."""
    rates = acceptance.rates(fed(captures.events(drafter="none")))
    assert rates.accept_frac is rates.alpha_cond is None
    assert rates.tau.value == 1.0


def test_the_identities_between_rates_hold(columns):
    """tau = 1 + sum of S_i at fixed K, and c_i = S_i / S_(i-1) (theory I5), stops left out."""
    profile = acceptance.index_profile(columns)
    rounds = columns.rounds
    assert 1 + rounds.accepted.mean() == pytest.approx(1 + sum(r.survival.value for r in profile))
    for before, rate in pairwise(profile):
        assert rate.reached == before.accepted
        ratio = rate.survival.value / before.survival.value
        assert rate.conditional.value == pytest.approx(ratio)


def test_variable_depth_keeps_denominators_honest():
    """An index is judged by the rounds that drafted it, not by all rounds."""
    rounds = [chain(i, [True]) for i in range(50)] + [chain(i, [True, True]) for i in range(50, 60)]
    first, second = acceptance.index_profile(fed(rounds))
    assert (first.drafted, second.drafted, second.reached) == (60, 10, 10)
    assert second.survival.value == second.conditional.value == 1.0
    assert second.conditional.low < 0.75


def test_context_buckets_hold_every_reached_place_once(columns):
    """Edges cover the run, and denominators add up."""
    for edges in (acceptance.context_edges(columns), acceptance.log2_edges(columns)):
        buckets = acceptance.by_context(columns, edges)
        assert sum(bucket.alpha_cond.n for bucket in buckets) == len(columns.places)
        assert all(bucket.low < bucket.high for bucket in buckets)
        assert all(b.alpha_cond.low <= b.alpha_cond.value <= b.alpha_cond.high for b in buckets)
    assert buckets[0].overlap > buckets[-1].overlap


def test_context_edges_of_nothing_are_nothing():
    """No rounds, no axis."""
    assert acceptance.context_edges(Columns()) == acceptance.log2_edges(Columns()) == []


def test_a_step_is_found_where_the_draft_was_trained_up_to(columns):
    """The synthetic draft decays past 2048: seen there, and not inside the decayed range."""
    step = acceptance.step_at(columns, 2048)
    assert step.before.value - step.beyond.value > 0.08
    assert step.p_value < 0.002
    assert acceptance.step_at(columns, 10) is None


def test_no_step_where_there_is_none():
    """Within the trained range, at most 2 of 20 seeds (level 5%) show one at 1000."""
    alarms = 0
    for seed in range(20):
        flat = fed(captures.events(stops=10, max_new_tokens=80, context=2000, seed=seed))
        alarms += acceptance.step_at(flat, 1000).p_value <= 0.05
    assert alarms <= 3


def test_the_knee_lies_where_acceptance_falls():
    """A planted cliff is located within the burst that holds it; few places give none."""
    random = np.random.default_rng(3)
    rounds = [
        chain(i, [bool(random.random() < (0.9 if i < 700 else 0.3))], context=i)
        for i in range(2000)
    ]
    assert acceptance.knee(fed(rounds)) == pytest.approx(700, abs=60)
    assert acceptance.knee(fed(rounds[:50])) is None
