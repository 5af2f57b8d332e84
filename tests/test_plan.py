"""Profiles: read, overridden, spread over their sweep, and refused with a remedy."""

import json
import time

import pytest

from specprof.errors import UnknownName, UsageError
from specprof.plan import (
    apply_quick,
    describe_settings,
    expand,
    override,
    parse_value,
    profiles,
    read_profile,
    sweep_over,
)
from specprof.settings import Profile, Settings


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
    specs = expand(profile)
    labels = [spec.label for spec in specs]
    assert len(set(labels)) == len(labels)


@pytest.mark.parametrize("name", [name for name in profiles() if read_profile(name).quick])
def test_a_quick_form_has_the_same_cells(name):
    """Only the cost of a cell changes, never the comparison."""
    profile = read_profile(name)
    full, quick = expand(profile), expand(apply_quick(profile))
    assert [spec.label for spec in quick] == [spec.label for spec in full]
    assert [spec.varied for spec in quick] == [spec.varied for spec in full]


def test_a_sweep_is_a_grid_in_the_order_written(tmp_path):
    """Two swept fields give every pair, and each spec records the varied values."""
    text = "[sweep]\ndepth = [2, 8]\ntemperature = [0, 0.7]\n"
    specs = expand(read_profile(written(tmp_path, text)))
    varied = [(spec.varied["depth"], spec.varied["temperature"]) for spec in specs]
    assert varied == [(2, 0), (2, 0.7), (8, 0), (8, 0.7)]
    assert specs[3].settings.depth == 8
    assert specs[3].settings.temperature == 0.7
    assert len({spec.id for spec in specs}) == 4


def test_cells_stand_beside_the_grid_with_labels_of_their_own(tmp_path):
    """Each cell's lists are a grid; its label comes first, then its varied values."""
    text = """
    [sweep]
    depth = [2, 4]
    [[cell]]
    drafter = "none"
    [[cell]]
    label = "hot"
    temperature = 0.7
    depth = [2, 8]
    """
    specs = expand(read_profile(written(tmp_path, text)))
    assert [spec.label for spec in specs] == ["K=2", "K=4", "plain", "hot K=2", "hot K=8"]
    assert specs[4].varied == {"temperature": 0.7, "depth": 8}


def test_cells_alone_leave_the_bare_run_out(tmp_path):
    """A profile of cells has only those cells, and two cells with equal settings are one."""
    text = "[[cell]]\ndepth = [2, 4]\n[[cell]]\ndepth = 4\n[[cell]]\ndepth = 6\n"
    specs = expand(read_profile(written(tmp_path, text)))
    assert [spec.settings.depth for spec in specs] == [2, 4, 6]


def test_a_setting_given_for_a_swept_field_pins_it():
    """The grid loses that field; the others stay swept."""
    profile = Profile(name="x", sweep={"depth": [2, 4], "temperature": [0, 1]})
    specs = expand(override(profile, depth=3))
    assert [(s.settings.depth, s.settings.temperature) for s in specs] == [(3, 0), (3, 1)]


def test_a_setting_that_would_change_nothing_is_refused():
    """If every cell has its own value, the given one would be lost without a word."""
    profile = Profile(name="x", cell=[{"depth": 2}, {"depth": 4, "temperature": 1.0}])
    with pytest.raises(UsageError, match="a depth of its own"):
        override(profile, depth=3)
    assert expand(override(profile, temperature=0.5))[0].settings.temperature == 0.5


def test_the_quick_form_overrides_the_run_and_the_repeats():
    """A profile without a quick form says so."""
    quick = apply_quick(Profile(name="x", repeats=4, quick={"stops": 2, "repeats": 1}))
    assert (quick.run.stops, quick.repeats) == (2, 1)
    with pytest.raises(UsageError, match="no quick form"):
        apply_quick(Profile(name="x"))


@pytest.mark.parametrize(
    ("field", "text", "value"),
    [
        ("depth", "6", 6),
        ("temperature", "0.7", 0.7),
        ("ignore_eos", "true", True),
        ("widths", "2,2,1", "2,2,1"),
        ("draft_cache", "", None),
        ("exit_layer", "3", 3),
        ("temperature", ".5", 0.5),
        ("workload", "ppl", "ppl"),
    ],
)
def test_a_written_value_takes_its_settings_type(field, text, value):
    """It is the type in Settings, so that `--set` reaches every field."""
    assert parse_value(field, text) == value


