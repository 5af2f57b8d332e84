"""The processed law against transformers' own warpers, and its draws against the law."""

import pytest
import torch
from scipy.stats import chisquare
from transformers.generation.logits_process import (
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from specprof.engine.sampling import ProcessedLaw

LOGITS = 3 * torch.randn(5, 40, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize("temperature", [0.3, 1.0, 1.7])
@pytest.mark.parametrize("top_k", [0, 1, 7])
@pytest.mark.parametrize("top_p", [1.0, 0.8, 0.1])
def test_the_law_is_the_one_transformers_samples_from(temperature, top_k, top_p):
    """Temperature, then top-k, then top-p: a peer run draws from the same law."""
    scores = TemperatureLogitsWarper(temperature)(None, LOGITS)
    if top_k:
        scores = TopKLogitsWarper(top_k)(None, scores)
    if top_p < 1:
        scores = TopPLogitsWarper(top_p)(None, scores)
    law = ProcessedLaw(temperature, top_k, top_p)
    assert torch.allclose(law.probs(LOGITS), scores.softmax(-1), atol=1e-6)


def test_a_greedy_law_puts_all_mass_on_the_first_choice():
    """At temperature 0 the law is one-hot and a draw is the argmax, of logits as of probs."""
    law = ProcessedLaw(0.0)
    best = LOGITS.argmax(-1)
    assert law.greedy
    assert torch.equal(law.probs(LOGITS).argmax(-1), best)
    assert torch.equal(law.probs(LOGITS).sum(-1), torch.ones(5))
    assert torch.equal(law.draw(LOGITS, torch.Generator()), best)


def test_draws_follow_the_weights_by_chi_square():
    """40,000 draws of one row; false alarm 1 in 1,000, seed fixed. Weights need not sum to 1."""
    law = ProcessedLaw(1.0)
    weights = torch.tensor([3.0, 0.0, 1.0, 6.0])
    drawn = law.draw(weights.repeat(40_000, 1), torch.Generator().manual_seed(5))
    counts = torch.bincount(drawn, minlength=4).double()
    assert counts[1] == 0
    expected = weights[weights > 0].double() * 4_000
    assert chisquare(counts[weights > 0].numpy(), expected.numpy()).pvalue > 1e-3


def test_the_same_seed_draws_the_same_tokens():
    """A run is a function of its seed."""
    law = ProcessedLaw(1.0)
    probs = law.probs(LOGITS)
    first, second = (law.draw(probs, torch.Generator().manual_seed(9)) for _ in range(2))
    assert torch.equal(first, second)
