"""Tables are understood in many spellings, and what isn't understood is listed, not guessed."""

import json
import time

import pytest

from specprof.errors import CaptureUnreadable, MissingEvidence, UsageError
from specprof.published.read import is_table, read_results
from specprof.published.read.cells import read_cell
from specprof.published.read.quantities import QUANTITIES, read_position, recognise_heading


def read(folder, text, suffix=".md"):
    path = folder / f"table{suffix}"
    path.write_text(text, encoding="utf-8")
    return read_results(path)


def test_no_spelling_means_two_things():
    """The vocabulary is unambiguous, and each spelling is found by its own heading."""
    spelt = [each for one in QUANTITIES for each in one.spellings]
    assert len(spelt) == len(set(spelt))
    for one in QUANTITIES:
        for each in one.spellings:
            assert recognise_heading(each)[0] is one


@pytest.mark.parametrize(
    ("heading", "name", "unit"),
    [
        ("**Mean accept. length**", "length", None),
        ("accepted (%)", "accept_frac", "%"),
        ("Mean acceptance length", "length", None),
        ("Accept rate (%)", "accept_frac", "%"),
        ("acceptance_rate", "accept_frac", None),
        ("tokens / target forward", "tokens_per_forward", None),
        ("\N{GREEK SMALL LETTER TAU}", "length", None),
        ("TPOT [ms/token]", "tpot", "ms"),
        ("ms/token", "tpot", "ms"),
        ("latency_ms", "latency", "ms"),
        ("Tok/s", "throughput", None),
        ("Speed-up", "speedup", None),
        ("Peak memory (GiB)", "memory", "gib"),
        ("our score", None, None),
    ],
)
def test_a_heading_is_known_whole_or_not_at_all(heading, name, unit):
    """No guess by resemblance."""
    quantity, found = recognise_heading(heading)
    assert (quantity.name if quantity else None, found) == (name, unit)


def test_rates_by_index_say_which_rate_they_are():
    """S_i and c_i share one name in some projects; only a name of its own decides."""
    assert read_position("S_2") == ("survival", 2)
    assert read_position("c3") == ("conditional", 3)
    assert read_position("pos 1") == ("position", 1)
    assert read_position("accept rate") is None


def test_a_markdown_table_is_read_with_its_escapes(tmp_path):
    """Bold, code, escaped pipes, alignment; a second table is a table of its own."""
    text = """
| run | **accept %** | tok/s |
|:---|--:|:-:|
| a\\|b | 64.5% | 31 |
| `c` | 40 | **1,020.5** |

| K | accept rate |
|---|---|
| 4 | 0.5 |
"""
    first, second = read(tmp_path, text)
    assert [arm.label for arm in first.arms] == ["a|b", "c"]
    assert [arm.figures["accept_frac"].value for arm in first.arms] == pytest.approx([0.645, 0.4])
    assert first.arms[1].figures["throughput"].value == 1020.5
    assert second.arms[0].figures["depth"].value == 4


def test_every_format_says_the_same(tmp_path):
    """TOML, JSON by rows and by columns, CSV with either separator; digits survive."""
    rows = (
        '[{"name": "a", "accept_rate": 0.710, "K": 4}, {"name": "b", "accept_rate": 0.5, "K": 4}]'
    )
    made = [
        read(
            tmp_path,
            '[[run]]\nname="a"\naccept_rate=0.710\nK=4\n[[run]]\nname="b"\naccept_rate=0.5\nK=4',
            ".toml",
        ),
        read(tmp_path, rows, ".json"),
        read(tmp_path, '{"name": ["a", "b"], "accept_rate": [0.710, 0.5], "K": [4, 4]}', ".json"),
        read(
            tmp_path,
            '{"a": {"accept_rate": 0.710, "K": 4}, "b": {"accept_rate": 0.5, "K": 4}}',
            ".json",
        ),
        read(tmp_path, "name,accept_rate,K\na,0.710,4\nb,0.5,4\n", ".csv"),
        read(tmp_path, "name\taccept_rate\tK\na\t0.710\t4\nb\t0.5\t4\n", ".tsv"),
        read(
            tmp_path, "| metric | a | b |\n|-|-|-|\n| accept rate | 0.710 | 0.5 |\n| K | 4 | 4 |\n"
        ),
    ]
    for (results,) in made:
        assert [arm.label for arm in results.arms] == ["a", "b"]
        share = results.arms[0].figures["accept_frac"]
        assert (share.low, share.high) == pytest.approx((0.7095, 0.7105))
        assert results.arms[1].figures["accept_frac"].high == pytest.approx(0.55)


