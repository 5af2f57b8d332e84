"""Long captures are healthy whatever their length, and growth and goals are judged as stated."""

import itertools
import sys
from pathlib import Path

import numpy as np
import pytest

import captures
from specprof.analysis.evidence import Evidence
from specprof.analysis.recorded import Recorded, read_columns
from specprof.diagnosis import diagnose

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
sys.path.append(str(BENCHMARKS))

import capture_growth  # noqa: E402 - scripts, found where the line above says
import long_captures  # noqa: E402

GREEDY = {"temperature": 0.0, "stops": 3, "max_new_tokens": 40}


@pytest.fixture(scope="module")
def walk(tmp_path_factory):
    folder = tmp_path_factory.mktemp("walk")
    return captures.write(folder / "walk.jsonl", captures.events(**GREEDY))


def long(walk: Path, rounds: int) -> Recorded:
    path = captures.write(
        walk.with_name("long.jsonl"), list(long_captures.repeat_walk(walk, rounds))
    )
    return read_columns(path)


def accused(columns):
    return {each.rule for each in diagnose(Evidence(columns)).found if each.family == "bug"}


def test_a_walk_told_over_and_over_is_one_long_healthy_run(walk):
    """Whole bursts of it, in order, no text twice, and the closing line counts them."""
    once, often = read_columns(walk).columns, long(walk, 500)
    rounds = often.columns.rounds
    assert often.state == "complete"
    assert not often.damaged
    assert 500 <= len(rounds) == often.end.rounds < 500 + len(once.rounds)
    np.testing.assert_array_equal(rounds.index, np.arange(len(rounds)))
    assert (np.diff(rounds.burst) >= 0).all()
    assert (rounds.start_ns[1:] >= rounds.end_ns[:-1]).all()
    assert len(often.columns.bursts) == len(np.unique(rounds.burst))
    tokens, n = often.columns.emitted.token, len(once.emitted)
    assert (tokens[:n] != tokens[n : 2 * n]).all()
    assert often.end.emitted == len(tokens)
    assert accused(often.columns) == accused(once) == set()


def test_what_is_recorded_beside_the_rounds_comes_with_them(walk):
    """Rechecks, plain steps and samples are in the same proportion."""
    once, often = read_columns(walk).columns, long(walk, 500).columns
    times = len(often.rounds) / len(once.rounds)
    for name in ("rechecked", "rescored", "places", "samples"):
        alone, many = len(getattr(once, name)), len(getattr(often, name))
        assert many == pytest.approx(times * alone, rel=0.2)
    assert len(often.plains) == pytest.approx(times * len(once.plains), rel=0.2)
    assert set(often.rechecked.round.tolist()) <= set(often.rounds.index.tolist())


def test_what_is_drawn_is_healthy(tmp_path):
    """About as many rounds as asked for, and nothing to accuse."""
    path = captures.write(tmp_path / "drawn.jsonl", list(long_captures.draw_rounds(1000)))
    read = read_columns(path)
    assert len(read.columns.rounds) == pytest.approx(1000, rel=0.1)
    assert read.state == "complete"
    assert accused(read.columns) == set()


def rows(cpu_s, peak=lambda rounds: 5e7 + 500 * rounds, lengths=(1_000, 100_000, 1_000_000)):
    return [
        {"kind": "walks", "command": command, "rounds": rounds, "bytes": 800 * rounds,
         "cpu_s": cpu_s(rounds), "wall_s": 1.0, "peak_bytes": peak(rounds), "load_before": 0.0}
        for command, rounds in itertools.product(capture_growth.BOUNDED_COMMANDS, lengths)
    ]  # fmt: skip


def test_the_exponent_is_beyond_the_start():
    """Half a second to start does not make linear look flat, nor the square linear."""
    (linear, *_) = capture_growth.list_exponents(rows(lambda n: 0.5 + 1e-5 * n))
    assert linear["cpu_s_exponent"] == pytest.approx(1, abs=0.01)
    assert linear["peak_bytes_exponent"] == pytest.approx(1, abs=0.01)
    (square, *_) = capture_growth.list_exponents(rows(lambda n: 0.5 + 1e-11 * n**2))
    assert square["cpu_s_exponent"] == pytest.approx(2, abs=0.01)
    assert capture_growth.list_exponents(rows(lambda _: 0.5))[0]["cpu_s_exponent"] is None


@pytest.mark.parametrize(
    ("cpu_s", "peak", "missed"),
    [
        (lambda n: 0.5 + 1e-5 * n, lambda n: 5e7 + 500 * n, set()),
        (lambda n: 0.5 + 3e-5 * n, lambda n: 5e7 + 500 * n, {("diagnose", "cpu_s")}),
        (
            lambda n: 0.5 + 1e-5 * n,
            lambda n: 5e7 + 2000 * n,
            {(command, "peak_bytes") for command in capture_growth.BOUNDED_COMMANDS},
        ),
        (
            lambda n: 0.5 + 1e-11 * n**2,
            lambda n: 5e7 + 500 * n,
            {(command, "cpu_s_exponent") for command in capture_growth.BOUNDED_COMMANDS},
        ),
    ],
)
def test_goals_are_judged_by_the_worst(cpu_s, peak, missed):
    """Time, memory, proportion; each is missed by its own."""
    judged = capture_growth.judge_goals(rows(cpu_s, peak))
    assert {(each["command"], each["of"]) for each in judged if not each["met"]} == missed


def test_a_goal_nothing_was_measured_for_is_not_met():
    """Short captures alone say nothing of a million rounds."""
    short = rows(lambda n: 1e-5 * n, lengths=(1_000, 2_000, 4_000))
    judged = capture_growth.judge_goals(short)
    assert not any(each["met"] for each in judged)
    told = capture_growth.table(short, judged)
    assert told.count("NOT MET") == len(judged)


def test_a_command_is_timed_as_a_whole_process(walk):
    """What fails is no measurement."""
    row = capture_growth.time_command(capture_growth.COMMANDS["export json"], walk)
    assert row["peak_bytes"] > 1e7
    assert 0 < row["cpu_s"] < 60
    with pytest.raises(SystemExit, match="ended with"):
        capture_growth.time_command(["diagnose"], walk.with_name("absent.jsonl"))


def test_the_count_is_read_off_the_closing_line(walk):
    """Without reading what stands before it."""
    assert capture_growth.count_rounds(walk) == len(read_columns(walk).columns.rounds)
