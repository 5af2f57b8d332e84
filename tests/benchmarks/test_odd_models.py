"""The trial of odd models tells a clean end from any other; a few cases of it, really run."""

import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
sys.path.append(str(BENCHMARKS))

import odd_models  # noqa: E402 - a script, found where the line above says
from odd.recipes import write_healthy  # noqa: E402

REFUSED = "[   0.0 s] begun\nspecprof: it is odd\n  mend it\n"
SPARED = ["target: folder a file", "target: config fifo", "target: num_hidden_layers 1000000000"]


def case(*, runs=False):
    return odd_models.Case("x", lambda _: [], runs)


@pytest.mark.parametrize(
    ("code", "said", "peak", "runs", "verdict"),
    [
        (3, REFUSED, 0, False, "clean"),
        (2, REFUSED, 0, True, "clean"),
        (0, "", 0, True, "ok"),
        (0, "", 0, False, "runs and should not"),
        (None, "", 0, False, "hangs"),
        (1, REFUSED, 0, False, "exit 1"),
        (-9, "", 0, False, "exit -9"),
        (3, "Traceback (most recent call last)\n" + REFUSED, 0, False, "traceback"),
        (3, "a warning\n" + REFUSED, 0, False, "3 lines"),
        (3, REFUSED, 2**31, False, "2048 MB taken first"),
    ],
)
def test_how_a_case_ended_is_judged(code, said, peak, runs, verdict):
    """Two lines and exit code 2 or 3, nothing else on stderr, no memory taken."""
    assert odd_models.judge(case(runs=runs), code, said, peak) == verdict


def test_cases_have_names_of_their_own():
    """And there are hundreds, folders and settings."""
    names = [each.name for each in odd_models.list_cases()]
    assert len(names) == len(set(names)) > 900


@pytest.mark.parametrize("name", SPARED)
def test_a_case_is_run_as_a_user_would(tmp_path, name):
    """In a process of its own, within its limits."""
    (tmp_path / "text").write_text(odd_models.TEXT)
    for side in ("target", "draft"):
        write_healthy(tmp_path / side)
    (found,) = [each for each in odd_models.list_cases() if each.name == name]
    ended = odd_models.run(found, tmp_path, forked=False)
    assert ended.verdict == "clean", ended.said
