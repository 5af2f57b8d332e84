"""Processors are told from wrong states, row by row."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from specprof.analysis.attribution import NOISE_BY_DTYPE
from specprof.engine.recheck.processed import MAX_CLEAN_GAP, find_processing, max_rounding

VOCABULARY = 200
TEXT = [3, 5, 7, 5]


def clean(seed=0):
    return torch.randn(VOCABULARY, generator=torch.Generator().manual_seed(seed)) * 3


def rounded(row, seed=1):
    """A second computation of the row."""
    noise = torch.randn(VOCABULARY, generator=torch.Generator().manual_seed(seed))
    return row + 1e-6 * noise


def masked(row):
    row[::2] = float("-inf")


def narrow(row):
    row[3:] = float("-inf")


def penalised(row):
    row[TEXT] -= 1.5


def repeated(row):
    row[TEXT] = torch.where(row[TEXT] > 0, row[TEXT] / 1.3, row[TEXT] * 1.3)


def biased(row):
    row[[11, 12]] += 2


def watermarked(row):
    row[torch.randperm(VOCABULARY, generator=torch.Generator().manual_seed(4))[:80]] += 2


def scaled(row):
    row /= 0.7


def capped(row):
    row.copy_(4 * torch.tanh(row / 4))


def scaled_and_masked(row):
    masked(row)
    row /= 0.7


def normalised(row):
    row.copy_(row.log_softmax(-1))


PROCESSORS = [
    *(masked, narrow, penalised, repeated, biased, watermarked, scaled, capped),
    scaled_and_masked,
]


@pytest.mark.parametrize("process", [*PROCESSORS, normalised])
@pytest.mark.parametrize("seed", range(5))
def test_a_processed_row_is_known(process, seed):
    """What was left alone agrees with the clean row but for rounding."""
    row = clean(seed)
    used = rounded(row)
    process(used)
    found = find_processing(used, row, TEXT, max_rounding(torch.float32, row))
    assert found is not None
    assert found.gap is not None
    assert found.gap < 1e-4


@given(st.integers(0, 10_000), st.floats(0.01, 3), st.sampled_from([None, *PROCESSORS]))
def test_a_row_of_another_state_is_not(seed, size, process):
    """Each logit is off by another amount, a hundredth of a nat or more, whatever came after it."""
    row = clean(seed)
    used = row + size * torch.randn(VOCABULARY, generator=torch.Generator().manual_seed(seed + 1))
    if process:
        process(used)
    found = find_processing(used, row, TEXT, max_rounding(torch.float32, row))
    assert found is None


def test_ids_that_a_model_rules_out_are_not_rounded():
    """A draft of few ids gives the others -inf; so does a processor."""
    row = clean()
    largest = max_rounding(torch.float32, row)
    masked(row)
    assert 0 < max_rounding(torch.float32, row) <= largest


def test_a_watermark_in_16_bits_is_known_and_a_wrong_state_is_not():
    """Rounding to 16 bits hides no amount of a nat or two, and excuses no others."""
    row = clean()
    used = (row + 0.02 * clean(3)).bfloat16().float()
    watermarked(used)
    rounding = max_rounding(torch.bfloat16, row)
    found = find_processing(used, row, TEXT, rounding)
    assert found is not None
    assert found.gap < MAX_CLEAN_GAP[torch.bfloat16]
    assert find_processing(row + clean(3), row, TEXT, rounding) is None


def test_a_lone_id_says_nothing():
    """Any state leaves it."""
    used = torch.full((VOCABULARY,), float("-inf"))
    used[4] = 1.0
    found = find_processing(used, clean(), TEXT, 1e-4)
    assert found is not None
    assert (found.gap, found.ruled_out) == (None, VOCABULARY - 1)


def test_equal_logits_are_no_curve_of_a_row():
    """A row of one number keeps every order."""
    assert find_processing(torch.zeros(VOCABULARY), clean(), TEXT, 1e-4) is None


def test_two_computations_of_a_law_differ_as_the_diagnosis_allows():
    """The engine and the analysis may not import one another: both hold the same floors."""
    floors = {str(dtype).removeprefix("torch."): gap for dtype, gap in MAX_CLEAN_GAP.items()}
    assert floors == {name: noise.gap for name, noise in NOISE_BY_DTYPE.items()}


def test_a_curve_does_not_hide_what_stands_beside_it():
    """Within the rounding of 16 bits a wrong state may keep the order; its gap is still its own."""
    row = clean()
    off = 0.3 * torch.randn(VOCABULARY, generator=torch.Generator().manual_seed(9))
    found = find_processing((row + off) / 0.7, row, TEXT, max_rounding(torch.bfloat16, row) * 4)
    assert found is not None
    assert found.curved
    assert found.gap > 0.05