@pytest.mark.parametrize(
    ("field", "text", "told"),
    [
        ("depht", "6", "known: depth"),
        ("depth", "six", "depth can't be 'six'"),
        ("temperature", "1_0", "temperature can't be '1_0'"),
        ("temperature", "nan", "from 0 to 1,000,000"),
        ("workload", "stroll", "stroll"),
    ],
)
def test_a_wrong_written_value_is_refused(field, text, told):
    """The error names the field and the text."""
    with pytest.raises(UsageError) as raised:
        parse_value(field, text)
    assert told in str(raised.value)


def test_any_profile_can_be_swept_from_the_command_line():
    """The values replace those that the profile sweeps the field over."""
    profile = sweep_over(Profile(name="x", sweep={"depth": [9]}), "depth", ["2", "4"])
    assert [spec.settings.depth for spec in expand(profile)] == [2, 4]


def test_a_sweep_from_the_command_line_spreads_every_cell():
    """Cells with their own value keep it; if all have one, the sweep is refused."""
    cells = [{"label": "a", "depth": 2}, {"label": "b", "drafter": "self"}]
    profile = sweep_over(Profile(name="x", cell=cells), "temperature", ["0", "1"])
    told = [(spec.label, spec.settings.temperature) for spec in expand(profile)]
    assert told == [("a T=0.0", 0), ("a T=1.0", 1), ("b T=0.0", 0), ("b T=1.0", 1)]
    labels = [
        spec.label for spec in expand(sweep_over(Profile(name="x", cell=cells), "depth", ["5"]))
    ]
    assert labels == ["a", "b K=5"]
    with pytest.raises(UsageError, match="every cell of profile 'x' has a depth of its own"):
        sweep_over(Profile(name="x", cell=cells[:1]), "depth", ["5"])


def test_a_word_that_is_none_of_a_few_is_answered_with_them():
    """The error is equal on the command line and in a profile."""
    with pytest.raises(UsageError) as raised:
        parse_value("workload", "stroll")
    assert raised.value.hint == "known: walk, generate, ppl, overlap, scan"


def test_the_command_line_overrides_a_profile():
    """A given value replaces the profile's; other values stay."""
    profile = override(Profile(name="x", run=Settings(depth=7)), temperature=0.5)
    assert (profile.run.depth, profile.run.temperature) == (7, 0.5)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[run]\ndept = 3\n", "unknown key 'dept'"),
        ("[runs]\n", "unknown key 'runs'"),
        ("[run]\ndepth = 'four'\n", '`run.depth` is "four"; it must be a whole number'),
        ("[sweep]\ndepth = ['four']\n", "gives a field a wrong value"),
        ("[sweep]\ndeep = [1]\n", "unknown key 'deep'"),
        ("[run\n", "is no TOML"),
        ("run = 3\n", "`run` is 3; it must be a table of fields"),
        ("[run]\nworkload = 'stroll'\n", "known: walk, generate, ppl, overlap, scan"),
        ("[[cell]]\nworkload = 'stroll'\n", "known: walk, generate, ppl, overlap, scan"),
        ("[[cell]]\nlabel = ['a', 'b']\n", "a label is one text"),
        ("[[cell]]\ndept = 3\n", "unknown key 'dept'"),
        ("[[cell]]\ndepth = [3, 'x']\n", '`depth` is "x"; it must be a whole number'),
        ("cell = 3\n", "`cell` is 3; it must be a list"),
        ("[sweep]\ndepth = []\n", "asks for nothing"),
        ("repeats = 0\n", "asks for nothing"),
        ("repeats = 'many'\n", '`repeats` is "many"; it must be a whole number'),
        ("[quick]\nrepeat = 2\n", "unknown key 'repeat'"),
        (
            "[quick]\nrepeats = 'two'\n",
            '`repeats` is "two"; it must be a whole number of at least 1',
        ),
        ("[quick]\nrepeats = 0\n", "`repeats` is 0; it must be a whole number of at least 1"),
        ("[quick]\nstops = 1.5\n", "`stops` is 1.5; it must be a whole number"),
    ],
)
def test_a_wrong_profile_is_refused_by_name(tmp_path, text, told):
    """The error names the profile and the key, and for a near miss the nearest known key."""
    with pytest.raises(UsageError, match="mine") as raised:
        expand(read_profile(written(tmp_path, text)))
    assert told in str(raised.value)


