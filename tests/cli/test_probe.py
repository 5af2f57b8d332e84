"""``specprof diagnose --probe``, as a user runs it; the child's run is a real one."""

import json
import math
import subprocess
import sys
import time

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

import captures
from specprof import plan, trust
from specprof.capture import read_capture
from specprof.cli import _probe, app
from specprof.cli._probe import as_set_arguments
from specprof.diagnosis import probing
from specprof.diagnosis.probes.short_view import ShortView
from specprof.errors import SpecprofError, UnknownName, UsageError
from specprof.extend import Probe
from specprof.findings import Clear
from specprof.settings import Profile, Settings


def asked(*arguments):
    return CliRunner().invoke(app, ["diagnose", *map(str, arguments)])


@pytest.fixture
def capture(tmp_path):
    return captures.healthy(tmp_path / "run.jsonl")


def test_an_unknown_probe_lists_the_known(capture):
    """Nearest first."""
    raised = asked(capture, "--probe", "self-darft").exception
    assert isinstance(raised, UnknownName)
    assert raised.hint.startswith("known: self-draft")


def test_a_probe_that_does_not_apply_says_so(capture):
    """A made-up run can't be made again."""
    raised = asked(capture, "--probe", "short-view").exception
    assert isinstance(raised, UsageError)
    assert "short-view" in raised.title
    assert "only repeat runs of specprof's own engine" in raised.hint
    assert "'synthetic'" in raised.hint


def test_a_budget_bounds_probes_and_nothing_else(capture):
    """Alone it is refused; with `auto` and nothing to run it is harmless."""
    raised = asked(capture, "--budget", "5").exception
    assert isinstance(raised, UsageError)
    assert asked(capture, "--probe", "auto", "--budget", "5").exit_code == 0
    unbounded = asked(capture, "--probe", "auto", "--budget", "nan")
    assert unbounded.exit_code == 2
    assert "'nan' is no number" in unbounded.output


def test_auto_says_why_it_makes_no_probe(pair, capture, tmp_path):
    """No run is worth making, a count leads, or the time is too short."""
    import runs

    said = asked(capture, "--probe", "auto").stderr
    assert said == "probe auto: no run made; no verdict depends on a run that could be made\n"
    sick = captures.write(tmp_path / "sick.jsonl", captures.events("draft-cache-short"))
    said = asked(sick, "--probe", "auto").stderr
    assert "cache-length-wrong leads; it rests on counts" in said
    recorded = runs.events(pair, temperature=1.0, max_new_tokens=48, recheck_context=0)
    header = msgspec.structs.replace(recorded[0], created="2026-01-01T00:00:00+00:00")
    real = captures.write(tmp_path / "real.jsonl", [header, *recorded[1:]])
    said = asked(real, "--probe", "auto", "--budget", "0").stderr
    assert "s, more than the budget" in said


@pytest.mark.parametrize(
    "settings",
    [Settings(), Settings(draft=None, drafter="self", temperature=0.3, ignore_eos=True, view=9)],
)
def test_settings_survive_the_command_line(settings):
    """Every field is named, and read back as it was."""
    given = dict(line.split("=", 1) for line in as_set_arguments(settings))
    read = {field: plan.parse_value(field, text) for field, text in given.items()}
    assert plan.override(Profile(name="x"), **read).run == settings


def test_a_probe_runs_in_a_process_of_its_own(pair, tmp_path):
    """Its capture lies beside the original; its verdict is in the document; stdout is data."""
    import runs

    path = tmp_path / "run.jsonl"
    recorded = runs.events(pair, temperature=1.0, max_new_tokens=48)
    header = msgspec.structs.replace(recorded[0], created="2026-01-01T00:00:00+00:00")
    captures.write(path, [header, *recorded[1:]])
    command = [sys.executable, "-m", "specprof", "diagnose", str(path), "--json"]
    command += ["--probe", "self-draft", *trust.list_allow_options([header.spec.settings])]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stderr
    (told,) = json.loads(ended.stdout)["diagnoses"]
    (verdict,) = [each for each in told["verdicts"] if each["rule"] == "self-draft"]
    assert verdict["outcome"] == "clear"
    assert "probe self-draft: 1 run," in ended.stderr
    beside = sorted(each.name for each in (tmp_path / "run.jsonl.probes").iterdir())
    assert beside == ["self-draft.jsonl"]


