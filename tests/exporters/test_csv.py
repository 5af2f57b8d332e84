"""The table of rounds."""

import csv

import pytest
from hypothesis import given
from hypothesis import strategies as st

from captures import HOSTILE, events, in_memory
from specprof.exporters.csv import COLUMNS, Csv, escape_formula
from specprof.records import Round, Scored


def export(recorded, folder) -> list[dict]:
    Csv().write(in_memory(recorded), folder / "a.csv")
    with (folder / "a.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_each_row_is_a_round(tmp_path):
    """Counts, rates by their named denominators and times are the round's own."""
    rows = export(events(), tmp_path)
    rounds = [event for event in events() if isinstance(event, Round)]
    assert len(rows) == len(rounds)
    for row, one in zip(rows, rounds, strict=True):
        reached = sum(each.reached for each in one.drafted)
        assert int(row["accepted_tokens"]) == one.accepted
        assert float(row["accepted_per_drafted"]) == one.accepted / len(one.drafted)
        assert float(row["accepted_per_reached"]) == one.accepted / reached
        phases = [int(value) for name, value in row.items() if name.endswith("_phase_ns")]
        assert sum(phases) + int(row["host_gap_ns"]) == one.wall_ns


def test_what_is_not_known_is_an_empty_cell(tmp_path):
    """A baseline round has no acceptance rate; it isn't 0."""
    rows = export(events(depth=0, drafter="none"), tmp_path)
    assert {row["accepted_per_drafted"] for row in rows} == {""}
    assert {row["mean_overlap_over_reached"] for row in rows} == {""}
    assert {row["drafted_tokens"] for row in rows} == {"0"}


def test_every_column_tells_its_unit_or_its_denominator():
    """No bare rate and no bare number: each name ends in what it counts."""
    units = ("tokens", "_ns", "bytes", "forwards", "index", "_rollback", "_round", "_start")
    units += ("levels",)
    assert [name for name in COLUMNS if not name.endswith(units) and "per" not in name
            and "over_reached" not in name] == []  # fmt: skip


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\t=1", "\r=1", "  =1", HOSTILE])
def test_no_text_is_a_formula(text):
    """A spreadsheet takes every header for text."""
    assert escape_formula(text)[0] in "'\\ " or escape_formula(text)[0].isalnum()
    assert not escape_formula(text).lstrip().startswith(("=", "+", "-", "@"))


@given(st.text())
def test_text_is_one_printable_line(text):
    """No name starts a line of its own or hides its direction."""
    assert escape_formula(text).isprintable()


def test_a_trees_levels_stand_beside_its_tokens(tmp_path):
    """Accepted per reached level and per reached token are two columns, and differ."""
    for row in export(events(shape="static-tree"), tmp_path):
        accepted, levels = int(row["accepted_tokens"]), int(row["reached_levels"])
        assert float(row["accepted_per_reached_level"]) == accepted / levels
        assert float(row["accepted_per_reached"]) == accepted / int(row["reached_tokens"])
        assert int(row["drafted_levels"]) == 4 < int(row["drafted_tokens"]) == 28


def test_scored_text_has_a_row_a_token(tmp_path):
    """Position and nats, in order."""
    recorded = events(workload="ppl", context=300)
    rows = export(recorded, tmp_path)
    nll = [each for one in recorded if isinstance(one, Scored) for each in one.nll]
    assert [float(row["nll_nats"]) for row in rows] == nll
    assert [int(row["context_tokens_before_token"]) for row in rows] == list(range(1, 300))
