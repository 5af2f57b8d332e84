"""Every reader reports damage first; a capture without a readable result is no success."""

import json

import pytest

import captures
from fuzzing.commands import run

READERS = ("diagnose", "compare", "view", "export csv", "export speedscope")


def spoilt(tmp_path, which):
    """Write a small capture and damage the lines that `which` accepts."""
    path = captures.write(tmp_path / "run.jsonl", captures.events())
    header, *rest = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(header + b"".join(b"\x7b" + each if which(each) else each for each in rest))
    return path, len(rest)


def first_words(name, ended):
    """Return the first words of a reader: the sentence of JSON, the narration of an export."""
    if name.startswith("export"):
        return ended.stderr.splitlines()[0]
    if name == "diagnose":
        return ended.stdout.splitlines()[1]
    return ended.stdout.splitlines()[0]


@pytest.mark.parametrize("name", READERS)
def test_a_capture_without_a_readable_line_is_told_first_and_not_judged(tmp_path, name):
    """The exit code is 5, so that a script does not take it for a success."""
    path, lines = spoilt(tmp_path, lambda line: True)
    ended = run(name, path)
    told = f"none of the {lines} lines after the header could be read (line 2: it is no json"
    assert told in first_words(name, ended).lower()
    assert ended.code == 5
    assert "holds no result that could be read" in ended.stderr
    assert "--detail" not in ended.stdout + ended.stderr


@pytest.mark.parametrize("name", READERS)
def test_a_capture_damaged_in_part_says_how_much_first(tmp_path, name):
    """It says how many of how many lines; the rest is judged, and that is a success."""
    path, lines = spoilt(tmp_path, lambda line: b'"event":"prefill"' in line)
    ended = run(name, path)
    assert f"3 of {lines + 1} lines could not be read (line " in first_words(name, ended)
    assert ended.code == 0


def test_rounds_that_could_not_be_read_are_not_taken_for_rounds_never_recorded(tmp_path):
    """It holds whatever the capture's other lines say."""
    path, _ = spoilt(tmp_path, lambda line: b'"event":"round"' in line)
    ended = run("diagnose", path)
    assert ended.code == 5
    assert "Nothing to attribute: no round could be read." in ended.stdout
    assert "record with --detail" not in ended.stdout


@pytest.mark.parametrize("form", ["json", "github", "sarif"])
def test_every_format_of_a_diagnosis_says_the_damage_first(tmp_path, form):
    """JSON says it in its sentence, the others in their first finding, before the leading one."""
    path, _ = spoilt(tmp_path, lambda line: b'"event":"prefill"' in line)
    told = run(f"diagnose {form}", path).stdout
    if form == "json":
        told = json.loads(told)["diagnoses"][0]["sentence"]
        assert told.startswith("3 of ")
    elif form == "sarif":
        told = json.loads(told)["runs"][0]["results"][0]["message"]["text"]
    assert "lines could not be read" in told.splitlines()[0]


def test_one_damaged_line_is_not_several(tmp_path):
    """`view` counts it in the singular."""
    kept = iter([True])
    path, _ = spoilt(tmp_path, lambda line: next(kept, False))
    told = run("view", path).stdout
    assert "1 damaged line" in told
    assert "1 damaged lines" not in told