def test_a_profiles_probes_are_told_on_stderr(tmp_path, monkeypatch, capsys):
    """What doesn't apply is told, what does is made and judged, and the sentence closes."""
    path, played = captures.healthy(tmp_path / "run.jsonl"), []

    class Fits(Probe):
        family = "bug"
        bears_on = frozenset({"accept-rule-unfair"})

        def runs(self, header):
            return [header.spec.settings]

        def judge(self, evidence, runs):
            (made,) = runs
            return Clear(detectable=f"one of {len(made.rounds)} rounds")

    known = {"fits": Fits(), "short-view": ShortView()}
    monkeypatch.setattr(probing, "_probes", lambda also=(): known)

    def run(settings, place, limit_s):
        played.append((place, limit_s))
        captures.healthy(place)

    monkeypatch.setattr(_probe, "_run", run)
    (tmp_path / "run.jsonl.probes").mkdir()
    _probe.follow_up(["short-view", "fits"], path, captures.events()[0].spec.settings)
    told = capsys.readouterr()
    assert told.out == ""
    assert "probe short-view: not run; the settings of this run rule it out" in told.err
    assert "probe fits: clear; the smallest fault it would have seen: one of" in told.err
    assert "% of reached drafts were rejected; " in told.err.splitlines()[-1]
    assert played == [(tmp_path / "run.jsonl.probes" / "fits.jsonl", math.inf)]


def test_a_run_that_drafted_nothing_is_not_probed(tmp_path, capsys):
    """Plain decoding, a baseline in a sweep: no word and no file."""
    path = captures.write(tmp_path / "a.jsonl", captures.events(drafter="none", depth=0))
    _probe.follow_up(["self-draft"], path, Settings())
    assert capsys.readouterr().err == ""
    assert not (tmp_path / "a.jsonl.probes").exists()


@pytest.mark.parametrize("device", ["cpu\0", "x" * 3_000_000])
def test_a_setting_that_is_no_argument_starts_nothing(tmp_path, device):
    """A text out of a capture that no command line can hold: a probe that could not be made."""
    (tmp_path / "a.probes").mkdir()
    with pytest.raises(SpecprofError, match="can't be started"):
        _probe._run(Settings(device=device), tmp_path / "a.probes" / "x.jsonl", math.inf)


@given(st.text())
def test_a_value_is_never_an_option(text):
    """Each is one word that begins with its field."""
    settings = Settings(target=text, draft=text, text=text, dataset=text, device=text, dtype=text)
    fields = [line.partition("=")[0] for line in as_set_arguments(settings)]
    assert fields == list(Settings.__struct_fields__)


def test_a_run_that_the_budget_does_not_hold_is_stopped(tmp_path):
    """Its estimate came from a capture, which may say anything; its capture stays readable."""
    path = tmp_path / "a.probes" / "x.jsonl"
    endless = Settings(backend="synthetic", temperature=1.0, max_new_tokens=100_000, stops=50)
    with pytest.raises(SpecprofError, match="stopped after 4 s: the budget is used up"):
        _probe._run(endless, path, 4.0)
    assert read_capture(path).state == "interrupted"


def test_a_player_gives_a_run_what_is_left_of_the_budget(tmp_path, monkeypatch):
    """Twice that, and some seconds for a busy machine; no bound without a budget."""
    limits = []
    monkeypatch.setattr(_probe, "_run", lambda settings, path, limit_s: limits.append(limit_s))
    monkeypatch.setattr(_probe, "_read_evidence", lambda path: None)
    _probe._make_player(tmp_path)("x", Settings())
    _probe._make_player(tmp_path, time.monotonic() + 60)("x", Settings())
    _probe._make_player(tmp_path, time.monotonic() - 60)("x", Settings())
    assert limits[0] == math.inf
    assert 2 * 50 < limits[1] - _probe.GRACE_S <= 2 * 60
    assert limits[2] == _probe.GRACE_S
