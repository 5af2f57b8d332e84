"""Who is asked to a contest at long contexts."""

import sys
from pathlib import Path

from specprof.settings import Settings

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
sys.path.append(str(BENCHMARKS))

import speed  # noqa: E402 - a script, found where the line above says


def windowed(**changed):
    found = speed.list_entries(Settings(device="cpu", **changed))
    return [each for each in found if "window" in each.name]


def test_windows_play_where_they_forget_something():
    """Up to their width they would be the dense ones again."""
    assert not windowed(context=speed.WINDOW_TOKENS)
    names = [each.name for each in windowed(context=speed.WINDOW_TOKENS + 1)]
    assert len(names) == len(set(names)) > 0


def test_windows_differ_from_dense_ones_in_the_cache_alone():
    """Replayed as those are: the entries that are played eagerly come after them all."""
    dense = speed.list_entries(Settings(device="cpu", context=speed.WINDOW_TOKENS))
    known = {(each.settings.path, each.loop, each.settings.detail) for each in dense}
    for each in windowed(context=2_000):
        assert each.settings.graphs == "auto"
        assert (each.settings.path, each.loop, each.settings.detail) in known
        caches = each.settings.cache, each.settings.draft_cache
        both = each.name.startswith("windows ")
        assert caches == (("sink-window", None) if both else ("dense", "sink-window"))
