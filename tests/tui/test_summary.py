"""The plain summary: the dashboard's drawings as text, for pipes and logs."""

import pytest

from captures import ODD
from dashboards import walk
from specprof.errors import CaptureUnreadable
from specprof.tui.summary import SUMMARY_WIDTH, summary


def test_it_says_what_the_dashboard_says(tmp_path):
    """State, rates with denominators, phases and the diagnosis' sentence are there."""
    text = summary(walk(tmp_path / "run.jsonl"))
    for wanted in ("RUN COMPLETE", "tau emitted/round", "verify", "accepts per round"):
        assert wanted in text
    assert "of reached drafts were rejected" in " ".join(text.split())
    assert max(map(len, text.splitlines())) <= SUMMARY_WIDTH


def test_it_can_be_ascii(tmp_path):
    """For terminals and logs that are not UTF-8."""
    assert summary(walk(tmp_path / "run.jsonl"), ascii_only=True).isascii()


@pytest.mark.parametrize("kind", sorted(ODD))
def test_odd_captures_have_a_summary(tmp_path, kind):
    """Truncated, empty, draftless and hostile captures are summed up without control signs."""
    text = summary(ODD[kind](tmp_path / "run.jsonl"))
    assert all(glyph.isprintable() for glyph in text.replace("\n", ""))


def test_an_empty_file_is_an_error(tmp_path):
    """There is nothing to sum up before the header line."""
    (tmp_path / "run.jsonl").touch()
    with pytest.raises(CaptureUnreadable):
        summary(tmp_path / "run.jsonl")