def test_a_time_without_a_unit_is_not_read(tmp_path):
    """35 what?"""
    (results,) = read(tmp_path, "accept rate,latency,ttft (s),loss\n0.5,35,1.5,2\n", ".csv")
    assert results.unread == ["latency", "loss"]
    assert results.arms[0].figures["ttft"].value == 1.5
    with pytest.raises(MissingEvidence, match="no row has latency"):
        results.rows_with("latency")


def test_percent_is_told_from_fractions_aloud(tmp_path):
    """By the column's largest number, and the reader is told."""
    (results,) = read(tmp_path, "accept rate,alpha\n71.2,0.7\n9,0.6\n", ".csv")
    assert results.arms[0].figures["accept_frac"].value == pytest.approx(0.712)
    assert results.arms[1].figures["accept_frac"].value == pytest.approx(0.09)
    assert any("'accept rate' in percent" in each for each in results.readings)


@pytest.mark.parametrize("column", ["71.2,0.9", "2.53,3.47"])
def test_a_share_that_may_be_either_is_not_read(tmp_path, column):
    """Both percent and fractions, or percent and tokens a round: no reading is safe."""
    rows = "\n".join(f"4,{each}" for each in column.split(","))
    (results,) = read(tmp_path, f"K,accept rate\n{rows}\n", ".csv")
    assert results.unread == ["accept rate"]
    assert not any(arm.get("accept_frac") for arm in results.arms)


def test_commas_before_decimals_are_told_by_the_whole_table(tmp_path):
    """`2,123` beside `1,9` is a little over two; beside `36.8`, two thousand."""
    (results,) = read(tmp_path, "K;tau;speedup\n4;3,45;2,123x\n4;3,82;1,9x\n", ".csv")
    assert results.arms[0].figures["speedup"].value == pytest.approx(2.123)
    (results,) = read(tmp_path, "|tokens|tok/s|\n|-|-|\n|2,123|36.8|\n")
    assert results.arms[0].figures["tokens"].value == 2123


def test_what_a_known_column_holds_beside_numbers_is_told(tmp_path):
    """Below 0, another unit, two numbers, no number: none is read, each is named; absent is not."""
    text = "K,accept rate,tau,speedup\n4,-0.2,inf,85%\n4 5,0.5,3.0,-\n"
    (results,) = read(tmp_path, text, ".csv")
    assert results.below_zero == ["'-0.2' (accept rate, row 1)"]
    assert results.strange == [
        "'4 5' (K, row 2)",
        "'inf' (tau, row 1)",
        "'85%' (speedup, row 1)",
    ]


def test_a_quantity_told_twice_is_read_once(tmp_path):
    """Two data sets side by side aren't mixed within a row."""
    text = (
        "|Method|Speedup|tau|Speedup|tau|\n|-|-|-|-|-|\n|EAGLE|3.07x|3.98||3.8|\n|SpS||2.2|3.9x||\n"
    )
    (results,) = read(tmp_path, text)
    assert results.arms[0].figures["length"].value == pytest.approx(3.98)
    assert "speedup" not in results.arms[1].figures
    assert sum("earlier column" in each for each in results.unread) == 2


def test_cells_under_no_heading_are_refused(tmp_path):
    """A decimal comma that splits a cell shifts all after it."""
    with pytest.raises(CaptureUnreadable, match="6 cells under 4 headings"):
        read(tmp_path, "Method,accept rate,K,tau\na,0,65,4,3,60\n", ".csv")


def test_numbers_beyond_measure_are_not_read(tmp_path):
    """Nor does arithmetic on them end in a traceback."""
    (results,) = read(tmp_path, "K,tau,tokens\n1e400,3,9" + "9" * 400 + "\n", ".csv")
    assert results.arms[0].figures.keys() == {"length"}


def test_vllms_and_sglangs_headings_are_told_apart(tmp_path):
    """`num_draft_tokens` beside accepted tokens counts drafts, alone the nodes of a tree."""
    head, row = "num_drafts,num_draft_tokens,num_accepted_tokens", "2500,7500,3625"
    (results,) = read(tmp_path, f"{head}\n{row}\n", ".csv")
    assert results.arms[0].get("accept_frac").value == pytest.approx(3625 / 7500)
    (results,) = read(tmp_path, "num_draft_tokens,acc_length\n16,3.4\n", ".csv")
    assert results.arms[0].tree


