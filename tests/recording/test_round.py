"""A round's calls say what was missing from them."""

import numpy as np
import pytest
import torch

import loops
import specprof
from specprof.capture import read_capture
from specprof.errors import SpecprofError, UsageError
from specprof.records import Round

WRONG = {
    "a row too few": ({"target_logits": loops.TARGET[[3]]}, r"\[1, 12\]"),
    "no vocabulary": ({"target_logits": loops.TARGET[3]}, r"the target's rows .* \[12\]"),
    "no target": ({"target_logits": None}, "without the target's rows"),
    "no draft": ({"draft_logits": None}, "without the law they were drawn from"),
    "both": ({"target_probs": loops.TARGET[[3, 4]]}, "with logits and with probabilities"),
    "no ids": ({"draft_logits": np.zeros((1, 0))}, r"the draft's rows .* \[1, 0\]"),
}


@pytest.fixture
def log(tmp_path):
    with specprof.record(
        tmp_path / "run.jsonl", target="a", draft="b", temperature=1.0, depth=1
    ) as opened:
        yield opened


@pytest.mark.parametrize(("rows", "said"), WRONG.values(), ids=WRONG)
def test_rows_that_do_not_fit(log, rows, said):
    """Each with what was found and what is due."""
    given = {"draft_logits": loops.DRAFT[[3]], "target_logits": loops.TARGET[[3, 4]]} | rows
    with pytest.raises(SpecprofError, match=said) as refused:
        with log.burst([3]), log.round() as now:
            now.drafted([4], **given)
    assert refused.value.hint


def test_a_verdict_is_due(log):
    """A round without one can't be written down."""
    with pytest.raises(UsageError, match="ended without a verdict"):
        with log.burst([3]), log.round():
            pass


@pytest.mark.parametrize("accepted", [2, [0, 3]])
def test_no_more_stand_than_were_drafted(log, accepted):
    """A count of the bonus among them is the usual slip."""
    with log.burst([3]), log.round() as now:
        now.drafted([4], draft_logits=loops.DRAFT[[3]], target_logits=loops.TARGET[[3, 4]])
        with pytest.raises(UsageError, match="of 1 drafted tokens"):
            now.verdict(accepted, [4, 5])
        now.verdict(1, [4, 5])


ROWS = {"draft_logits": loops.DRAFT[[3]], "target_logits": loops.TARGET[[3, 4]]}
SLIPS = {
    "a drafted id beyond the rows": (lambda now: now.drafted([99], **ROWS), "drafted token 99 is"),
    "a negative drafted id": (lambda now: now.drafted([-3], **ROWS), "drafted token -3 is outside"),
    "a placeholder among drafts": (lambda now: now.drafted([-1, 4]), "drafted token -1 is no id"),
    "an emitted id beyond the rows": (lambda now: now.verdict(0, [12]), "outside the 12 ids"),
    "a negative count": (lambda now: now.verdict(-1, [4]), "accepted is -1, which is no number"),
    "a mere token": (lambda now: now.verdict(0, 4), "emitted is 4, which are no token ids"),
    "a fraction": (lambda now: now.verdict(0.5, [4]), "accepted is 0.5, which is no number"),
    "a parent behind its child": (
        lambda now: now.drafted([4], parents=[0], **ROWS),
        r"parents are \[0\], of 1 drafted tokens",
    ),
    "a parent too few": (lambda now: now.drafted([4], parents=[], **ROWS), r"parents are \[\]"),
    "a negative K": (lambda now: now.drafted([4], asked=-1, **ROWS), "asked is -1"),
    "a negative length": (lambda now: now.lengths(draft=-2), "the draft's length is -2"),
    "a length in words": (lambda now: now.lengths(target="4"), "target's length is '4'"),
    "negative forwards": (lambda now: now.forwards(target=-1), "target forwards is -1"),
    "rows of words": (
        lambda now: now.drafted([4], draft_logits="abc", target_logits=ROWS["target_logits"]),
        "the draft's rows are no rows of numbers",
    ),
    "a span without a name": (lambda now: now.span(None), "a span is called None"),
}


