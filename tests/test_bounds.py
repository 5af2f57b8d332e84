"""Bounds on a capture's lines: a line out of bounds is left out, and named with its reason."""

import json

import pytest
from msgspec.structs import replace

from captures import events, write
from specprof import amounts, bounds
from specprof.bounds import Damage, Damaged
from specprof.capture import read_capture
from specprof.errors import CaptureUnreadable
from specprof.records import End, Round

BATCH = {"batch": 3, "recheck_context": 4096}
TREE = {"shape": "static-tree"}


def lines(tmp_path, **settings):
    """Return a small capture's lines, decoded."""
    path = write(tmp_path / "whole.jsonl", events(**settings))
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def read(tmp_path, told):
    """Write the lines as a capture and read it."""
    path = tmp_path / "run.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in told), encoding="utf-8")
    return read_capture(path)


def first(told, kind):
    """Return the place of the first line of a kind."""
    return next(place for place, line in enumerate(told) if line["event"] == kind)


OUT = [
    ("round", "index", -1, "`index` is -1; it must be a whole number from 0 to 2,147,483,648"),
    ("round", "index", 2**53, "from 0 to 2,147,483,648"),
    ("round", "burst", 10**9, "can't have begun"),
    ("round", "context", 2**40, "from 0 to 2,147,483,648"),
    ("round", "depth_asked", 400_000_000, "from 0 to 4,096"),
    ("round", "accepted", -4, "`accepted` is -4"),
    ("round", "accepted", 7, "7 accepted of 4 drafted tokens"),
    ("round", "emitted", [2**32], "to 4,294,967,295"),
    ("round", "emitted", [1] * 10_000, "a list of at most 8,192 entries"),
    (
        "round",
        "final_target_prob",
        1e308,
        "`final_target_prob` is 1e+308; it must be a number from -0.001 to 1.001",
    ),
    ("round", "final_rank", -0.5, "a number from -0.001 to"),
    ("round", "start_ns", -1, "whole number from 0"),
    ("round", "wall_ns", -(10**9), "whole number from 0"),
    ("round", "wall_ns", 10**15, "from 0 to 86,400,000,000,000"),
    ("round", "target_forwards", -1, "whole number from 0"),
    ("round", "target_length", -1, "whole number from 0"),
    ("round", "shared", 0, "whole number from 1"),
    ("round", "shared", 2**30, "shared by 1,073,741,824 of 1 sequences"),
    ("round", "sequence", 10**9, "sequence 1,000,000,000 of a batch of 1"),
    ("burst", "sequence", 1, "sequence 1 of a batch of 1"),
    ("prefill", "fed", -1, "whole number from 0"),
    ("plain", "steps_ns", [5, -5], "`steps_ns[1]` is -5"),
    ("end", "rounds", -1, "whole number from 0"),
]


@pytest.mark.parametrize(("kind", "field", "value", "told"), OUT)
def test_a_number_that_no_engine_can_mean_costs_its_line(tmp_path, kind, field, value, told):
    """The line is named with the reason, and every other line is kept."""
    written = lines(tmp_path)
    place = first(written, kind)
    written[place][field] = value
    found = read(tmp_path, written)
    assert [each.line for each in found.damaged] == [place + 1]
    assert told in found.damaged.first[0].reason
    assert len(found.events) == len(written) - 2


@pytest.mark.parametrize(("nats", "told"), [(1e9, "1000000000.0; it"), (-1.0, "-1.0; it")])
def test_a_token_no_logits_are_short_of_costs_its_pass(tmp_path, nats, told):
    """Its likelihood is above 1, or below the smallest that logits can give."""
    written = lines(tmp_path, workload="ppl", context=900)
    place = first(written, "scored")
    written[place]["nll"][0] = nats
    found = read(tmp_path, written)
    assert [each.line for each in found.damaged] == [place + 1]
    assert told in found.damaged.first[0].reason


