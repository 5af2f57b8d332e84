"""Of a user's own loop a report names the experiment to make: specprof can't run that loop."""

import ast
import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

import loops
import specprof
from specprof.analysis.columns import Columns
from specprof.analysis.evidence import Evidence
from specprof.analysis.recorded import read_columns
from specprof.capture import read_capture
from specprof.cli import app
from specprof.diagnosis import diagnose, findings_so_far, report
from specprof.diagnosis.own_loops import _CHANGES, _OPTION, describe_experiment, reword
from specprof.errors import UsageError
from specprof.findings import Clear, Finding, Found, Unknown
from specprof.tui.screens.findings import _describe_finding

RULES = Path(specprof.__file__).parent / "diagnosis" / "rules"
OPTION = re.compile(r"--[a-z]")


def commands():
    """Every text of the rules that begins as a run's command."""
    trees = [ast.parse(each.read_text()) for each in RULES.glob("*.py")]
    texts = {
        each.value
        for tree in trees
        for each in ast.walk(tree)
        if isinstance(each, ast.Constant) and isinstance(each.value, str)
    }
    return sorted(each for each in texts if re.match(r"specprof run\b[^,\n]*$", each))


class Unfair(loops.Loop):
    """Accepts every draft: a broken rule."""

    def judge(self, tokens, draft_logits, target_logits):
        return len(tokens), self.draw(loops.softmax(target_logits)[-1])


@pytest.fixture(scope="module")
def accused(tmp_path_factory):
    """A capture of a loop that a rule accuses."""
    path = tmp_path_factory.mktemp("own") / "run.jsonl"
    with specprof.record(path, target=loops.target, draft=loops.draft, temperature=1.0) as log:
        loops.play(log, Unfair(), [1, 2, 3], 400)
    return path


@pytest.mark.parametrize("command", commands())
def test_every_command_of_a_rule_is_an_experiment_in_words(command):
    """Each of its options is known by name, and none is left."""
    said = describe_experiment(command)
    assert "specprof" not in said
    assert "--" not in said
    assert "<" not in said
    known = {"--target <the draft>", "--drafter none", *(f"--{each}" for each in _CHANGES)}
    for name, value in (each.groups() for each in _OPTION.finditer(command)):
        assert {f"--{name} {value}", f"--{name}"} & known, command


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("specprof run", "record your loop again"),
        ("specprof run --temperature 0", "record your loop again at temperature 0"),
        (
            "specprof run --draft <the target> --temperature 0",
            "record your loop again with the target as its own draft, at temperature 0",
        ),
        (
            "specprof run --drafter none --temperature 0",
            "decode the same prompts without a draft at temperature 0, and record that",
        ),
        (
            "specprof run --target <the draft> --drafter none",
            "let the draft alone continue the same prompts, and record it as the target",
        ),
        ("specprof run --window-size 64", "record your loop again with window size 64"),
        ("specprof runs", "specprof runs"),
        ("specprof export speedscope <capture>", "specprof export speedscope <capture>"),
    ],
)
def test_a_command_says_what_to_record(command, said):
    """A plug-in's option is read as its name says; what works on any capture stays a command."""
    assert describe_experiment(command) == said


@pytest.mark.parametrize(
    ("hint", "said"),
    [
        ("record with --detail rounds", 'record with detail="rounds"'),
        ("record with --detail rounds or evidence", 'record with detail="rounds" or "evidence"'),
        ("record with --recheck-context N: up to N", "record with recheck_context=N: up to N"),
        (
            "a new run, with --recheck-context at least its context",
            "a new run, with a recheck_context of at least its context",
        ),
        ("record with --backend native", "`specprof.record` doesn't take it"),
        ("with --drafter none and the same target", "with no drafts and the same target"),
        ("what --frobnicate yes does", "what --frobnicate yes does"),
    ],
)
def test_a_hint_names_keywords_in_place_of_options(hint, said):
    """Those of `specprof.record`; an unknown option stays as it is."""
    assert reword(Unknown(reason=hint)) == Unknown(reason=said)
    assert reword(Clear(detectable=hint)) == Clear(detectable=hint)
    finding = Finding(message=hint, measures=(), remedy=hint)
    assert reword(Found(finding=finding)).finding.remedy == said
    assert reword(Found(finding=finding)).finding.message == hint


def test_equal_experiments_are_named_once():
    """Two commands may be one experiment."""
    twice = ("specprof run --drafter self", "specprof run --draft <the target>")
    found = reword(Found(finding=Finding(message="", measures=(), remedy="", confirm=twice)))
    assert found.finding.confirm == ("record your loop again with the target as its own draft",)


def test_text_dashboard_and_document_name_the_experiment(accused):
    """And none of them tells the reader to run what can't be run."""
    columns = read_columns(accused).columns
    made = diagnose(Evidence(columns, name=str(accused)))
    leading = made.leading
    assert leading.rule == "accept-rule-unfair"
    wanted = "record your loop again at temperature 0"
    shown = "\n".join(text for _, text in report.lines(made))
    assert f"    confirm: {wanted}" in shown
    (entry,) = json.loads(report.document([made]))["diagnoses"]
    (told,) = [each for each in entry["verdicts"] if each["rule"] == leading.rule]
    assert told["finding"]["confirm"] == [wanted]
    assert f"try  {wanted}" in _describe_finding(leading, leading.finding, (), chosen=False).plain
    assert "specprof run" not in shown
    assert not [text for _, text in report.lines(made) if OPTION.search(text)]


def test_a_live_capture_names_it_too(accused):
    """The dashboard judges a capture that is still being written."""
    capture = read_capture(accused)
    columns = Columns()
    columns.feed([capture.header, *capture.events])
    assert findings_so_far(columns).leading.finding.confirm[0].startswith("record your loop again")


@pytest.mark.parametrize("probe", ["auto", "short-view", "auto,short-view"])
def test_a_probe_of_a_recorded_loop_says_what_to_do_instead(accused, probe):
    """A loop can't be run by specprof; a named probe is refused, `auto` goes on without."""
    ended = CliRunner().invoke(app, ["diagnose", str(accused), "--probe", probe])
    if probe == "auto":
        assert ended.exit_code == 0
        said = ended.stderr
    else:
        assert isinstance(ended.exception, UsageError)
        said = ended.exception.hint
    assert "a loop of your own recorded this capture, and specprof can't run it" in said
    assert "behind `confirm`" in said