@pytest.mark.parametrize(("slip", "said"), SLIPS.values(), ids=SLIPS)
def test_slips_are_told_where_they_are_made(log, slip, said):
    """With what to do; the round can still be told rightly, and nothing recorded is lost."""
    with log.burst([3]) as burst, log.round() as now:
        now.drafted([4], **ROWS)
        with pytest.raises(UsageError, match=said) as refused:
            slip(now)
        assert refused.value.hint
        now.drafted([4], **ROWS)
        now.verdict(1, [4, 5])
    assert burst.committed == [3, 4, 5]


def test_drafts_told_behind_the_verdict_are_held_to_it(log):
    """The order of the calls is free; what they say together must fit."""
    two = {"draft_logits": loops.DRAFT[[3, 4]], "target_logits": loops.TARGET[[3, 4, 5]]}

    def slip():
        with log.burst([3]), log.round() as now:
            now.drafted([4, 5], **two)
            now.verdict(2, [4, 5, 6])
            now.drafted([4], **ROWS)

    with pytest.raises(UsageError, match=r"2 drafts were accepted, .* of 1 drafted tokens"):
        slip()


@pytest.mark.parametrize("integer", [np.int64, torch.tensor], ids=["numpy", "torch"])
def test_integers_of_others_are_integers(tmp_path, integer):
    """A count that came from a tensor is the usual one."""
    path = tmp_path / "run.jsonl"
    with specprof.record(path, target="a", draft="b", temperature=1.0, depth=1) as log:
        with log.burst([3]), log.round() as now:
            now.drafted(torch.tensor([4]), asked=integer(1), **ROWS)
            now.verdict(integer(1), torch.tensor([4, 5]))
            now.lengths(target=integer(2))
            now.forwards(target=integer(1), draft=integer(1))
        with log.burst([3]), log.round() as now:
            now.drafted([4], **ROWS)
            now.verdict(torch.tensor([0]), [4, 5])
    first, second = (each for each in read_capture(path).events if isinstance(each, Round))
    assert (first.depth_asked, first.accepted, first.emitted) == (1, 1, [4, 5])
    assert (first.target_length, first.target_forwards, first.draft_forwards) == (2, 1, 1)
    assert second.accepted == 1


def test_a_batch_of_one_and_a_wider_vocabulary_fit(tmp_path):
    """[1, n, vocab] is read as [n, vocab]; ids one model lacks are left out of both laws."""
    target = loops.TARGET[[3, 4]]
    wider = np.pad(target, ((0, 0), (0, 5)), constant_values=50.0)
    path = tmp_path / "run.jsonl"
    with specprof.record(path, target="a", draft="b", temperature=1.0, depth=1) as log:
        with log.burst([3]), log.round() as now:
            now.drafted([4], draft_logits=loops.DRAFT[[3]], target_logits=wider[None])
            now.verdict(1, [4, 5])
    played = next(each for each in read_capture(path).events if isinstance(each, Round))
    due = np.exp(target[0]) / np.exp(target[0]).sum()
    assert played.drafted[0].seen.target_prob == pytest.approx(due[4], rel=1e-4)


def test_rows_may_be_overwritten_afterwards(log):
    """A loop may use one buffer for all rounds."""
    rows = loops.DRAFT[[3]].copy(), loops.TARGET[[3, 4]].copy()
    with log.burst([3]) as burst, log.round() as now:
        now.drafted([4], draft_logits=rows[0], target_logits=rows[1])
        rows[0][:], rows[1][:] = np.nan, np.nan
        now.verdict(1, [4, 5])
    assert burst.committed == [3, 4, 5]


def test_counts_and_times_alone_need_no_rows(tmp_path):
    """Detail rounds."""
    path = tmp_path / "rounds.jsonl"
    with specprof.record(path, target="a", draft="b", detail="rounds", depth=2) as log:
        with log.burst([3]), log.round() as now:
            now.drafted([4, 5], asked=2)
            now.verdict(1, [4, 6])
    assert b'"accepted":1' in path.read_bytes()
