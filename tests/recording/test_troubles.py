"""The recorder never ends the loop it records: what is wrong with rows and rechecks is noted."""

import numpy as np
import pytest

import loops
import specprof
from specprof.analysis.columns import Columns
from specprof.analysis.evidence import Evidence
from specprof.capture import read_capture
from specprof.diagnosis import diagnose
from specprof.engine.observe import round_recorder
from specprof.errors import UsageError
from specprof.records import Note, Recheck, Round

PROMPT = [1, 2, 3]
DRAFTS = [4, 5]
LOGITS = loops.DRAFT[[3, 4]], loops.TARGET[[3, 4, 5]]
LAWS = tuple(map(loops.softmax, LOGITS))


def recorded(path, **settings):
    models = {"target": loops.target, "draft": loops.draft, "temperature": 1.0, "depth": 2}
    return specprof.record(path, **(models | settings))


def of_kind(path, kind):
    return [each for each in read_capture(path).events if isinstance(each, kind)]


def notes(path):
    return [each.text for each in of_kind(path, Note)]


def judged(path):
    capture, columns = read_capture(path), Columns()
    columns.feed([capture.header, *capture.events])
    return diagnose(Evidence(columns, name=str(path)))


def spoilt(rows, place, values):
    """Return a copy of rows [n, vocab] with one row replaced."""
    changed = np.array(rows, dtype=np.float64)
    changed[place] = values
    return changed


def play(path, *, as_laws=False, accepted=0, rounds=3, **spoilt_rows):
    """Record rounds of which all but the first come with the spoilt rows."""
    kind = "probs" if as_laws else "logits"
    sound = dict(zip(("draft", "target"), LAWS if as_laws else LOGITS, strict=True))
    with recorded(path) as log, log.burst(PROMPT):
        for number in range(rounds):
            rows = sound | (spoilt_rows if number else {})
            with log.round() as now:
                now.drafted(DRAFTS, **{f"{whose}_{kind}": each for whose, each in rows.items()})
                now.verdict(accepted, [*DRAFTS[:accepted], 7])


NO_NUMBERS = {
    "NaN": (0, np.nan),
    "infinity": (0, np.inf),
    "all ids ruled out": (0, -np.inf),
}


@pytest.mark.parametrize("whose", ["target", "draft"])
@pytest.mark.parametrize("row", NO_NUMBERS.values(), ids=NO_NUMBERS)
def test_rows_that_are_no_numbers_end_nothing(tmp_path, whose, row):
    """The rounds keep tokens and counts, their laws are unknown, and one note says so."""
    path = tmp_path / "run.jsonl"
    given = LOGITS[0] if whose == "draft" else LOGITS[1]
    play(path, **{whose: spoilt(given, *row)})
    first, *others = of_kind(path, Round)
    assert first.drafted[0].seen is not None
    assert first.no_law is None
    for one in others:
        assert (one.no_law, one.emitted, one.accepted) == (whose, [7], 0)
        assert [each.seen for each in one.drafted] == [None, None]
        assert one.final_target_prob is None
    said = [each for each in notes(path) if "hold NaN or infinity" in each]
    assert len(said) == 1
    assert said[0].startswith(f"round 1: the {whose}'s logits")
    assert {each.round for each in of_kind(path, Recheck)[0].emitted} == {0}
    leading = judged(path).leading
    assert (leading.rule, leading.family) == ("logits-not-finite", "bug")
    assert leading.finding.where.round == 1


def test_rows_that_nothing_was_decided_by_may_be_no_numbers(tmp_path):
    """An engine of fixed shape leaves rubbish behind the first rejection."""
    path = tmp_path / "run.jsonl"
    play(path, target=spoilt(LOGITS[1], 2, np.nan), draft=spoilt(LOGITS[0], 1, np.nan))
    assert all(one.drafted[0].seen for one in of_kind(path, Round))
    assert not any("NaN" in each for each in notes(path))


NO_LAWS = {
    "negative": spoilt(LAWS[1], 0, [-0.5, *[1.5 / 11] * 11]),
    "sum 0": spoilt(LAWS[1], 0, 0.0),
    "sum 2": spoilt(LAWS[1], 0, 2 / 12),
}


@pytest.mark.parametrize("target", NO_LAWS.values(), ids=NO_LAWS)
def test_probabilities_that_are_no_law_end_nothing(tmp_path, target):
    """They are numbers, so no rule calls them NaN."""
    path = tmp_path / "run.jsonl"
    play(path, as_laws=True, target=target)
    first, *others = of_kind(path, Round)
    assert first.drafted[0].seen is not None
    assert all(one.drafted[0].seen is None and one.no_law == "sum" for one in others)
    said = [each for each in notes(path) if "don't sum to 1" in each]
    assert len(said) == 1
    assert said[0].startswith("round 1: the target's probabilities are negative, or")
    found = {each.rule: each for each in judged(path).found}
    assert "logits-not-finite" not in found
    assert not any(each.family == "bug" for each in found.values())
    message = found["rows-processed"].finding.message
    assert "the probabilities of 2 of 3 rounds are negative or don't sum to 1" in message


