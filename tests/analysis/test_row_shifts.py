"""Which other rows of the verify pass explain a greedy round that its own rows don't."""

import msgspec
import numpy as np
import pytest

import captures
from specprof.analysis.columns import Columns
from specprof.analysis.evidence import Evidence
from specprof.analysis.row_shifts import MIN_ROUNDS, displaced_rows, row_shift
from specprof.recheck_records import ShiftedRows
from specprof.records import Drafted, Header, Recheck, Round

DEPTH, ROUNDS, IDS = 4, 30, 50


def play(judge, give, *, rounds=ROUNDS, spoil=0):
    """Return rounds that judge draft i by row `judge(i)`.

    `give(a)`: the row that gives the token after `a` accepted drafts. `spoil`: rounds that follow
    from no row.
    """
    chance, context, made = np.random.default_rng(0), 10, []
    for index in range(rounds):
        choices = chance.integers(0, IDS, DEPTH + 1).tolist()
        drafts = [
            choices[judge(place)] if chance.random() < 0.7 else IDS + place
            for place in range(DEPTH)
        ]
        wrong = [token != choices[judge(place)] for place, token in enumerate(drafts)]
        stood = wrong.index(True) if any(wrong) else DEPTH
        final = choices[give(stood)] if index >= spoil else 99
        made.append(
            Round(
                index=index,
                context=context,
                depth_asked=DEPTH,
                drafted=[
                    Drafted(token, place - 1, place <= stood, place < stood)
                    for place, token in enumerate(drafts)
                ],
                accepted=stood,
                emitted=[*drafts[:stood], final],
                row_choices=choices,
                start_ns=index * 10,
                wall_ns=5,
            )
        )
        context += stood + 1
    return made


def evidence(rounds, acceptance="greedy"):
    columns = Columns()
    columns.feed([header(acceptance), *rounds])
    return Evidence(columns)


def header(acceptance):
    made = next(each for each in captures.events(temperature=0.0) if isinstance(each, Header))
    return msgspec.structs.replace(made, acceptance=acceptance)


def own(row):
    return row


def after(row):
    return min(row + 1, DEPTH)


def before(row):
    return row - 1 if row else DEPTH


FOUND = {
    "one too late": (after, after, "verify rows are sliced one too late", "the next row"),
    "one too early": (before, before, "verify rows are sliced one too early", "the row before"),
    "the last": (lambda _: DEPTH, lambda _: DEPTH, "all drafts are judged by one", "the last row"),
    "the first": (lambda _: 0, lambda _: 0, "all drafts are judged by one", "the first row"),
    "its correction too late": (own, after, "the correction is taken from the row after", "next"),
    "its correction too early": (
        own,
        lambda stood: stood if stood == DEPTH else max(stood - 1, 0),
        "the correction is taken one row too early",
        "before",
    ),
    "its bonus too early": (
        own,
        lambda stood: stood - (stood == DEPTH),
        "the bonus is taken one row too early",
        "before",
    ),
    "both too early": (
        own,
        lambda stood: max(stood - 1, 0),
        "the correction and the bonus are taken one row too early",
        "before",
    ),
}


@pytest.mark.parametrize(("judge", "give", "message", "row"), FOUND.values(), ids=FOUND)
def test_a_shift_is_named_by_the_rows_that_explain_it(judge, give, message, row):
    """All tokens that have such a row are its first choice, and few are their own row's."""
    found = row_shift(evidence(play(judge, give, rounds=120)))
    assert found.shift.message.startswith(message)
    assert row in found.shift.row
    assert found.explained == found.tokens
    assert found.own < found.tokens / 5 or not found.of_drafts


@pytest.mark.parametrize(
    "made",
    [
        evidence(play(own, own)),
        evidence(play(own, own, spoil=ROUNDS)),
        evidence(play(after, after, rounds=MIN_ROUNDS - 1)),
        evidence(play(after, after, spoil=ROUNDS // 3)),
        evidence(play(after, after), acceptance="rejection"),
    ],
    ids=["sound", "tokens of no row", "too few", "a third of no row", "drawn"],
)
def test_what_no_shift_explains_is_not_given_one(made):
    """Nearly all must fit, a few rounds prove nothing, and drawn tokens are no first choices."""
    assert row_shift(made) is None


def test_choices_that_fit_no_round_are_left_out():
    """An edited file may hold any number of them."""
    rounds = play(after, after)
    cut = [
        msgspec.structs.replace(each, row_choices=each.row_choices[: index % 3])
        for index, each in enumerate(rounds)
    ]
    assert row_shift(evidence(rounds))
    assert row_shift(evidence(cut)) is None


@pytest.mark.parametrize(
    ("counts", "offset"),
    [
        ([(-1, 5, 5)], -1),
        ([(1, 2, 2), (1, 1, 1)], 1),
        ([(1, 2, 2)], None),
        ([(-1, 20, 10)], None),
        ([(1, 0, 5)], None),
        ([(-1, 3, 9)], None),
    ],
    ids=["earlier", "later, in two bursts", "too few", "half of them", "of none", "of fewer"],
)
def test_rows_of_another_place_are_named_where_nearly_all_are(counts, offset):
    """Bursts add up."""
    made = evidence(play(own, own))
    rechecks = [Recheck(burst=0, places=[], shifted=[ShiftedRows(*each)]) for each in counts]
    made.columns.feed(rechecks)
    found = displaced_rows(made)
    assert (found and found.offset) == offset
