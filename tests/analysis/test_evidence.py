"""Evidence answers from what was recorded, and says what is missing where it can't."""

import msgspec
import numpy as np
import pytest

import captures
from specprof.analysis.columns import Columns
from specprof.analysis.evidence import FAMILY_ERROR, TEST_COUNT, Evidence
from specprof.diagnosis.diagnose import diagnose
from specprof.errors import MissingEvidence
from specprof.findings import Crashed
from specprof.records import Round


def fed(events):
    columns = Columns()
    columns.feed(events)
    return columns


def evidence(**settings):
    return Evidence(fed(captures.events(**settings)))


@pytest.mark.parametrize(
    ("settings", "question", "told"),
    [
        ({"detail": "off"}, "rounds", "no rounds"),
        ({"detail": "rounds"}, "places", "no probabilities"),
        ({"drafter": "none"}, "speculative", "nothing was drafted"),
        ({"drafter": "none"}, "reached", "no drafted token"),
        ({"recheck_context": 0}, "pairs", "rechecked"),
        ({}, "baseline", "no baseline"),
    ],
)
def test_missing_evidence_is_named_with_what_to_record(settings, question, told):
    """Every missing answer says what is missing and how to get it."""
    with pytest.raises(MissingEvidence, match=told) as missing:
        getattr(evidence(**settings), question)
    assert missing.value.hint


def test_a_question_is_worked_out_once():
    """Rules that ask the same question share the answer."""
    asked, one = [], evidence()

    def question(given):
        asked.append(given)
        return len(asked)

    assert [one.ask(question), one.ask(question)] == [1, 1]


def test_pairs_join_the_run_with_its_recheck():
    """Each rechecked place meets the very place it recomputes; a healthy run's agree."""
    pairs = evidence(context=3000).pairs
    assert len(pairs.round) == len(fed(captures.events(context=3000)).rechecked)
    np.testing.assert_array_equal(pairs.overlap_used, pairs.overlap_clean)
    assert not pairs.target_shift.any()
    assert not pairs.draft_shift.any()


def test_pairs_survive_a_lost_line():
    """A damaged round's rechecked places are left out, not matched with others'."""
    events = captures.events(context=3000)
    lost = next(event for event in events if isinstance(event, Round))
    pairs = Evidence(fed([event for event in events if event is not lost])).pairs
    assert lost.index not in pairs.round
    np.testing.assert_array_equal(pairs.overlap_used, pairs.overlap_clean)


def test_rounds_know_what_came_before_them():
    """First of a burst, after a rejection, after none."""
    one = evidence()
    rounds, after, closes = one.rounds, one.after, one.closes_burst
    assert closes.sum() == 3
    assert (after == 0).sum() == 3
    for row in range(1, len(rounds)):
        if not closes[row - 1]:
            stood = rounds.accepted[row - 1] == rounds.drafted[row - 1]
            assert after[row] == (2 if stood else 1)


def test_a_baseline_must_have_run_the_same_target():
    """Another target's plain decoding is no yardstick."""
    plain = fed(captures.events(drafter="none"))
    assert Evidence(fed(captures.events()), beside=[plain]).baseline is plain
    other = fed(captures.events(drafter="none", target="pocket/other"))
    with pytest.raises(MissingEvidence):
        _ = Evidence(fed(captures.events()), beside=[other]).baseline


def test_rounds_out_of_order_are_refused():
    """Joining by index would silently mix rounds."""
    events = captures.events()
    shuffled = [
        msgspec.structs.replace(event, index=7) if isinstance(event, Round) else event
        for event in events
    ]
    with pytest.raises(MissingEvidence, match="recorded more than once"):
        _ = Evidence(fed(shuffled)).rounds


def test_the_family_error_is_divided_among_the_tests():
    """1% over all of them."""
    assert evidence().alpha * TEST_COUNT == pytest.approx(FAMILY_ERROR) == 0.01


def without(made, *indices):
    """Return the events without the rounds of these indices."""
    return [each for each in made if not (isinstance(each, Round) and each.index in indices)]


@pytest.mark.parametrize("batch", [1, 3])
def test_nobody_is_a_neighbour_across_a_missing_round(batch):
    """What followed it has no known predecessor; every other pair is as it was."""
    made = captures.events(stops=3, max_new_tokens=40, batch=batch)
    whole = Evidence(fed(made))
    rounds = whole.rounds
    for lost in (1, 4, len(rounds) // 2, len(rounds) - 2):
        cut = Evidence(fed(without(made, lost)))
        kept = np.delete(np.arange(len(rounds)), lost)
        known = cut.next_row >= 0
        assert (kept[cut.next_row[known]] == whole.next_row[kept][known]).all()
        beside = np.flatnonzero(whole.next_row == lost)
        for row in beside:
            assert cut.next_row[np.flatnonzero(kept == row)[0]] == -1
        unsure = int((cut.gap_before & (cut.after == 3)).sum())
        assert unsure == cut.gap_before.sum() <= 2 * batch
        sure = ~cut.gap_before
        assert (cut.after[sure] == whole.after[kept][sure]).all()
    assert not whole.gap_before.any()


def test_the_first_round_that_is_there_may_not_be_the_first():
    """A burst whose beginning is lost has no known first round."""
    made = captures.events(stops=2, max_new_tokens=40)
    cut = Evidence(fed(without(made, 0)))
    assert (cut.after[0], cut.gap_before.sum()) == (3, 1)
    second = int(np.flatnonzero(np.diff(cut.rounds.burst))[0]) + 1
    cut = Evidence(fed(without(made, second + 1)))
    assert cut.after[second + 1] == 3


def test_what_was_rechecked_of_a_missing_round_is_left_out():
    """A token of it has no place among the rounds; those of the others keep theirs."""
    made = captures.events(stops=2, max_new_tokens=40, context=2000)
    last = max(each.index for each in made if isinstance(each, Round))
    whole, cut = (Evidence(fed(one)) for one in (made, without(made, last)))
    assert set(whole.rescored.round) - set(cut.rescored.round) == {last}
    assert diagnose(cut).sentence
    crashed = [each for each in diagnose(cut).verdicts if isinstance(each.outcome, Crashed)]
    assert not crashed
