"""What a loop tells is checked where it is told: what no reader would take back is refused."""

import numpy as np
import pytest
import torch

import loops
import specprof
from specprof.capture import read_capture
from specprof.errors import UsageError
from specprof.records import Round

PROMPT = [1, 2, 3]


def recorded(path, **settings):
    models = {"target": loops.target, "draft": loops.draft, "temperature": 1.0, "depth": 3}
    return specprof.record(path, **(models | settings))


def of_kind(path, kind):
    return [each for each in read_capture(path).events if isinstance(each, kind)]


@pytest.mark.parametrize("text", ["hello", [1.5], [[1, 2]], torch.tensor([[1, 2]]), 5, [2**70]])
def test_a_text_that_is_no_row_of_ids_is_refused(tmp_path, text):
    """A round's context is counted by it."""
    with (
        recorded(tmp_path / "run.jsonl") as log,
        pytest.raises(UsageError, match="the burst's tex"),
    ):
        log.burst(text).__enter__()


@pytest.mark.parametrize("text", [np.array([1, 2]), torch.tensor([1, 2]), iter([1, 2]), (1, 2)])
def test_a_text_may_be_any_row_of_ids(tmp_path, text):
    """Whatever holds them."""
    with recorded(tmp_path / "run.jsonl") as log, log.burst(text) as burst:
        assert burst.committed == [1, 2]


def told(log, tokens=(1, 2), accepted=1, emitted=(1, 5), spans=(), **given):
    """Tell a round of counts alone."""
    with log.round() as now:
        for name in spans:
            with now.span(name):
                pass
        now.drafted(tokens, asked=given.pop("asked", None))
        now.lengths(**given)
        now.verdict(accepted, emitted)


@pytest.mark.parametrize(
    "given",
    [
        {"tokens": [2**40, 2]},
        {"tokens": [2**70, 2]},
        {"tokens": range(5000)},
        {"accepted": 10**12},
        {"emitted": [5] * 20_000},
        {"asked": 10**9},
        {"target": 2**62},
        {"spans": ["x" * 10_000]},
        {"spans": [None]},
    ],
)
def test_what_no_reader_would_take_back_is_refused_where_it_is_told(tmp_path, given):
    """Its line would be lost from the capture, and nobody would know before it is read."""
    path = tmp_path / "run.jsonl"

    def played():
        with recorded(path, detail="rounds") as log, log.burst(PROMPT):
            told(log)
            told(log, **given)

    with pytest.raises(UsageError):
        played()
    capture = read_capture(path)
    assert not capture.damaged
    assert len(of_kind(path, Round)) == 1


@pytest.mark.parametrize(
    "rows",
    [
        torch.zeros(3, loops.VOCABULARY, device="meta"),
        np.zeros((3, loops.VOCABULARY), complex),
    ],
)
def test_rows_without_real_numbers_are_refused(tmp_path, rows):
    """In one line."""
    with recorded(tmp_path / "run.jsonl") as log, log.burst(PROMPT), log.round() as now:
        with pytest.raises(UsageError, match="the target's rows are"):
            now.drafted([1, 2], target_logits=rows)
        now.drafted([], target_logits=torch.zeros(1, loops.VOCABULARY).to_sparse())
        now.verdict(0, [5])


@pytest.mark.parametrize("answer", [None, "x", np.zeros((3, 3), object)])
def test_a_recheck_that_is_answered_without_numbers_says_so(tmp_path, answer):
    """The function is the user's own."""
    with (
        pytest.raises(UsageError, match="the recheck asked for logits and got no rows of numbers"),
        recorded(tmp_path / "run.jsonl", target=lambda _: answer) as log,
    ):
        loops.play(log, loops.Loop(), PROMPT, 12)


def test_what_contradicts_the_lines_before_it_is_refused(tmp_path):
    """A reader allows 32 names of phases; the line of a 33rd would be damage."""
    path = tmp_path / "run.jsonl"

    def played():
        with recorded(path, detail="rounds") as log, log.burst(PROMPT):
            for number in range(40):
                told(log, spans=[f"phase {number}"])

    with pytest.raises(UsageError, match="more than 32 names of phases"):
        played()
    capture = read_capture(path)
    assert not capture.damaged
    assert len(of_kind(path, Round)) == 32