def test_a_speed_in_times_is_a_speedup(tmp_path):
    """Leviathan et al. print `3.4X` under `Speed`; chen et al. `14.1ms/Token` in the cell."""
    (results,) = read(tmp_path, "|gamma|Speed|Mean Token Time|\n|-|-|-|\n|7|3.4X|14.1ms/Token|\n")
    assert results.arms[0].figures["speedup"].value == pytest.approx(3.4)
    assert results.arms[0].figures["tpot"].value == pytest.approx(0.0141)


@pytest.mark.parametrize(
    ("text", "suffix"),
    [
        ("no table", ".md"),
        ("", ".csv"),
        ("[]", ".json"),
        ("a = 1", ".toml"),
        ("x,y\n1,2\n", ".csv"),
    ],
)
def test_nothing_to_judge_is_said(tmp_path, text, suffix):
    """With what to do."""
    with pytest.raises(UsageError):
        read(tmp_path, text, suffix)


@pytest.mark.parametrize(
    ("text", "suffix"),
    [("{", ".json"), ("= =", ".toml"), ("a." * 9999 + "b=1", ".toml"), ("[" * 10**5, ".json")],
)
def test_a_broken_file_is_unreadable(tmp_path, text, suffix):
    """Not a crash."""
    with pytest.raises(CaptureUnreadable):
        read(tmp_path, text, suffix)


def test_a_capture_is_no_table_whatever_its_name(tmp_path):
    """The first bytes decide."""
    path = tmp_path / "run.json"
    path.write_text(json.dumps({"event": "header"}, separators=(",", ":")))
    assert not is_table(path)
    assert is_table(tmp_path / "other.md")
    assert not is_table(tmp_path / "run.jsonl")


def wide(columns):
    """Return a table of one row as each format writes it."""
    names = [f"a{i}" for i in range(columns)]
    line = "|" + "|".join(names) + "|"
    return {
        ".csv": ",".join(names) + "\n" + ",".join("1" * columns),
        ".json": json.dumps([dict.fromkeys(names, 1)]),
        ".md": f"{line}\n{'|-' * columns}|\n{line}\n",
        ".toml": "".join(f"{name} = [1]\n" for name in names),
    }


@pytest.mark.parametrize("suffix", [".csv", ".json", ".md", ".toml"])
def test_a_table_of_more_columns_than_anybody_reads_is_refused(tmp_path, suffix):
    """In one line, before a heading of it is looked at."""
    with pytest.raises(UsageError, match="more than 4,096 columns in a table"):
        read(tmp_path, wide(5000)[suffix], suffix)


def test_more_tables_than_anybody_reads_are_refused(tmp_path):
    """A report of twenty thousand took minutes."""
    text = "| K | alpha |\n|---|---|\n| 1 | 0.5 |\n\n"
    assert len(read(tmp_path, text * 1000)) == 1000
    with pytest.raises(UsageError, match="more than 1,000 tables"):
        read(tmp_path, text * 1001)


def test_short_rows_are_not_filled_up_without_end(tmp_path):
    """A few megabytes of text would become gigabytes of empty cells."""
    text = ",".join(f"a{i}" for i in range(4000)) + "\n" + "1\n" * 40_000
    with pytest.raises(UsageError, match="more than 1,048,576 cells in a table"):
        read(tmp_path, text, ".csv")


def test_rows_that_share_no_key_are_not_laid_out(tmp_path):
    """Each adds a column to all."""
    rows = [{f"k{i}": 1} for i in range(5000)]
    with pytest.raises(UsageError, match="more than 4,096 columns"):
        read(tmp_path, json.dumps(rows), ".json")


@pytest.mark.parametrize("text", ["(" * 20_000, "[ " * 10_000, "latency " + " " * 20_000 + "x"])
def test_an_endless_heading_costs_nothing(text):
    """It is prose: no pattern is tried on it."""
    started = time.process_time()
    assert recognise_heading(text) == (None, None)
    assert read_position(text) is None
    assert read_cell(text) is None
    assert time.process_time() - started < 0.5


@pytest.mark.parametrize("text", ["0e9999", "9" * 5000 + "/" + "9" * 5000])
def test_a_number_beyond_python_is_no_number(text):
    """Nothing is raised."""
    assert read_cell(text) is None


def test_a_strangers_heading_does_not_flood_the_message(tmp_path):
    """An ellipsis stands for the rest."""
    with pytest.raises(UsageError, match="no column is known") as raised:
        read(tmp_path, "| " + "x" * 5000 + " |\n|---|\n| 1 |\n")
    assert len(str(raised.value)) < 1000
    assert "…" in str(raised.value)