DRAFT = {"token": 0, "parent": 1, "seen": 4}
PLACES = [
    (DRAFT["token"], 2**32, "from 0 to 4,294,967,295"),
    (DRAFT["parent"], 3, "hangs on one that comes later"),
    (DRAFT["parent"], -2, "from -1 to"),
    (DRAFT["seen"], [2.0, 0.5, 0.5, 0.5], "to 1.001"),
    (DRAFT["seen"], [0.5, 0.5, 1e308, 0.5], "to 1.001"),
]


@pytest.mark.parametrize(("field", "value", "told"), PLACES)
def test_a_drafted_token_out_of_bounds_costs_its_round(tmp_path, field, value, told):
    """It has an id of no tokenizer, a parent after it, or a probability above 1."""
    written = lines(tmp_path)
    place = first(written, "round")
    written[place]["drafted"][1][field] = value
    found = read(tmp_path, written)
    assert [each.line for each in found.damaged] == [place + 1]
    assert told in found.damaged.first[0].reason


@pytest.mark.parametrize("settings", [{}, BATCH, TREE, {"workload": "ppl", "context": 900}])
def test_nothing_healthy_is_out_of_bounds(tmp_path, settings):
    """Chains, batches, trees and scored text are read whole."""
    written = lines(tmp_path, **settings)
    found = read(tmp_path, written)
    assert not found.damaged
    assert len(found.events) == len(written) - 1


@pytest.mark.parametrize("token", [-1, 10**6, 2**32 - 1])
def test_an_id_that_a_wrong_engine_commits_is_no_damage(tmp_path, token):
    """A rule judges ids outside the vocabulary, so the line is kept."""
    written = lines(tmp_path)
    written[first(written, "round")]["emitted"][-1] = token
    assert not read(tmp_path, written).damaged


def test_a_round_of_too_many_drafts_is_left_out(tmp_path):
    """As many as the bound are read; one more is not."""
    written = lines(tmp_path)
    one = written[first(written, "round")]
    for count, damaged in ((amounts.MOST_DRAFTED, 0), (amounts.MOST_DRAFTED + 1, 1)):
        one["drafted"] = [[7, place - 1, False, False] for place in range(count)]
        one["accepted"] = 0
        assert len(read(tmp_path, written).damaged) == damaged


def test_spans_of_ever_new_names_are_no_columns(tmp_path):
    """A capture may have so many names of spans; rounds with further names are left out."""
    written = lines(tmp_path, max_new_tokens=200)
    rounds = [line for line in written if line["event"] == "round"]
    assert len(rounds) > bounds.MOST_PHASES
    for number, one in enumerate(rounds):
        one["spans"] = [[f"phase {number}", None, 0, 10]]
    found = read(tmp_path, written)
    assert len(found.damaged) == len(rounds) - bounds.MOST_PHASES
    assert "names of phases" in found.damaged.first[0].reason


def test_days_of_rounds_do_not_add_up_to_more_than_a_number_holds(tmp_path):
    """Each may last a day, but all together no longer than a clock can count."""
    written = lines(tmp_path, max_new_tokens=900)
    rounds = [line for line in written if line["event"] == "round"]
    for one in rounds:
        one["wall_ns"] = amounts.LONGEST_NS
    kept = amounts.MOST_EXACT // amounts.LONGEST_NS
    assert len(rounds) > kept
    assert len(read(tmp_path, written).damaged) == len(rounds) - kept


def test_text_read_by_both_models_has_lists_of_one_length(tmp_path):
    """A list that is shorter than its neighbours does not say which entry is missing."""
    lists = {"overlap": [0.5, 0.5], "agree": [1], "target_nll": [1, 1], "draft_nll": [1, 1]}
    read_text = {"event": "overlaps", "context": 9, "start_ns": 0, "wall_ns": 1, **lists}
    header, *_ = lines(tmp_path)
    found = read(tmp_path, [header, read_text])
    assert [*found.damaged] == [Damage(2, "its lists are of unequal lengths")]
    assert read(tmp_path, [header, {**read_text, "agree": [1, 0]}]).events


