"""A finding's round has a line in the capture's file."""

import msgspec
import pytest

import captures
import verdicts
from specprof.diagnosis.lines import first_round, line_numbers


@pytest.fixture(scope="module")
def capture(tmp_path_factory):
    path = tmp_path_factory.mktemp("captures") / "run.jsonl"
    return captures.write(path, captures.events())


def test_a_round_is_found_on_its_line(capture):
    """Line 1 is the header; what an editor opens at that line is that round."""
    found = line_numbers(verdicts.diagnosis(str(capture)))
    assert set(found) == {3, 7}
    text = capture.read_bytes().splitlines()
    for index, line in found.items():
        event = msgspec.json.decode(text[line - 1])
        assert (event["event"], event["index"]) == ("round", index)


def test_damage_before_the_round_counts_as_a_line(capture, tmp_path):
    """As every editor counts."""
    header, *rest = capture.read_bytes().splitlines(keepends=True)
    damaged = tmp_path / "damaged.jsonl"
    damaged.write_bytes(header + b'{"event": "rou\n\xff\xfe\n[]\n' + b"".join(rest))
    found, sound = (line_numbers(verdicts.diagnosis(str(path))) for path in (damaged, capture))
    assert found == {index: line + 3 for index, line in sound.items()}


def test_what_is_no_file_has_no_lines(tmp_path):
    """A drill's capture is gone, its name no path; a folder is none either."""
    assert line_numbers(verdicts.diagnosis("drill kv")) == {}
    assert line_numbers(verdicts.diagnosis(str(tmp_path))) == {}


def test_the_place_goes_before_the_rounds():
    """A finding's first place is its `where`; of the run as a whole it has none."""
    assert first_round(verdicts.STATE) == 7
    assert first_round(verdicts.LENGTH) == 3
    assert first_round(verdicts.SLOW) is None
