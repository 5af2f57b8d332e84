"""The line to a player, whatever becomes of it, and what plays amount to."""

import sys
import time
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
sys.path.append(str(BENCHMARKS))

from players import line, paired  # noqa: E402 - scripts, found where the line above says

READY = """
import json, sys, time
print(json.dumps({"arms": ["one"], "versions": {"engine": "1"}}), flush=True)
"""
ECHOES = """
for asked in sys.stdin:
    print(json.dumps({"tokens": json.loads(asked)["prompt"]}), flush=True)
"""


def player(folder, monkeypatch, script, limit_s=20.0):
    """A child that does what `script` says."""
    (folder / "fake.py").write_text(script, encoding="utf-8")
    monkeypatch.setattr(line, "__file__", str(folder / "line.py"))
    return line.Player(Path(sys.executable), "fake.py", limit_s=limit_s)


def test_a_player_says_what_it_plays_and_answers(tmp_path, monkeypatch):
    """And ends when nobody asks any more."""
    with player(tmp_path, monkeypatch, READY + ECHOES) as child:
        assert child.arms == ["one"]
        assert child.facts == {"versions": {"engine": "1"}}
        assert child.play("one", [3, 4]) == {"tokens": [3, 4]}
    assert child._child.returncode == 0


def test_one_that_hangs_is_killed_and_told(tmp_path, monkeypatch):
    """With its name, what it was at, and how long it was given."""
    with player(tmp_path, monkeypatch, READY + "time.sleep(60)", limit_s=1.0) as child:
        told = r"fake.py, playing one: took more than 1 s and was killed"
        with pytest.raises(RuntimeError, match=told):
            child.play("one", [1])
    assert child._child.returncode is not None


def test_one_that_never_gets_ready_is_killed_too(tmp_path, monkeypatch):
    """Nobody would be there to end it."""
    with pytest.raises(RuntimeError, match=r"getting ready: took more than 0\.5 s"):
        player(tmp_path, monkeypatch, "import time; time.sleep(60)", limit_s=0.5)


def test_one_that_does_not_end_is_ended(tmp_path, monkeypatch):
    """An engine's own threads can keep a process from its end."""
    started = time.monotonic()
    stays = READY + ECHOES + "time.sleep(60)"
    with player(tmp_path, monkeypatch, stays, limit_s=1.0) as child:
        child.play("one", [1])
    assert child._child.returncode != 0
    assert time.monotonic() - started < 30


def test_one_that_died_says_with_which_code(tmp_path, monkeypatch):
    """Asked again, it says so again: writing to it is no error of its own."""
    with player(tmp_path, monkeypatch, READY + "sys.exit(7)") as child:
        child._child.wait()
        for _ in range(2):
            with pytest.raises(RuntimeError, match="ended with exit code 7"):
                child.play("one", [1] * 100_000)


def test_decoding_begins_after_the_round_with_the_eighth_token():
    """Of 1 + 4 + 4 tokens the ninth is out at 2.0 s; what follows is timed."""
    stamps = [(1.0, 1), (1.5, 4), (2.0, 4), (2.5, 5), (4.0, 2)]
    assert paired.measure_decoding(stamps) == (7, 2.0, 2)
    with pytest.raises(ValueError, match="ask for more"):
        paired.measure_decoding(stamps[:3])


def plays(arm_s, repeats):
    """Rounds of four tokens, each that many seconds."""
    stamps = [(number * arm_s, 4) for number in range(1, 8)]
    return [[{"stamps": stamps, "wall_s": 8 * arm_s, "process_s": 4 * arm_s}]] * repeats


def test_a_ratio_has_an_interval_from_six_blocks_on():
    """Five hold the median in fewer than 95 of 100 cases, whatever is drawn of them anew."""
    assert paired.ratio(np.array([1.0, 2, 3, 4, 5])) == {"median": 3.0, "interval_95": None}
    assert paired.ratio(np.arange(7.0)) == {"median": 3.0, "interval_95": [0.0, 6.0]}


@pytest.mark.parametrize("repeats", [1, 7])
def test_arms_are_held_against_each_other(repeats):
    """Twice as long a round is half the speed; columns never touch."""
    told = {"openvino plain": plays(0.01, repeats), "flat plain": plays(0.0001, repeats)}
    arms = paired.compare_arms(told, 4)
    over = arms["flat plain"]["speed_over"]["openvino plain"]
    assert over["median"] == pytest.approx(100)
    assert (over["interval_95"] is None) == (repeats < 6)
    assert arms["openvino plain"]["emitted_per_decoding_second"] == pytest.approx(400)
    assert arms["openvino plain"]["accepted_per_round"] == 3
    for arm in arms.values():
        arm["other_tokens"] = []
    text = paired.table({"arms": arms, "threads": 2, "context": 256, "depth": 4})
    shown = "100.00 [100.00 100.00]" if repeats == 7 else "100.00 "
    assert f"  {shown}" in text