def test_two_captures_glued_together_are_not_one_run(tmp_path):
    """Lines after the end line are left out; so is a second header before it."""
    written = lines(tmp_path)
    found = read(tmp_path, written * 2)
    assert (len(found.events), len(found.damaged)) == (len(written) - 1, len(written))
    assert found.damaged.first[0].reason == "it stands behind the run's end line"
    twice = read(tmp_path, [written[0], *written])
    assert [*twice.damaged] == [Damage(2, "it is another header")]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"depth": 400_000_000}, "depth` is 400000000; it must be a whole number from 0 to 1,024"),
        ({"batch": 10**9}, "batch` is 1000000000"),
        ({"stops": 2**53}, "stops` is 9007199254740992"),
        ({"window": 0}, "window` is 0; it must be a whole number from 1 to"),
        ({"block": 0}, "block` is 0"),
        ({"temperature": -1.0}, "temperature` is -1.0"),
        ({"temperature": 1e308}, "temperature` is 1e[+]308"),
        ({"temperature": 1e-9}, "temperature is 1e-09; it must be 0, or at least 1e-06"),
        ({"context": -5}, "context` is -5"),
        ({"batch": "many"}, 'batch` is "many"; it must be a whole number'),
    ],
)
def test_a_header_that_no_run_can_have_is_refused(tmp_path, change, told):
    """Its settings are bounded before any array is sized by them."""
    written = lines(tmp_path)
    written[0]["spec"]["settings"] |= change
    with pytest.raises(CaptureUnreadable, match=f"damaged header: .*{told}"):
        read(tmp_path, written)


@pytest.mark.parametrize(("field", "value"), [("layers", -1), ("vocabulary", 2**40)])
def test_a_header_of_a_model_that_cannot_be_is_refused(tmp_path, field, value):
    """Its facts of a model are bounded too."""
    written = lines(tmp_path)
    written[0]["target"][field] = value
    with pytest.raises(CaptureUnreadable, match=f"damaged header: .*{field}"):
        read(tmp_path, written)


def test_a_flood_of_damage_is_counted_and_not_kept():
    """The first few are named, however many there are."""
    flood = Damaged()
    for line in range(bounds.MAX_KEPT_REASONS + 5):
        flood.add(line, lambda: "x" * 1000)
    assert (len(flood), len(flood.first)) == (bounds.MAX_KEPT_REASONS + 5, bounds.MAX_KEPT_REASONS)
    assert flood.describe_first(2)[-1] == f"and {bounds.MAX_KEPT_REASONS + 3:,} more"
    assert max(len(each.reason) for each in flood) == bounds.MAX_REASON_CHARS
    before = flood.copy()
    flood.add(1, "later")
    assert len(before) == len(flood) - 1


@pytest.mark.parametrize("settings", [{}, TREE, BATCH])
def test_what_a_healthy_capture_says_holds_together_as_one_by_one(settings):
    """Bounds judge many lines at once as they judge single lines, for chains, trees and batches."""
    header, *told = events(**settings)
    told = [each for each in told if not isinstance(each, End)]
    together, alone = bounds.Bounds(header), bounds.Bounds(header)
    assert [alone.find_violation(each, line) for line, each in enumerate(told, 2)] == [None] * len(
        told
    )
    assert not together.all_hold(told, 2)  # names that were never seen are looked at one by one
    assert [together.find_violation(each, line) for line, each in enumerate(told, 2)] == [
        None
    ] * len(told)
    assert together.all_hold(told, 2 + len(told))


def test_the_time_of_lines_judged_together_counts_as_that_of_others():
    """Rounds of all pieces together may not last longer than a clock can count."""
    header, *told = events()
    one = next(each for each in told if isinstance(each, Round))
    day, judged = replace(one, wall_ns=amounts.LONGEST_NS), bounds.Bounds(header)
    assert judged.find_violation(day, 2) is None
    assert judged.all_hold([day] * 100, 3)
    assert not judged.all_hold([day] * 10, 103)
