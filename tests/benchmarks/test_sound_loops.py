"""Sound loops are recorded and diagnosed; an accusation and a loop that is ended are counted."""

import json
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))

import sound_loops
from sound_loops import Outcome, Trial, list_trials, play, table

from recorded_loops.kinds import sound_loops as kinds
from recorded_loops.plain import PlainLoop


class Lenient(PlainLoop):
    """Accepts every draft: unsound."""

    def judge(self, drafts, laws):
        return len(drafts.tokens), self.draw(laws[-1])


class Ending(PlainLoop):
    """Its recorder raises."""

    def emit(self, tokens, accepted, final):
        return [10**6]


def test_there_are_thirty_kinds_and_more():
    """Each says in a line how it differs."""
    found = kinds()
    assert len(found) >= 30
    assert all(kind.__doc__ for kind in found.values())


def test_every_kind_is_played_at_its_temperatures_and_greedily_on_looping_text_too():
    """Kinds that differ only when they draw are not played at temperature 0."""
    trials = list(list_trials(["plain-loop", "first-choices"], range(2)))
    assert [each.temperature for each in trials] == [0, 0, 0, 0, 0.7, 0.7, 1, 1, 0.7, 0.7, 1, 1]
    assert [each.looping for each in trials][:4] == [False, False, True, True]


def test_the_plain_loop_is_not_accused(tmp_path):
    """The trial has some rounds, and no bug."""
    outcome = play(Trial("plain-loop", 1.0, looping=False, seed=0))
    assert outcome.rounds > 60
    assert (outcome.bugs, outcome.ended) == ([], None)


def test_an_unsound_loop_is_accused_and_a_raising_recorder_is_seen(monkeypatch):
    """So a clean table means something."""
    monkeypatch.setattr(sound_loops, "sound_loops", lambda: {"lenient": Lenient, "ending": Ending})
    lenient = play(Trial("lenient", 1.0, looping=False, seed=0))
    assert "accept-rule-unfair" in [rule for rule, _ in lenient.bugs]
    ending = play(Trial("ending", 1.0, looping=False, seed=0))
    assert ending.ended is not None
    assert ending.ended.startswith("UsageError: emitted token 1000000")
    lines = table([lenient, ending])
    assert lines[1].split()[:3] == ["lenient", "1/1", "0/1"]
    assert lines[2].split()[:3] == ["ending", "0/1", "1/1"]
    assert lines[-1] == "1 of 2 runs were accused, and 1 were ended"


def test_the_outcomes_are_written_down(tmp_path, monkeypatch):
    """With the command and every run."""
    bug = Outcome("a", 0.0, looping=True, seed=3, rounds=9, bugs=[("some-rule", "some message")])
    monkeypatch.setattr(sound_loops, "play_trials", lambda trials, jobs: iter([bug]))
    assert sound_loops.main(["--only", "plain-loop", "--into", str(tmp_path)]) == 1
    written = json.loads((tmp_path / "sound-loops.json").read_text())
    assert written["runs"][0]["bugs"] == [["some-rule", "some message"]]
    assert written["stamp"]["command"].startswith("python ")
    assert "some-rule" in (tmp_path / "sound-loops.txt").read_text()
