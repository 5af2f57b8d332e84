"""The positive control: the declared law is the law drawn from, and acceptance is the formula's."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import engines
from specprof.drafters.perturbed_self import (
    PerturbedModule,
    PerturbedSelf,
    mix_uniform,
    stray_choices,
)
from specprof.engine.observe.observe import observe
from specprof.engine.sampling import ProcessedLaw
from tables import TableDecoder

VOCABULARY = 6


def table(seed=3):
    return torch.randn(VOCABULARY, VOCABULARY, generator=torch.Generator().manual_seed(seed)) * 2


def play(logits, *, new_tokens, **given):
    run = engines.loop(TableDecoder(logits), TableDecoder(logits), PerturbedSelf, **given)
    return run, *engines.decode(run, new_tokens=new_tokens)


@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.5])
@pytest.mark.parametrize("noise", [0.0, 0.2, 1.0])
def test_the_mixture_is_what_the_law_makes_of_the_logits(temperature, noise):
    """Temperature is divided out again; the law is (1 - noise) * target + noise * uniform."""
    law = ProcessedLaw(temperature)
    found = law.probs(mix_uniform(table(), noise, law, temperature))
    assert found.allclose((1 - noise) * law.probs(table()) + noise / VOCABULARY, atol=1e-6)


def test_a_greedy_draft_strays_as_often_as_told():
    """20000 rows: each stranger is drawn with noise / vocabulary; ties don't matter. 1 in 10000."""
    rows, noise, generator = 20_000, 0.3, torch.Generator().manual_seed(1)
    logits = torch.tensor([[5.0, 2.0, 5.0, 0.0]]).repeat(rows, 1)
    counts = stray_choices(logits, noise, generator).argmax(-1).bincount(minlength=4)
    expected = rows * (noise / 4 + torch.tensor([1 - noise, 0.0, 0.0, 0.0]))
    assert ((counts - expected) ** 2 / expected).sum() < 21.1  # 3 degrees of freedom
    assert stray_choices(logits, 0.0, generator).argmax(-1).eq(0).all()


@pytest.mark.parametrize("noise", [0.1, 0.5])
def test_sampled_acceptance_is_the_formulas(noise):
    """At each reached place 1 - noise * TV(target, uniform) is owed, and the total is paid.

    4.4 standard errors of the sum: 1 in 100000, seed fixed.
    """
    logits = table()
    probs = logits.softmax(-1)
    owed = 1 - noise * (probs - 1 / VOCABULARY).abs().sum(-1) / 2  # [vocab] after each token
    _, committed, played = play(logits, new_tokens=4000, noise=noise, temperature=1.0, seed=2)
    due = spread = paid = 0.0
    for one in played[:-1]:
        for place in range(min(one.accepted + 1, len(one.drafted))):
            owes = owed[committed[one.context + place - 1]].item()
            due, spread = due + owes, spread + owes * (1 - owes)
            paid += place < one.accepted
    assert paid == pytest.approx(due, abs=4.4 * spread**0.5)
    assert 0 < due < sum(len(one.drafted) for one in played)


@pytest.mark.parametrize("noise", [0.1, 0.5])
def test_greedy_acceptance_is_the_formulas(noise):
    """1 - noise * (1 - 1/vocabulary) of the reached places: 4.4 standard errors, seed fixed."""
    _, _, played = play(table(), new_tokens=4000, noise=noise, seed=4)
    reached = sum(min(one.accepted + 1, len(one.drafted)) for one in played[:-1])
    accepted = sum(one.accepted for one in played[:-1])
    owes = 1 - noise * (1 - 1 / VOCABULARY)
    assert accepted == pytest.approx(reached * owes, abs=4.4 * (reached * owes * (1 - owes)) ** 0.5)


@pytest.mark.parametrize("given", [{}, {"top_k": 3}, {"top_p": 0.8}, {"temperature": 0.5}])
def test_what_is_observed_is_the_law_declared(given):
    """`observe` reads the proposal's logits by itself and finds the law drawn from, cut or not."""
    given = {"temperature": 1.0} | given
    run, _, played = play(table(), new_tokens=60, noise=0.3, **given)
    for one in played[:-1]:
        declared = one.proposal.draft_probs
        assert torch.equal(run.parts.law.probs(one.proposal.logits), declared)
        seen = observe([one], run.parts.law, run.acceptance).read()[0].drafted
        for index, each in enumerate(seen):
            own = declared[index, one.drafted[index]].item()
            assert each.draft_prob == pytest.approx(own, rel=1e-4)


@given(
    seed=st.integers(0, 10**6),
    depth=st.integers(0, 6),
    noise=st.sampled_from([0.0, 0.3, 1.0]),
    new_tokens=st.integers(1, 30),
    stop=st.frozensets(st.integers(0, VOCABULARY - 1), max_size=2),
)
def test_greedy_speculation_is_plain_greedy(seed, depth, noise, new_tokens, stop):
    """However often it strays, not one token differs, and both caches hold what was committed."""
    given = {"depth": depth, "noise": noise, "seed": seed}
    logits = table(seed)
    run = engines.loop(TableDecoder(logits), TableDecoder(logits), PerturbedSelf, **given)
    committed, _ = engines.decode(run, new_tokens=new_tokens, stop=stop)
    plain = engines.loop(TableDecoder(logits), depth=0)
    assert committed == engines.decode(plain, new_tokens=new_tokens, stop=stop)[0]
    assert run.drafter.draft.inner.fed == committed[: run.drafter.draft.length]


@pytest.mark.parametrize("given", [{}, {"top_k": 3}, {"top_p": 0.8}])
def test_sampled_tokens_follow_the_targets_law(given):
    """Pair counts of 6000 tokens against the table: chi-square, seed fixed, below 1 in 1000."""
    logits = table()
    run, committed, _ = play(logits, new_tokens=6000, noise=0.5, temperature=1.0, seed=8, **given)
    counts = torch.zeros(VOCABULARY, VOCABULARY)
    for before, after in pairwise(committed[1:]):
        counts[before, after] += 1
    expected = counts.sum(1, keepdim=True) * run.parts.law.probs(logits)
    possible = expected > 0
    assert counts[~possible].sum() == 0
    far = ((counts - expected)[possible] ** 2 / expected[possible]).sum()
    assert far < 60  # at most 30 degrees of freedom


def test_the_recheck_gets_the_mixture_and_a_greedy_stray_none():
    """A plain forward has the sampled draft's law again; where greedy strayed is chance."""
    run, _, _ = play(table(), new_tokens=5, noise=0.3, temperature=0.7)
    plain = run.drafter.plain
    assert isinstance(plain, PerturbedModule)
    plain = PerturbedModule(torch.nn.Identity(), plain.perturb)
    plain.inner.forward = lambda tokens, **_: type("Out", (), {"logits": table()[tokens]})
    found = run.parts.law.probs(plain(torch.tensor([[1, 4]]), use_cache=False).logits[0])
    law = run.parts.law.probs(table()[[1, 4]])
    assert found.allclose(0.7 * law + 0.3 / VOCABULARY, atol=1e-6)
    assert play(table(), new_tokens=5, noise=0.3)[0].drafter.plain is None
