"""``specprof diagnose``, as a user runs it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import captures
from specprof.cli import app
from specprof.errors import (
    CaptureUnreadable,
    DiagnosisFailed,
    MissingEvidence,
    UnknownName,
    UsageError,
)
from specprof.records import Round

LONG = {"stops": 8, "max_new_tokens": 160, "context": 4000}


def specprof(*arguments):
    """Run in this process: importing numpy for each case would cost a second each."""
    return CliRunner().invoke(app, [str(each) for each in arguments])


@pytest.fixture(scope="module")
def sick(tmp_path_factory):
    path = tmp_path_factory.mktemp("captures") / "sick.jsonl"
    return captures.write(path, captures.events("draft-cache-short", **LONG))


@pytest.fixture(scope="module")
def healthy(tmp_path_factory):
    path = tmp_path_factory.mktemp("captures") / "healthy.jsonl"
    return captures.write(path, captures.events(**LONG, plain_steps=0))


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    path = tmp_path_factory.mktemp("captures") / "plain.jsonl"
    return captures.write(path, captures.events(**LONG, drafter="none"))


def test_the_sentence_is_the_second_line(sick):
    """After the capture's name; stdout is data without colour when it is no terminal."""
    ended = specprof("diagnose", sick)
    assert ended.exit_code == 0
    assert ended.stdout.splitlines()[0] == str(sick)
    assert "% of reached drafts were rejected: " in ended.stdout.splitlines()[1]
    assert "bug: cache-length-wrong: the draft cache gets 2 tokens short" in ended.stdout
    assert "\x1b" not in ended.stdout


def test_a_terminal_shows_the_same_characters(sick, monkeypatch):
    """Colour is all that differs."""
    from specprof.cli import _report

    colour = specprof("diagnose", sick)
    monkeypatch.setenv("FORCE_COLOR", "1")
    coloured = CliRunner().invoke(app, ["diagnose", str(sick)], color=True)
    assert "\x1b" in coloured.stdout
    import re

    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured.stdout) == colour.stdout
    assert _report.STYLES


def test_a_baseline_beside_a_run_gives_its_speed(healthy, plain):
    """One diagnosis, of the run that drafted; the bound becomes a measurement."""
    alone, beside = specprof("diagnose", healthy), specprof("diagnose", healthy, plain)
    assert "upper bound" in alone.stdout
    assert "upper bound" not in beside.stdout
    assert "plain decoding's own gap" in beside.stdout
    assert str(plain) not in beside.stdout


def test_a_baseline_alone_is_told_for_what_it_is(plain):
    """Nothing to attribute, exit 0."""
    ended = specprof("diagnose", plain)
    assert ended.exit_code == 0
    assert "Nothing to attribute: no drafted token was reached." in ended.stdout


def test_json_is_one_document_for_all_captures(sick, healthy):
    """Every capture that drafted has its entry."""
    document = json.loads(specprof("diagnose", sick, healthy, "--json").stdout)
    assert document["schema"] == "specprof.diagnosis/1"
    assert [each["capture"] for each in document["diagnoses"]] == [str(sick), str(healthy)]


@pytest.mark.parametrize("form", ["text", "json", "sarif", "github"])
def test_a_terminal_and_a_file_get_the_same_bytes_but_for_escapes(sick, form, monkeypatch):
    """Whatever the format; NO_COLOR takes the colours away there too."""
    import re

    asked = ["diagnose", str(sick), "--format", form]
    told = specprof(*asked).stdout
    monkeypatch.setenv("FORCE_COLOR", "1")
    coloured = CliRunner().invoke(app, asked, color=True).stdout
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == told
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[3" not in (plain := CliRunner().invoke(app, asked, color=True).stdout)
    assert re.sub(r"\x1b\[[0-9;]*m", "", plain) == told


def test_each_format_is_what_it_is_called(sick):
    """And --json is one of them."""
    assert specprof("diagnose", sick, "--format", "json").stdout == (
        specprof("diagnose", sick, "--json").stdout
    )
    log = json.loads(specprof("diagnose", sick, "--format", "sarif").stdout)
    told = {each["ruleId"]: each for each in log["runs"][0]["results"]}
    place = told["cache-length-wrong"]["locations"][0]["physicalLocation"]
    line = sick.read_text().splitlines()[place["region"]["startLine"] - 1]
    assert json.loads(line)["event"] == "round"
    annotations = specprof("diagnose", sick, "--format", "github").stdout.splitlines()
    assert any(line.startswith("::error ") and "cache-length-wrong" in line for line in annotations)


def test_an_unknown_format_is_refused(sick):
    """Before anything is read; and two at once are no format."""
    ended = specprof("diagnose", sick, "--format", "srif")
    assert isinstance(ended.exception, UnknownName)
    assert "known: sarif," in ended.exception.hint
    assert isinstance(
        specprof("diagnose", sick, "--json", "--format", "sarif").exception, UsageError
    )


def test_the_exit_codes_are_in_the_help():
    """A pipeline needs to know them."""
    told = " ".join(specprof("diagnose", "--help").stdout.split())
    assert "Exit codes: 0: judged" in told
    assert "4: a finding of a --fail-on family" in told


@pytest.mark.parametrize("asked", [["bug"], ["cost,bug"], ["cost", "bug"], ["any"]])
def test_fail_on_a_family_that_was_found(sick, asked):
    """Exit code 4, after the whole report was written."""
    ended = specprof("diagnose", sick, *(part for each in asked for part in ("--fail-on", each)))
    assert isinstance(ended.exception, DiagnosisFailed)
    assert ended.exception.exit_code == 4
    assert "bug: cache-length-wrong" in ended.exception.title
    assert "remedy: " in ended.stdout


def test_fail_on_a_family_that_was_not_found(healthy):
    """A healthy run passes."""
    assert specprof("diagnose", healthy, "--fail-on", "bug,measurement").exit_code == 0


def test_fail_on_a_family_nothing_could_judge_is_no_pass(tmp_path):
    """Silence is not health: a capture of a header alone holds no answer."""
    bare = captures.write(tmp_path / "bare.jsonl", captures.events()[:1])
    ended = specprof("diagnose", bare, "--fail-on", "bug")
    assert isinstance(ended.exception, MissingEvidence)
    assert ended.exception.exit_code == 5


def test_a_run_that_should_have_drafted_is_no_baseline(healthy, plain, tmp_path):
    """Beside a healthy run it is judged for itself, as one that drafts nothing by design is not."""
    bare = captures.write(tmp_path / "bare.jsonl", captures.events()[:1])
    ended = specprof("diagnose", healthy, bare, "--fail-on", "bug")
    assert isinstance(ended.exception, MissingEvidence)
    assert str(bare) in ended.exception.title
    assert specprof("diagnose", healthy, plain, "--fail-on", "bug").exit_code == 0


def test_a_capture_whose_rounds_are_gone_is_no_pass(tmp_path):
    """Its end line counts them."""
    kept = [each for each in captures.events() if not isinstance(each, Round)]
    ended = specprof("diagnose", captures.write(tmp_path / "a.jsonl", kept), "--fail-on", "any")
    assert isinstance(ended.exception, DiagnosisFailed)
    assert "capture-incomplete" in ended.exception.title


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_a_full_disk_behind_stdout_is_told(healthy):
    """In two lines, like every other trouble."""
    command = [sys.executable, "-m", "specprof", "diagnose", str(healthy)]
    with Path("/dev/full").open("wb") as full:
        ended = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, check=False, text=True)
    assert ended.returncode == 1
    assert ended.stderr.startswith("specprof: can't write to stdout: No space")
    assert "Traceback" not in ended.stderr


