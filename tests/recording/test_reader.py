"""Rows are read as what they are found to be, once; where nothing says it, no law is made."""

import numpy as np
import pytest

import loops
import specprof
from specprof.analysis.columns import Columns
from specprof.analysis.evidence import Evidence
from specprof.capture import read_capture
from specprof.diagnosis import diagnose
from specprof.errors import UsageError
from specprof.findings import Clear
from specprof.records import Note, Recheck, Round

PROMPT = [1, 2, 3]


def recorded(path, **settings):
    models = {"target": loops.target, "draft": loops.draft, "temperature": 0.5, "depth": 2}
    return specprof.record(path, **(models | settings))


def of_kind(path, kind):
    return [each for each in read_capture(path).events if isinstance(each, kind)]


def verdicts(path):
    capture, columns = read_capture(path), Columns()
    columns.feed([capture.header, *capture.events])
    return diagnose(Evidence(columns, name=str(path))).verdicts


def outcome(path, rule):
    return next(each.outcome for each in verdicts(path) if each.rule == rule)


def play(path, target, draft, /, rounds=2, **settings):
    """Record rounds of one draft, which stands; `target` and `draft` make rows of raw ones."""
    with recorded(path, **settings) as log, log.burst(PROMPT):
        before = PROMPT[-1]
        for _ in range(rounds):
            with log.round() as now:
                rows = draft(loops.DRAFT[[before]]), target(loops.TARGET[[before, 4]])
                now.drafted([4], draft_logits=rows[0], target_logits=rows[1])
                now.verdict(1, [4, 5])
            before = 5
    return of_kind(path, Round)


def raw(rows):
    return rows


def divided(rows):
    return rows / 0.5


def cut(rows):
    """Leave the three likeliest ids."""
    return np.where(rows >= np.sort(rows, -1)[:, -3:-2], rows, -np.inf)


@pytest.mark.parametrize("target", [raw, divided])
@pytest.mark.parametrize("draft", [raw, divided])
def test_divided_rows_give_the_numbers_of_raw_ones(tmp_path, target, draft):
    """Each model's rows by themselves; a note says which were divided."""
    path = tmp_path / "run.jsonl"
    found, due = play(path, target, draft), play(tmp_path / "raw.jsonl", raw, raw)
    for one, other in zip(found, due, strict=True):
        assert one.drafted[0].seen == other.drafted[0].seen
        assert one.final_target_prob == other.final_target_prob
    said = {each.text.split("'s rows are divided")[0] for each in of_kind(path, Note)}
    for model, way in (("the target", target), ("the draft", draft)):
        assert (model in said) == (way is divided)
    assert isinstance(outcome(path, "rows-processed"), Clear)


def test_a_draft_may_have_a_law_of_its_own(tmp_path):
    """Its raw rows are read with its own temperature, in the run and in the recheck."""
    path = tmp_path / "run.jsonl"
    (one, _) = play(path, raw, raw, draft_temperature=0.25, draft_top_k=3)
    kept = cut(loops.DRAFT[[3]])
    due = loops.softmax(kept / 0.25)[0, 4] if np.isfinite(kept[0, 4]) else 0.0
    assert one.drafted[0].seen.draft_prob == pytest.approx(due, abs=1e-5)
    assert of_kind(path, Recheck)[0].places[0].draft_prob == pytest.approx(due, abs=1e-5)
    target = loops.softmax(loops.TARGET[[3]] / 0.5)[0, 4]
    assert one.drafted[0].seen.target_prob == pytest.approx(target, rel=1e-4)


@pytest.mark.parametrize(
    "wrong", [{"draft_temperature": -1.0}, {"draft_top_p": 2.0}, {"draft_top_k": -3}]
)
def test_a_draft_s_law_that_none_can_have_is_refused(tmp_path, wrong):
    """By its own name, and no file is left."""
    with pytest.raises(UsageError, match=next(iter(wrong))):
        recorded(tmp_path / "run.jsonl", **wrong)
    assert not (tmp_path / "run.jsonl").exists()


def test_rows_that_nothing_can_be_compared_with_have_no_law_where_filters_leave_doubt(tmp_path):
    """They may be filtered or masked; the verdict says what to pass, and accuses nobody."""
    path = tmp_path / "run.jsonl"
    names = {"target": "big", "draft": "small", "top_k": 5}
    found = play(path, cut, raw, rounds=3, **names)
    assert {one.no_law for one in found} == {"processed"}
    assert all(one.drafted[0].seen is None for one in found)
    finding = outcome(path, "rows-processed").finding
    assert finding.message.startswith("these rows are processed: rows of 3 rounds rule ids out")
    assert "target_logits" in finding.remedy
    assert all(each.family != "bug" for each in verdicts(path) if each.finding)
    plain = play(tmp_path / "plain.jsonl", raw, raw, **names)
    assert {one.no_law for one in plain} == {None}


def test_a_reference_that_fails_leaves_rows_as_they_are(tmp_path):
    """The user's function is asked in the first round; its error ends nothing."""
    path = tmp_path / "run.jsonl"

    def target(ids):
        raise KeyError("page 7")

    assert len(play(path, raw, raw, target=target)) == 2
    said = [each.text for each in of_kind(path, Note) if "page 7" in each.text]
    assert len(said) == 2
    assert read_capture(path).state == "complete"


def test_a_slip_of_kind_is_raised_by_the_call_that_makes_it(tmp_path):
    """Not at the round's end."""
    with recorded(tmp_path / "run.jsonl") as log, log.burst(PROMPT):
        with log.round() as now:
            now.drafted([4], draft_logits=loops.DRAFT[[3]], target_logits=loops.TARGET[[3, 4]])
            now.verdict(1, [4, 5])
        with log.round() as now:
            laws = loops.softmax(loops.DRAFT[[5]]), loops.softmax(loops.TARGET[[5, 4]])
            with pytest.raises(UsageError, match="others with probabilities"):
                now.drafted([4], draft_probs=laws[0], target_probs=laws[1])
            now.drafted([4], draft_logits=loops.DRAFT[[5]], target_logits=loops.TARGET[[5, 4]])
            now.verdict(1, [4, 5])
