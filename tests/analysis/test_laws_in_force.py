"""Tests of draws from declared laws: false alarms under peeking, and the bank that names others."""

import math

import msgspec
import numpy as np
import pytest

from judging import gather_evidence
from laws import Sound, events
from specprof.analysis import accept_bank, emitted_law, likelihood, stats
from specprof.records import Recheck

replace = msgspec.structs.replace

RUNS, TOKENS, LEVEL = 200, 400, 0.02


def test_the_inequality_that_sums_of_known_variance_rest_on():
    """exp(x - x^2/6) <= 1 + x + x^2/3 everywhere, so the products grow in no mean."""
    x = np.linspace(-30, 30, 200_001)
    assert (np.exp(x - x**2 / 6) <= 1 + x + x**2 / 3 + 1e-12).all()


def laws(random, n=TOKENS):
    logits = random.uniform(1, 4, (n, 1)) * random.standard_normal((n, 30))
    weights = np.exp(logits - logits.max(1, keepdims=True))
    return weights / weights.sum(1, keepdims=True)


def drawn(random, probs):
    at = (random.random((len(probs), 1)) > probs.cumsum(1)).sum(1).clip(max=probs.shape[1] - 1)
    return at, probs[np.arange(len(probs)), at]


def surprise(probs, own):
    """Return each token's log-probability + entropy, and its variance."""
    logs = np.log(np.maximum(probs, 1e-300))
    entropy = -(probs * logs).sum(1)
    return np.log(own) + entropy, (probs * logs**2).sum(1) - entropy**2


def test_false_alarms_stay_below_the_level_however_often_one_looks():
    """200 healthy runs each, looked at after every token: at 2% at most 10 alarm but once in 500.

    The largest evidence reached is what counts, so looking at the end is looking all the time.
    """
    random, alarms = np.random.default_rng(0), np.zeros(4)
    for _ in range(RUNS):
        probs, others = laws(random), laws(random)
        at, own = drawn(random, probs)
        above = (probs * (probs > own[:, None])).sum(1)
        trials = (
            stats.fair_sums(*surprise(probs, own)),
            stats.fair_tails(above),
            stats.fair_draws(others[np.arange(len(at)), at] / own),
            stats.fair_coins(own, random.random(len(own)) < own),
        )
        alarms += [trial.p_value <= LEVEL for trial in trials]
    assert (alarms <= 10).all(), alarms


@pytest.mark.parametrize("power", [0.75, 1.35])
def test_another_temperature_shows_in_1500_tokens(power):
    """Colder or hotter by a third, from the log-probabilities of the text alone."""
    random = np.random.default_rng(1)
    probs = laws(random, 1500)
    tempered = probs**power / (probs**power).sum(1, keepdims=True)
    at, _ = drawn(random, tempered)
    trial = stats.fair_sums(*surprise(probs, probs[np.arange(len(at)), at]))
    assert trial.p_value < 0.001
    assert math.copysign(1, trial.mean) == math.copysign(1, power - 1)


def test_one_draw_in_twenty_from_the_tail_shows():
    """Their mean rank hardly moves."""
    places = np.random.default_rng(2).random(400)
    places[::20] = 0.999
    assert stats.fair_tails(places).p_value < 0.001
    assert stats.fair_bets(2 * places - 1).p_value > 0.05


def test_a_coin_that_never_changes_shows_though_the_mean_is_right():
    """A threshold at one half lets as many stand as are owed, but not the owed ones."""
    random = np.random.default_rng(3)
    owed = random.random(600)
    trial = stats.fair_coins(owed, (owed > 0.5).astype(float))
    assert abs(trial.mean) < 0.05
    assert trial.p_value < 1e-6


def test_nothing_seen_says_nothing():
    """No evidence, and no warning of a division."""
    none = np.empty(0)
    for trial in (stats.fair_sums(none, none), stats.fair_tails(none), stats.fair_draws(none)):
        assert trial.p_value == 1
        assert trial.n == 0


def test_the_bank_names_the_law_by_hand():
    """Three coins that all came, owed 0.9: the law that gives 1 wins by what each earns more."""
    bank = [likelihood.Coins("declared", np.full(3, 0.9)), likelihood.Coins("always", np.ones(3))]
    best = likelihood.best_of_coins(np.array([True] * 3), lambda: bank)
    stray = likelihood.STRAY_SHARE
    inside = [stray + (1 - 2 * stray) * law for law in (1.0, 0.9)]
    assert best.name == "always"
    assert best.gain == best.lead == pytest.approx(3 * math.log(inside[0] / inside[1]))
    draws = likelihood.best_of_draws({"a": np.array([0.5]), "b": np.array([0.1])}, 10)
    assert (draws.name, draws.n) == ("a", 1)


def test_the_likeliest_tokens_mass_is_read_off_the_token_that_was_emitted():
    """Of each place of a chain, from the shortfall of whatever was committed there."""
    evidence = gather_evidence(events(Sound(0), rounds=50))
    places = evidence.places
    highest = accept_bank.largest_target_probs(evidence, places)
    assert (highest >= places.target_prob * (1 - 1e-9)).all()
    tokens = evidence.columns.rescored
    first = tokens.where(tokens.slot == 0)
    at = places.index == 0
    assert highest[at] == pytest.approx(first.target_prob * np.exp(first.shortfall))


def test_the_mass_is_not_known_where_the_emitted_token_was_ruled_out():
    """Its shortfall has no end, and nothing is warned of: the drafted token's own mass stands."""
    made = [
        replace(
            each, emitted=[replace(one, target_prob=0.0, shortfall=1e6) for one in each.emitted]
        )
        if isinstance(each, Recheck)
        else each
        for each in events(Sound(0), rounds=20)
    ]
    evidence = gather_evidence(made)
    highest = accept_bank.largest_target_probs(evidence, evidence.places)
    assert highest == pytest.approx(evidence.places.target_prob)


def test_finals_are_laid_out_as_the_rounds_have_them():
    """A correction has the rejected draft beside it, a bonus none."""
    made = events(Sound(0), rounds=80)
    found = gather_evidence(made).ask(emitted_law.finals)
    rounds = {one.index: one for one in made if hasattr(one, "drafted")}
    for row, number in enumerate(found.round):
        one = rounds[int(number)]
        fallen = [each for each in one.drafted if each.reached and not each.accepted]
        assert bool(found.correction[row]) == bool(fallen)
        assert found.context[row] == one.context + one.accepted
        if fallen:
            assert found.fallen_draft[row] == fallen[0].seen.draft_prob
            assert found.again[row] == (one.emitted[-1] == fallen[0].token)
        else:
            assert np.isnan(found.fallen_draft[row])
            assert np.isnan(found.draft_prob[row])


def test_every_slot_of_a_sound_text_is_fair_by_itself():
    """Given that a round got so far, its next token is the target's own draw."""
    found = gather_evidence(events(Sound(4), rounds=600)).ask(emitted_law.text)
    assert found.likelihood.p_value > 0.01
    for mean, n in zip(found.slots, found.counts, strict=True):
        assert abs(mean) < 4 / math.sqrt(n)