def test_an_unknown_family_is_refused_before_anything_is_read(tmp_path):
    """The known ones are listed."""
    ended = specprof("diagnose", tmp_path / "none.jsonl", "--fail-on", "bugs")
    assert isinstance(ended.exception, UnknownName)
    assert "known: bug," in ended.exception.hint


def test_no_capture_is_refused(tmp_path):
    """With the path and a remedy."""
    ended = specprof("diagnose", tmp_path / "none.jsonl")
    assert isinstance(ended.exception, CaptureUnreadable)


def test_the_exit_code_reaches_the_shell(sick):
    """Through main: two lines on stderr, 4 as the exit code."""
    command = [sys.executable, "-m", "specprof", "diagnose", str(sick), "--fail-on", "any"]
    ended = subprocess.run(command, capture_output=True, check=False, text=True)
    assert ended.returncode == 4
    assert ended.stderr.startswith("specprof: --fail-on any: found bug: cache-length-wrong")


def test_a_named_folder_adds_its_rules(healthy, tmp_path):
    """Rules outside the package are loaded only when named."""
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "never_content.py").write_text(
        '"""Never content."""\n'
        "from specprof.extend import Rule\n"
        "from specprof.findings import Finding, Found\n"
        "class NeverContent(Rule):\n"
        "    family = 'configuration'\n"
        "    def judge(self, evidence):\n"
        "        return Found(finding=Finding(message='no', measures=(), remedy='none'))\n"
    )
    assert "never-content" not in specprof("diagnose", healthy).stdout
    told = specprof("diagnose", healthy, "--plugins", tmp_path).stdout
    assert "configuration: never-content: no" in told


def test_a_table_of_results_is_judged_like_a_capture(tmp_path, healthy):
    """The same report, document and exit codes; captures and tables side by side."""
    path = tmp_path / "results.md"
    path.write_text(
        "| K | accept rate | tokens per target forward |\n|-|-|-|\n"
        "| 2 | 0.523 | 1.023 |\n| 4 | 0.412 | 1.324 |\n| 8 | 0.301 | 1.704 |\n"
    )
    ended = specprof("diagnose", path, healthy)
    assert ended.exit_code == 0
    assert "bug: extra-target-forwards: two target forwards a round" in ended.stdout
    assert str(healthy) in ended.stdout
    (entry,) = json.loads(specprof("diagnose", path, "--json").stdout)["diagnoses"]
    assert entry["capture"] == str(path)
    assert {each["outcome"] for each in entry["verdicts"]} == {"found", "clear", "unknown"}
    failed = specprof("diagnose", path, "--fail-on", "bug")
    assert isinstance(failed.exception, DiagnosisFailed)
    assert specprof("explain", "counts-disagree").exit_code == 0


def test_what_stands_behind_the_end_line_is_not_a_whole_capture(tmp_path):
    """A line that was begun there was written by somebody else, or the file is another run's."""
    path = captures.healthy(tmp_path / "run.jsonl")
    sound = specprof("diagnose", path)
    assert sound.exit_code == 0
    assert "after its end line" not in sound.stdout
    path.write_bytes(path.read_bytes() + b'{"event":"round","index":9')
    said = " ".join(specprof("diagnose", path).stdout.split())
    assert "after its end line comes a line that was cut off" in said
