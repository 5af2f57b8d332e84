"""Recorded loops are watched as they grow: an accusation at any look counts."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))

import recorded_alarms
from recorded_alarms import Watched, list_watched, sum_up, watch
from sound_loops import Trial

from recorded_loops.kinds import sound_loops
from recorded_loops.plain import PlainLoop


class LenientAtFirst(PlainLoop):
    """Accepts every draft of its first two bursts: unsound."""

    def judge(self, drafts, laws):
        if self.rounds < 30:
            return len(drafts.tokens), self.draw(laws[-1])
        return super().judge(drafts, laws)


def test_a_sound_loop_is_looked_at_every_ten_rounds_and_at_its_end():
    """And accused at none of these looks."""
    found = watch(Trial("plain-loop", 1.0, looping=False, seed=0))
    assert found.looks == -(-found.rounds // 10) >= 6
    assert found.accused == []


def test_an_accusation_before_the_end_counts(monkeypatch):
    """The unsound rounds lie at the start."""
    monkeypatch.setattr(recorded_alarms, "sound_loops", lambda: {"lenient": LenientAtFirst})
    assert "accept-rule-unfair" in watch(Trial("lenient", 1.0, looping=False, seed=0)).accused


def test_the_rate_is_of_runs_with_its_interval():
    """One of four, whatever the number of its rules."""
    runs = [Watched("a", 1.0, False, seed, 80, 8, []) for seed in range(3)]
    runs.append(Watched("b", 0.7, False, 0, 40, 4, ["one", "other"]))
    made = sum_up(runs)
    assert (made["accused_per_run"], made["runs"], made["kinds"]) == (0.25, 4, 2)
    assert (made["rounds"], made["looks"]) == (280, 28)
    assert [each["kind"] for each in made["accused"]] == ["b"]
    low, high = made["interval_95"]
    assert low < 0.25 < high


def test_all_kinds_are_watched_at_each_of_their_temperatures():
    """By each seed, on prose only."""
    trials = list(list_watched(list(sound_loops()), range(2)))
    cells = sum(len(kind.temperatures) for kind in sound_loops().values())
    assert len(trials) == 2 * cells
    assert not any(each.looping for each in trials)