def test_a_few_rounds_that_are_no_law_withhold_nothing(tmp_path):
    """They are left out, and the others are judged."""
    path = tmp_path / "run.jsonl"
    with recorded(path) as log, log.burst(PROMPT):
        for number in range(5):
            draft, target = LAWS
            with log.round() as now:
                rows = spoilt(target, 0, 0.0) if number == 3 else target
                now.drafted(DRAFTS, draft_probs=draft, target_probs=rows)
                now.verdict(0, [7])
    assert [one.no_law for one in of_kind(path, Round)].count("sum") == 1
    assert "rows-processed" not in [each.rule for each in judged(path).found]


def test_probabilities_of_nan_are_no_numbers(tmp_path):
    """As logits of NaN are."""
    path = tmp_path / "run.jsonl"
    play(path, as_laws=True, target=spoilt(LAWS[1], 0, np.nan))
    assert [one.no_law for one in of_kind(path, Round)] == [None, "target", "target"]


def test_rounded_laws_are_laws(tmp_path):
    """In half precision they sum to 1 but for rounding."""
    path = tmp_path / "run.jsonl"
    play(path, as_laws=True, target=LAWS[1] * 1.01)
    assert all(one.drafted[0].seen for one in of_kind(path, Round))


def test_an_error_of_the_evidence_ends_nothing(tmp_path, monkeypatch):
    """Rounds that waited with the one that has it keep their probabilities."""
    own = round_recorder.observe

    def observe(rounds, law, acceptance):
        if any(one.context == len(PROMPT) + 1 for one in rounds):
            raise RuntimeError("out of memory")
        return own(rounds, law, acceptance)

    monkeypatch.setattr(round_recorder, "observe", observe)
    path = tmp_path / "run.jsonl"
    play(path)
    seen = [one.drafted[0].seen is not None for one in of_kind(path, Round)]
    assert seen == [True, False, True]
    assert sum("RuntimeError: out of memory" in each for each in notes(path)) == 1
    assert read_capture(path).state == "complete"


def test_an_error_of_the_users_reference_ends_nothing(tmp_path):
    """It is asked at each burst's end; the bursts count as not rechecked."""
    path, asked = tmp_path / "run.jsonl", []

    def target(ids):
        asked.append(ids)
        if len(asked) > 1:
            raise KeyError("page 7")
        return loops.target(ids)

    with recorded(path, target=target) as log:
        for seed in range(3):
            loops.play(log, loops.Loop(seed), PROMPT, 20)
    assert len(of_kind(path, Recheck)) == 1
    (said,) = [each for each in notes(path) if "can't be rechecked" in each]
    assert said.startswith("burst 1 can't be rechecked: KeyError: 'page 7'; it and later")
    assert read_capture(path).state == "complete"


def test_a_reference_of_a_wrong_shape_is_raised_at_its_first_call_alone(tmp_path):
    """It is a slip of programming then; later it is trouble like any other."""
    path, asked = tmp_path / "run.jsonl", []

    def late(ids):
        asked.append(ids)
        return loops.target(ids)[:1] if len(asked) > 1 else loops.target(ids)

    with recorded(path, target=late) as log:
        for seed in range(2):
            loops.play(log, loops.Loop(seed), PROMPT, 20)
    assert any("burst 1 can't be rechecked: UsageError" in each for each in notes(path))

    def first():
        with recorded(path, target=lambda ids: loops.target(ids)[:1], overwrite=True) as log:
            loops.play(log, loops.Loop(), PROMPT, 20)

    with pytest.raises(UsageError, match="got rows"):
        first()


def test_a_reference_of_nan_leaves_its_places_out(tmp_path):
    """Its rows are no reference, and the note says how many there are."""
    path = tmp_path / "run.jsonl"

    def target(ids):
        rows = loops.target(ids).copy()
        rows[np.asarray(ids) == 5] = np.nan
        return rows

    with recorded(path, target=target) as log:
        loops.play(log, loops.Loop(), PROMPT, 60)
    (found,) = of_kind(path, Recheck)
    assert found.unknown > 0
    assert found.places
    assert any("hold NaN or infinity: they are not rechecked" in each for each in notes(path))
    assert [each.rule for each in judged(path).found if each.family == "bug"] == []
