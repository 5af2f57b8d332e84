"""Profiles: read, overridden, spread over their sweep, and refused with a remedy."""

import pytest

from specprof.errors import UnknownName, UsageError
from specprof.plan import check, expand, override, profiles, read_profile
from specprof.records import Profile, Settings


def written(tmp_path, text):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize("name", profiles())
def test_every_shipped_profile_expands(name):
    """Each is named like its file, says what it is about, and yields checked specs."""
    profile = read_profile(name)
    assert profile.name == name
    assert profile.about
    assert expand(profile)


def test_a_sweep_is_a_grid_in_the_order_written(tmp_path):
    """Two swept fields give every pair, each spec knowing what was varied."""
    text = "[sweep]\ndepth = [2, 8]\ntemperature = [0, 0.7]\n"
    specs = expand(read_profile(written(tmp_path, text)))
    varied = [(spec.varied["depth"], spec.varied["temperature"]) for spec in specs]
    assert varied == [(2, 0), (2, 0.7), (8, 0), (8, 0.7)]
    assert specs[3].settings.depth == 8
    assert specs[3].settings.temperature == 0.7
    assert len({spec.id for spec in specs}) == 4


def test_the_command_line_overrides_a_profile():
    """What was given replaces; what was not given stays."""
    profile = override(Profile(name="x", run=Settings(depth=7)), temperature=0.5, depth=None)
    assert (profile.run.depth, profile.run.temperature) == (7, 0.5)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[run]\ndept = 3\n", "unknown key 'dept'"),
        ("[runs]\n", "unknown key 'runs'"),
        ("[run]\ndepth = 'four'\n", "Expected `int`"),
        ("[sweep]\ndepth = ['four']\n", "sweeps a field to a wrong value"),
        ("[sweep]\ndeep = [1]\n", "unknown key 'deep'"),
        ("[run\n", "is no TOML"),
        ("run = 3\n", "Expected `object`"),
        ("[run]\nworkload = 'stroll'\n", "stroll"),
    ],
)
def test_a_wrong_profile_is_refused_by_name(tmp_path, text, told):
    """The message names the profile and the key; a near miss names the nearest known one."""
    with pytest.raises(UsageError, match="mine") as raised:
        expand(read_profile(written(tmp_path, text)))
    assert told in str(raised.value)


def test_a_near_miss_is_answered_with_the_nearest_key(tmp_path):
    """`dept` is answered with `depth` first."""
    with pytest.raises(UsageError, match="known keys: depth,"):
        read_profile(written(tmp_path, "[run]\ndept = 3\n"))


def test_an_unknown_profile_lists_the_known():
    """Nearest first."""
    with pytest.raises(UnknownName, match="known: default"):
        read_profile("defualt")


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
        {"top_p": 0.0},
        {"top_p": 1.1},
        {"top_k": -1},
        {"acceptance": "greedy", "temperature": 0.7},
    ],
)
def test_impossible_settings_are_refused(wrong):
    """Each is named as the option the user typed, with what is allowed."""
    with pytest.raises(UsageError) as raised:
        check(Settings(**wrong))
    assert raised.value.hint


def test_a_path_that_is_no_utf8_has_its_id():
    """POSIX file names are bytes; Python hands them over with lone surrogates."""
    (spec,) = expand(Profile(name="x", run=Settings(text="\udcff.txt")))
    assert spec.id
