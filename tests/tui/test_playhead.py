"""The playhead: following, holding, replaying, by a clock that is handed in."""

import numpy as np
import pytest

from specprof.tui.playhead import SPEEDS, Playhead

ENDS = np.arange(1, 101) * 1_000_000_000  # a round a second


class Clock:
    """Stands still until told."""

    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def head(clock):
    return Playhead(clock)


def test_it_follows_the_newest_round(head):
    """Untouched, all rounds there are show."""
    assert head.rounds(ENDS[:10]) == 10
    assert head.rounds(ENDS) == 100
    assert head.label == ""


def test_holding_keeps_the_round_and_letting_go_catches_up(head):
    """A held display stays where it was while rounds come in."""
    head.toggle(ENDS[:10])
    assert head.rounds(ENDS) == 10
    assert head.label == "PAUSED"
    head.toggle(ENDS)
    assert head.rounds(ENDS) == 100


def test_a_replay_shows_a_round_once_its_time_has_come(head, clock):
    """At 1x round n shows n seconds in; when all show, the display follows again."""
    head.replay()
    assert head.rounds(ENDS) == 0
    clock.now = 7.5
    assert head.rounds(ENDS) == 7
    clock.now = 200.0
    assert head.rounds(ENDS) == 100
    assert not head.replaying


def test_a_new_speed_goes_on_from_where_the_replay_is(head, clock):
    """Speeding up moves nothing at that moment."""
    head.replay()
    clock.now = 10.0
    head.faster()
    assert head.rounds(ENDS) == 10
    assert head.label == "REPLAY 4x"
    clock.now = 12.0
    assert head.rounds(ENDS) == 18


def test_speeds_come_round(head):
    """Behind the fastest is the slowest."""
    for _ in SPEEDS:
        head.faster()
    head.replay()
    assert head.label == f"REPLAY {SPEEDS[0]}x"


def test_a_replay_held_and_let_go_resumes(head, clock):
    """Time spent holding is not replayed."""
    head.replay()
    clock.now = 5.0
    head.toggle(ENDS)
    clock.now = 50.0
    assert head.rounds(ENDS) == 5
    head.toggle(ENDS)
    clock.now = 52.0
    assert head.rounds(ENDS) == 7


def test_steps_stay_within_the_recording(head):
    """One back, one on, never before the first round nor past the last."""
    head.step(-1, ENDS)
    assert head.rounds(ENDS) == 99
    head.step(1, ENDS)
    head.step(1, ENDS)
    assert head.rounds(ENDS) == 100
    head.step(-500, ENDS)
    assert head.rounds(ENDS) == 1


def test_a_jump_holds_at_a_round_and_passes_over_what_is_not_there(head):
    """From following or replaying alike; it is let go as any held display is."""
    head.jump(7, ENDS)
    assert (head.rounds(ENDS), head.label) == (7, "PAUSED")
    head.jump(101, ENDS)
    head.jump(0, ENDS)
    assert head.rounds(ENDS) == 7
    head.toggle(ENDS)
    assert head.rounds(ENDS) == 100
    head.replay()
    head.jump(30, ENDS)
    assert (head.rounds(ENDS), head.label) == (30, "PAUSED")
    head.toggle(ENDS)
    assert head.replaying


def test_following_ends_holding_and_replaying(head):
    """Escape's meaning: back to the newest round."""
    head.replay()
    head.step(1, ENDS)
    head.follow()
    assert (head.rounds(ENDS), head.label) == (100, "")
