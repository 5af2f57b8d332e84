"""How a loop's rows are read: by comparison with recomputed ones, and only where it is certain."""

import pytest
import torch

from specprof.engine.recheck.compared import compare_rows
from specprof.engine.recheck.readings import Reading, Readings, find_reading
from specprof.engine.sampling import ProcessedLaw

VOCABULARY = 500
TEXTS = [[1, 2], [1, 2, 3], [1, 2, 3, 4]]
COOL, FILTERED = ProcessedLaw(0.7), ProcessedLaw(0.7, 40, 0.9)
WARM_FILTERED = ProcessedLaw(1.0, 0, 0.9)


@pytest.fixture
def clean():
    return torch.randn(3, VOCABULARY, generator=torch.Generator().manual_seed(3)) * 3


def found(declared, used, clean, *, as_laws=False, dtype=torch.float32):
    return find_reading(declared, used, clean, TEXTS, dtype=dtype, as_laws=as_laws)


def warped(law, rows):
    """Return rows as warpers leave them: divided, and -inf outside of the filters."""
    return (rows / law.temperature).masked_fill(law.probs(rows) == 0, -torch.inf)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("law", [COOL, FILTERED, WARM_FILTERED])
def test_raw_rows_are_read_as_they_are(clean, law, dtype):
    """In the rounding of the model's type; padding and a mask are no filter."""
    assert found(law, clean.to(dtype), clean, dtype=dtype) == Reading(declared=law)
    padded = clean.clone()
    padded[:, 400:] = -torch.inf
    assert found(law, padded, clean) == Reading(declared=law)


@pytest.mark.parametrize("law", [COOL, FILTERED, WARM_FILTERED])
def test_warped_rows_give_the_declared_law(clean, law):
    """Restored and read so, they are neither divided nor filtered a second time."""
    rows = warped(law, clean)
    reading = found(law, rows, clean)
    assert (reading.divided, reading.filtered) == (law.temperature != 1, law.filters)
    torch.testing.assert_close(reading.law.probs(reading.restore(rows)), law.probs(clean))
    torch.testing.assert_close(reading.law.probs(reading.cut(clean)), law.probs(clean))


def test_a_penalty_hides_no_warpers(clean):
    """It moves ids of the text first."""
    penalised = clean.clone()
    penalised[:, [1, 2]] -= 1.5
    for law in (COOL, FILTERED, WARM_FILTERED):
        reading = found(law, warped(law, penalised), clean)
        assert (reading.divided, reading.filtered) == (law.temperature != 1, law.filters)


def test_rows_of_one_id_tell_nothing(clean):
    """Whatever was done to them, their law is the same."""
    alone = clean.masked_fill(clean < clean.amax(-1, keepdim=True), -torch.inf)
    assert found(COOL, alone, clean) is None


def test_mixed_rows_are_read_as_raw_and_counted(clean):
    """What the loop did by them is not known."""
    mixed = torch.cat([clean[:2], clean[2:] / 0.7])
    reading = found(COOL, mixed, clean)
    assert not reading.divided
    compared = compare_rows("target", [*mixed], clean, TEXTS, dtype=torch.float32, reading=reading)
    assert compared.summary.misread == 1
    assert compared.gaps[2] is None
    assert compared.gaps[:2] == [0.0, 0.0]


def test_a_wrong_state_is_no_reading(clean):
    """Neither raw nor divided, and no row is called misread."""
    wrong = clean + torch.randn(clean.shape, generator=torch.Generator().manual_seed(4))
    assert found(COOL, wrong, clean) is None
    reading = Reading(declared=COOL)
    compared = compare_rows("target", [*wrong], clean, TEXTS, dtype=torch.float32, reading=reading)
    assert compared.summary is None
    assert min(compared.gaps) > 0.05


@pytest.mark.parametrize("law", [COOL, FILTERED, WARM_FILTERED])
def test_probabilities_are_laws_unless_they_are_of_raw_rows(clean, law):
    """The plain softmax is read with the temperature and the filters still to come."""
    laws = law.probs(clean).log()
    assert found(law, laws, clean, as_laws=True) == Reading(declared=law, as_laws=True)
    plain = clean.log_softmax(-1)
    assert found(law, plain, clean, as_laws=True) == Reading(declared=law)


def test_recomputed_rows_stand_in_for_laws(clean):
    """A row that was not kept is judged by the declared law, not at temperature 1."""
    reading = Reading(declared=FILTERED, as_laws=True)
    torch.testing.assert_close(reading.law.probs(reading.cut(clean)), FILTERED.probs(clean))


def test_a_draft_of_its_own_law_is_paired():
    """Alike laws are one."""
    alike = Readings(Reading(declared=COOL), Reading(declared=ProcessedLaw(0.7)))
    assert alike.law is COOL
    assert alike.law.of_draft is COOL
    own = Readings(Reading(declared=COOL), Reading(declared=ProcessedLaw(0.3)))
    assert (own.law.target, own.law.of_draft.temperature) == (COOL, 0.3)
    greedy = ProcessedLaw(0.0)
    assert Readings(Reading(declared=greedy), Reading(declared=COOL)).draws