def test_a_near_miss_is_answered_with_the_nearest_key(tmp_path):
    """`dept` is answered with `depth` first."""
    with pytest.raises(UsageError, match="known keys: depth,"):
        read_profile(written(tmp_path, "[run]\ndept = 3\n"))


def test_an_unknown_profile_lists_the_known():
    """The nearest comes first."""
    with pytest.raises(UnknownName, match="known: default"):
        read_profile("defualt")


@pytest.mark.parametrize("text", ["{}b = 1\n", "[{}b]\nc = 1\n", "x = {{{}b = 1}}\n"])
def test_a_key_without_end_is_refused_at_once(tmp_path, text):
    """Reading 20,000 parts of one would take half a minute, and a megabyte of them hours."""
    path = written(tmp_path, text.format("a." * 20_000))
    started = time.monotonic()
    with pytest.raises(UsageError, match="is no TOML: line 1 has more than 32 points"):
        read_profile(path)
    assert time.monotonic() - started < 2


def test_a_profiles_probes_are_checked_as_it_is_read(tmp_path):
    """An unknown name lists the known ones before any run, the nearest first; `auto` is known."""
    with pytest.raises(UnknownName, match="known: self-draft"):
        read_profile(written(tmp_path, 'probes = ["auto", "self-darft"]'))
    profile = read_profile(written(tmp_path, 'probes = ["auto", "self-draft"]'))
    assert profile.probes == ["auto", "self-draft"]


def test_a_path_that_is_no_utf8_has_its_id():
    """POSIX file names are bytes, which Python turns into lone surrogates."""
    (spec,) = expand(Profile(name="x", run=Settings(text="\udcff.txt")))
    assert spec.id


def test_every_setting_says_what_it_means():
    """Its facts are its meaning, allowed words, option and default."""
    told = describe_settings()
    assert list(told) == list(Settings.__struct_fields__)
    assert all(len(each.splitlines()) > 1 for each in told.values())
    assert told["graphs"].startswith("Whether short forwards are recorded once")
    assert told["graphs"].endswith("--set graphs=VALUE (auto, off, on); by itself auto.")
    assert told["draft_cache"].endswith("by itself None; None where VALUE is empty.")


@pytest.mark.parametrize(
    "asked",
    [
        {"repeats": 10**9},
        {"sweep": {field: list(range(1, 60)) for field in ("depth", "seed", "stops", "top_k")}},
        {"cell": [{"depth": list(range(101)), "seed": list(range(100))}]},
    ],
)
def test_more_runs_than_anybody_waits_for_are_refused_at_once(asked):
    """They are refused before they are listed: a grid of four settings is twelve million runs."""
    with pytest.raises(UsageError, match=r"asks for \d+ runs"):
        expand(Profile(name="endless", **asked))


LONG = "\x1b[31m" + 10**5 * "y"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[run]\n{long} = 3\n", "unknown key"),
        ("{long} = 3\n", "unknown key"),
        ("[[cell]]\nlabel = [{long}]\n", "a cell whose label is"),
        ("[run]\nworkload = {long}\n", "`run.workload` is"),
        ("[run]\ndrafter = {long}\n", "no drafter is called"),
        ("[run]\nshape = 'static-tree'\nwidths = {long}\n", "widths is"),
        ("probes = [{long}]\n", "no probe is called"),
        ("name = {long}\n[sweep]\nseed = [-1]\n", "gives a field a wrong value"),
        ("name = {long}\n[[cell]]\ndepth = 3\n", "has a depth of its own"),
        ("name = {long}\nrepeats = 100000\n", "asks for 100000 runs"),
        ("name = {long}\n", "has no quick form"),
        ("[run]\ndepth = 3\n[run.{long}]\n[run.{long}]\n", "is no TOML"),
        ("[sweep]\nseed = [{long}]\n", "`seed` is"),
    ],
)
def test_what_a_profile_writes_is_shortened_where_it_is_refused(tmp_path, text, told):
    """A megabyte from a stranger's file is cut, and can't steer a terminal."""
    path = written(tmp_path, text.replace("{long}", json.dumps(LONG)))
    quick = apply_quick if "quick" in told else lambda read: read
    with pytest.raises(UsageError) as raised:
        expand(override(quick(read_profile(path)), depth=4))
    assert told in raised.value.title
    assert len(str(raised.value).replace(path, "")) < 1500
    assert raised.value.title.isprintable()
    assert raised.value.hint.isprintable()
