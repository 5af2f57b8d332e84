"""``specprof compare``, as a user runs it."""

import csv
import io
import json

import msgspec
import pytest
from typer.testing import CliRunner

import captures
from specprof.cli import _table, app
from specprof.errors import CaptureUnreadable
from specprof.records import Round


def specprof(*arguments):
    return CliRunner().invoke(app, [str(each) for each in arguments])


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """A sweep of the synthetic backend: plain, two depths, two repeats."""
    folder = tmp_path_factory.mktemp("sweeps") / "out"
    profile = folder.with_suffix(".toml")
    profile.write_text(
        'about = "x"\nrepeats = 2\n'
        "[run]\n"
        'backend = "synthetic"\ncontext = 4000\nstops = 6\nmax_new_tokens = 40\ntemperature = 1.0\n'
        '[[cell]]\nlabel = "plain"\ndrafter = "none"\ndepth = 0\n'
        '[[cell]]\nlabel = "chain"\ndepth = [2, 4]\n'
    )
    done = specprof("run", "--profile", profile, "-o", folder)
    assert done.exit_code == 0, done.output
    return folder


def test_a_sweep_is_one_table(swept):
    """A row a cell in the order written, two lines of heads, the baseline named below."""
    lines = specprof("compare", swept).stdout.splitlines()
    assert lines[0].split()[:2] == ["emitted", "speed-up"]
    assert lines[1].split()[:3] == ["/second", "over", "plain"]
    assert [line.partition("  ")[0] for line in lines[3:6]] == ["plain", "chain K=2", "chain K=4"]
    assert "over 'plain'" in "\n".join(lines[6:])


def test_the_table_fits_a_hundred_columns_and_wide_has_them_all(swept):
    """What is left out is the least telling."""
    narrow, wide = (specprof("compare", swept, *more).stdout for more in ((), ("--wide",)))
    assert max(map(len, narrow.splitlines())) <= _table.TABLE_WIDTH
    heads = {word for line in wide.splitlines()[:2] for word in line.split()}
    assert {"TTFT", "TPOT", "alpha_cond", "accept_frac", "S_1", "rounds"} <= heads
    assert max(map(len, wide.splitlines())) > _table.TABLE_WIDTH


def test_what_does_not_fit_is_named(swept):
    """The last line says which columns --wide adds; with --wide there is nothing to say."""
    narrow, wide = (specprof("compare", swept, *more).stdout for more in ((), ("--wide",)))
    assert "more with specprof compare --wide: " in narrow.splitlines()[-1]
    assert "S_1 S_2 .. /drafted there" in narrow.splitlines()[-1]
    assert "--wide" not in wide


def test_memory_comes_first_where_a_cache_evicts(tmp_path):
    """A table of windows has room for what they hold and how often they were cut."""
    captures.healthy(tmp_path / "a.jsonl")
    assert "compr." not in specprof("compare", tmp_path).stdout
    evicting = [
        msgspec.structs.replace(event, target_evicted=3, draft_evicted=3)
        if isinstance(event, Round)
        else event
        for event in captures.events()
    ]
    captures.write(tmp_path / "a.jsonl", evicting)
    heads = [line.split() for line in specprof("compare", tmp_path).stdout.splitlines()[:2]]
    assert heads[0].index("target") < heads[0].index("TPOT")
    assert "compr." in heads[1]


def test_a_damaged_capture_is_told(tmp_path):
    """Its figures are not passed off as a complete run's."""
    path = tmp_path / "a.jsonl"
    captures.healthy(path)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:3], b"{half\n", *lines[3:]]))
    told = specprof("compare", path).stdout
    assert "DAMAGED" in told
    assert "not complete: 'a'" in told


def test_what_nobody_has_is_no_column(swept):
    """No perplexity, no evictions, no device memory on a synthetic run."""
    told = specprof("compare", swept, "--wide").stdout
    assert "PPL" not in told
    assert "compr." not in told
    assert "device" not in told


def test_missing_is_a_dash(swept):
    """Plain decoding drafted nothing; its acceptance is not 0."""
    plain = specprof("compare", swept, "--wide").stdout.splitlines()[3]
    assert "–" in plain.split()


def test_by_depth_adds_acceptance_by_context(swept):
    """A column a range of context lengths, each ending twice as deep."""
    told = specprof("compare", swept, "--by-depth").stdout
    after = told.partition("alpha_cond (accepted/reached) by context length\n")[2].splitlines()
    assert after[0].split() == ["up", "to", "256", "512", "1,024", "2,048", "4,096"]
    assert [line[:9] for line in after[2:4]] == ["chain K=2", "chain K=4"]


def test_json_has_every_figure_with_its_interval(swept):
    """One document, a schema, missing figures missing."""
    document = json.loads(specprof("compare", swept, "--json").stdout)
    assert document["schema"] == "specprof.compare/1"
    plain, chain = document["cells"][:2]
    assert "alpha_cond" not in plain["figures"]
    alpha = chain["figures"]["alpha_cond"]
    assert alpha["low"] < alpha["value"] < alpha["high"]
    assert alpha["n"] > 30
    assert len(chain["repeats_emitted_per_second"]) == 2


def test_csv_has_a_row_a_cell(swept):
    """Unknown is empty."""
    rows = list(csv.DictReader(io.StringIO(specprof("compare", swept, "--csv").stdout)))
    assert [row["label"] for row in rows] == ["plain", "chain K=2", "chain K=4"]
    assert rows[0]["alpha_cond"] == ""
    assert float(rows[1]["alpha_cond_low"]) < float(rows[1]["alpha_cond"])


def test_captures_can_be_named_one_by_one(tmp_path):
    """Their files' names are their labels."""
    for name, make in (("one", captures.healthy), ("two", captures.truncated)):
        make(tmp_path / f"{name}.jsonl")
    told = specprof("compare", tmp_path / "one.jsonl", tmp_path / "two.jsonl").stdout
    assert "one" in told.splitlines()[3]


def test_a_hostile_label_steers_no_terminal_and_no_spreadsheet(tmp_path):
    """Every foreign text is made plain on its way out."""
    path = captures.hostile(tmp_path / "a.jsonl")
    for option in ((), ("--json",), ("--csv",)):
        told = specprof("compare", path, *option)
        assert isinstance(told.exception, CaptureUnreadable)  # its rounds are out of bounds
        assert "\x1b" not in told.stdout
        assert "\u202e" not in told.stdout


def test_what_is_no_capture_is_refused(tmp_path):
    """With exit code 5."""
    assert isinstance(specprof("compare", tmp_path).exception, CaptureUnreadable)
    assert isinstance(specprof("compare", tmp_path / "no.jsonl").exception, CaptureUnreadable)
