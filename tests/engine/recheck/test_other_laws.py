"""Drafted tokens under laws of other rows and other processing, by hand."""

import pytest
import torch

from specprof.engine.recheck.kept_logits import UsedLogits
from specprof.engine.recheck.other_laws import other_laws
from specprof.engine.recheck.places import Place
from specprof.engine.sampling import ProcessedLaw
from specprof.records import Drafted, Observed, Round

TARGET = torch.tensor([[2.0, 1.0, 0.0, -1.0], [0.0, 2.0, 1.0, -1.0], [1.0, 0.0, 2.0, 0.5]])
DRAFT = torch.tensor([[1.0, 2.0, 0.0, 0.0], [0.0, 0.0, 3.0, 1.0]])
TOKENS = (1, 2)


def played(*, draft_prob=0.5, parents=(-1, 0)):
    seen = Observed(0.5, draft_prob, 0.5, 0.5)
    pairs = zip(TOKENS, parents, strict=True)
    drafted = [Drafted(token, parent, True, True, seen) for token, parent in pairs]
    return Round(
        index=7,
        context=5,
        depth_asked=2,
        drafted=drafted,
        accepted=2,
        emitted=[*TOKENS, 0],
        start_ns=0,
        wall_ns=1,
    )


def found(law, one=None):
    places = [
        Place(7, index, (5, index), token, TARGET[index], DRAFT[index])
        for index, token in enumerate(TOKENS)
    ]
    return other_laws(law, [(one or played(), UsedLogits(TARGET, DRAFT))], places, TARGET[:2])


def test_the_targets_other_laws_lack_a_step_or_have_it_twice():
    """Temperature 0.5 and top-2."""
    first, second = found(ProcessedLaw(0.5, top_k=2))
    assert first.target_raw == pytest.approx(float(TARGET[0].softmax(-1)[1]), rel=1e-4)
    unfiltered = float((TARGET[0] / 0.5).softmax(-1)[1])
    assert first.target_unfiltered == pytest.approx(unfiltered, rel=1e-4)
    twice = float((TARGET[1, 1:3] / 0.25).softmax(-1)[1])
    assert second.target_twice == pytest.approx(twice, rel=1e-4)


def test_other_rows_are_those_of_the_round():
    """Null where a step is the token's own, or there is none."""
    first, second = found(ProcessedLaw())
    target, draft = TARGET.softmax(-1), DRAFT.softmax(-1)
    assert (first.target_raw, first.target_before, first.draft_first) == (None, None, None)
    assert first.target_after == pytest.approx(float(target[1, 1]), rel=1e-4)
    assert second.target_before == pytest.approx(float(target[0, 2]), rel=1e-4)
    assert first.draft_after == first.draft_last == pytest.approx(float(draft[1, 1]), rel=1e-4)
    assert second.draft_first == second.draft_before == pytest.approx(float(draft[0, 2]), rel=1e-4)
    assert second.draft_last is None


def test_a_certain_draft_has_its_whole_law_beside_it():
    """It declares no other law that a step could use."""
    first, second = found(ProcessedLaw(), played(draft_prob=1.0))
    assert second.draft_soft == pytest.approx(float(DRAFT[1].softmax(-1)[2]), rel=1e-4)
    assert first.draft_last is None


def test_trees_and_greedy_runs_have_none():
    """There a row has no neighbour, or no chance."""
    assert found(ProcessedLaw(), played(parents=(-1, -1))) == []
    assert found(ProcessedLaw(0.0)) == []
