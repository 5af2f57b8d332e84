"""Combinations that no run can have are refused before loading, with what is possible."""

import pytest

from specprof.errors import UnknownName, UsageError
from specprof.limits import check, grows_tree, max_drafted
from specprof.settings import Settings


@pytest.mark.parametrize(
    "wrong",
    [
        {"depth": -1},
        {"context": 0},
        {"max_new_tokens": 0},
        {"stops": 0},
        {"temperature": -0.1},
        {"temperature": float("nan")},
        {"temperature": float("inf")},
        {"temperature": 1e-40},
        {"seed": -1},
        {"seed": 2**64},
        {"threads": 100_000},
        {"top_p": 0.0},
        {"top_p": 1.1},
        {"top_k": -1},
        {"batch": 0},
        {"window": 0},
        {"sinks": -1},
        {"block": 0},
        {"ngram": 0},
        {"score_step": 0},
        {"exit_layer": 0},
        {"noise": 1.5},
        {"confidence": -0.1},
        {"noise": float("nan")},
        {"acceptance": "greedy", "temperature": 0.7},
        {"draft": None},
        {"shape": "static-tree", "widths": "4,x"},
        {"shape": "static-tree", "widths": "4,0"},
        {"shape": "static-tree", "widths": "1_0,1"},
        {"shape": "static-tree", "widths": "٤,1"},
        {"shape": "static-tree", "widths": ""},
        {"shape": "static-tree", "widths": "40,40,40"},
        {"shape": "static-tree", "drafter": "none"},
        {"shape": "dynamic-tree", "drafter": "ngram"},
        {"shape": "static-tree", "acceptance": "block", "temperature": 1.0},
        {"batch": 2, "drafter": "eagle"},
        {"batch": 2, "detail": "module"},
        {"backend": "synthetic", "detail": "module"},
        {"batch": 2, "cache": "sink-window"},
        {"batch": 2, "draft_cache": "sink-window"},
        {"cache": "sink-window", "block": 513},
        {"cache": "sink-window", "window": 4},
        {"draft_cache": "sink-window", "window": 16, "shape": "dynamic-tree"},
        {"workload": "ppl", "batch": 2},
        {"workload": "ppl", "backend": "hf-generate", "drafter": "none"},
        {"workload": "overlap", "batch": 2},
        {"workload": "overlap", "backend": "synthetic"},
        {"workload": "overlap", "backend": "hf-assisted"},
        {"workload": "overlap", "drafter": "ngram", "draft": None},
        {"workload": "overlap", "drafter": "eagle", "draft": "pocket/eagle"},
        {"workload": "overlap", "drafter": "perturbed-self", "draft": None},
        {"workload": "overlap", "draft": None},
        {"workload": "overlap", "gap": 100},
        {"workload": "overlap", "view": 64, "draft_cache": "sink-window"},
        {"workload": "overlap", "shift": 500, "context": 500},
        {"workload": "overlap", "view": 0},
        {"workload": "overlap", "offset": -1},
        {"workload": "scan"},
        {"view": 64},
        {"shift": 7, "workload": "ppl"},
        {"backend": "hf-assisted", "shape": "static-tree"},
        {"backend": "hf-assisted", "cache": "sink-window"},
        {"backend": "hf-assisted", "draft_cache": "sink-window"},
        {"backend": "hf-assisted", "batch": 2},
        {"backend": "hf-assisted", "depth_policy": "survival"},
        {"backend": "hf-generate", "drafter": "draft-model"},
        {"backend": "hf-prompt-lookup", "drafter": "draft-model"},
        {"backend": "synthetic", "shape": "dynamic-tree"},
        {"backend": "synthetic", "drafter": "ngram"},
        {"cache": "sink-window", "window": 12, "depth_policy": "hf-heuristic"},
        {"draft_cache": "sink-window", "window": 20, "shape": "dynamic-tree", "depth": 7},
        {"shape": "static-tree", "widths": "4,4,4", "depth_policy": "hf-heuristic"},
    ],
)
def test_impossible_settings_are_refused(wrong):
    """The error names the setting and its allowed values."""
    with pytest.raises(UsageError) as raised:
        check(Settings(**wrong))
    assert raised.value.hint


