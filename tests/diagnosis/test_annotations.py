"""GitHub workflow annotations of a diagnosis: one command a finding, whatever its text."""

import re

import captures
import verdicts
from specprof.diagnosis.annotations import annotations

COMMAND = re.compile(r"::(error|warning|notice) file=([^,:]*),line=(\d+),title=([^,:]*)::(.*)")


def commands(*diagnoses):
    lines = annotations(diagnoses).splitlines()
    matches = [COMMAND.fullmatch(line) for line in lines]
    assert all(matches), lines
    return [match.groups() for match in matches]


def read(text):
    """As the runner reads a property or a message."""
    for sign, escaped in ((":", "%3A"), (",", "%2C"), ("\r", "%0D"), ("\n", "%0A"), ("%", "%25")):
        text = text.replace(escaped, sign)
    return text


def test_each_finding_is_one_command(tmp_path):
    """The leading one first, its level by its family, at the line of its round."""
    path = captures.write(tmp_path / "run.jsonl", captures.events())
    told = commands(verdicts.diagnosis(str(path)))
    assert [each[0] for each in told] == ["error", "error", "notice"]
    assert [read(each[3]) for each in told] == [
        "bug: cache-length-wrong",
        "bug: state-drifts",
        "cost: draft-too-expensive",
    ]
    assert {read(each[1]) for each in told} == {str(path)}
    lines = path.read_text().splitlines()
    assert '"index":3,' in lines[int(told[0][2]) - 1]
    assert '"index":7,' in lines[int(told[1][2]) - 1]
    assert told[2][2] == "1"


def test_signs_of_the_command_are_escaped():
    """Percent, line ends; in properties colon and comma too."""
    told = commands(verdicts.diagnosis("C:\\runs,100%.jsonl"))
    assert read(told[0][1]) == "C:\\runs,100%.jsonl"
    assert "%" not in told[0][1].replace("%3A", "").replace("%2C", "").replace("%25", "")
    assert read(told[0][4]) == "100% of rounds, 2: one\\nlong\nroll back, all of it"
    assert told[0][4].startswith("100%25 of rounds, 2: one")


def test_suspects_are_named():
    """With the catalogue's remedy."""
    (_, state, _) = commands(verdicts.diagnosis())
    assert "\nlikely kv/draft-rollback-under-trim: Rejected tokens" in read(state[4])


def test_no_text_can_add_a_command():
    """A capture's name is foreign."""
    hostile = verdicts.diagnosis("x\n::error::broken\r::stop-commands::x" + captures.HOSTILE)
    assert len(annotations([hostile]).splitlines()) == len(verdicts.diagnosis().found)
    assert all(sign.isprintable() or sign == "\n" for sign in annotations([hostile]))


def test_a_healthy_capture_is_silent():
    """Nothing found, nothing written."""
    assert annotations([]) == ""