@pytest.mark.parametrize(
    "wrong",
    [
        {"shape": "static-tree", "widths": "9" * 4000 + ",9" * 999, "depth": 1000},
        {"shape": "static-tree", "widths": "9" * 10_000},
        {"shape": "static-tree", "widths": "9,9,9,9,9,9", "depth": 6},
        {"shape": "dynamic-tree", "branch": 1000, "depth": 1000},
        {"shape": "dynamic-tree", "branch": 1024, "depth": 3, "temperature": 1.0},
    ],
)
def test_a_tree_that_grows_without_end_is_refused_at_once(wrong):
    """However it is written, it is refused without multiplying its widths out."""
    with pytest.raises(UsageError) as raised:
        check(Settings(**wrong))
    assert len(raised.value.title) < 120


@pytest.mark.parametrize(
    "possible",
    [
        {},
        {"drafter": "none", "draft": None},
        {"shape": "static-tree"},
        {"shape": "dynamic-tree", "temperature": 1.0},
        {"cache": "sink-window", "window": 256},
        {"batch": 4},
        {"batch": 4, "shape": "static-tree"},
        {"workload": "ppl", "drafter": "draft-model", "draft": None},
        {"workload": "ppl", "cache": "sink-window", "window": 8},
        {"workload": "overlap", "view": 64, "gap": 100},
        {"workload": "overlap", "cache": "sink-window", "offset": 9, "shift": 7},
        {"workload": "overlap", "drafter": "perturbed-self", "draft": None, "temperature": 1.0},
        {"workload": "scan", "drafter": "eagle", "draft": "pocket/eagle"},
        {"backend": "hf-assisted", "depth_policy": "hf-heuristic"},
        {"backend": "hf-prompt-lookup", "drafter": "ngram", "draft": None},
        {"backend": "synthetic", "draft": None},
        {"backend": "synthetic", "shape": "static-tree", "batch": 2},
        {"window": 1},
    ],
)
def test_possible_settings_pass(possible):
    """A demand of one field on another holds only where it matters."""
    check(Settings(**possible))


@pytest.mark.parametrize(
    ("field", "wrong", "meant"),
    [
        ("drafter", "draft-modle", "draft-model"),
        ("shape", "static", "static-tree"),
        ("cache", "window", "sink-window"),
        ("draft_cache", "dens", "dense"),
        ("acceptance", "rejections", "rejection"),
        ("backend", "hf", "hf-assisted"),
        ("depth_policy", "fix", "fixed"),
    ],
)
def test_an_unknown_member_is_answered_with_the_nearest(field, wrong, meant):
    """Every setting that names a member is checked without importing a member."""
    with pytest.raises(UnknownName) as raised:
        check(Settings(**{field: wrong}))
    assert wrong in raised.value.title
    assert meant in raised.value.hint


@pytest.mark.parametrize(
    ("settings", "drafted"),
    [
        ({"depth": 4}, 4),
        ({"depth": 4, "drafter": "none"}, 0),
        ({"depth": 4, "shape": "static-tree", "widths": "4,2,1,1"}, 4 + 8 + 8 + 8),
        ({"depth": 2, "shape": "static-tree", "widths": "4,2,1,1"}, 4 + 8),
        ({"depth": 5, "shape": "static-tree", "widths": "3,2"}, 3 + 6 + 6 + 6 + 6),
        ({"depth": 4, "shape": "dynamic-tree", "nodes": 16}, 16),
    ],
)
def test_a_rounds_drafted_tokens_are_counted(settings, drafted):
    """A static tree's levels beyond its widths have one child per node."""
    assert max_drafted(Settings(**settings)) == drafted


def test_a_shape_says_in_its_file_whether_it_is_a_tree():
    """That is read without importing torch."""
    assert not grows_tree("chain")
    assert grows_tree("static-tree")
