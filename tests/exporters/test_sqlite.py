"""The SQLite export, loaded by the plugin door like any other plugin."""

import sqlite3
from contextlib import closing

import pytest

from captures import events, in_memory
from specprof import extend, registry
from specprof.records import Round, Sample


def exported(folder, recorded):
    exporter = registry.get(extend.Exporter, "sqlite")
    exporter().write(in_memory(recorded), folder / "a.sqlite")
    return closing(sqlite3.connect(folder / "a.sqlite"))


@pytest.fixture
def file(tmp_path):
    with exported(tmp_path, events()) as connection:
        yield connection


def test_sql_counts_what_the_capture_holds(file):
    """Rounds, drafted tokens, spans and samples are all there."""
    rounds = [event for event in events() if isinstance(event, Round)]
    counts = {
        "rounds": len(rounds),
        "drafted": sum(len(one.drafted) for one in rounds),
        "spans": sum(len(one.spans) for one in rounds),
        "samples": sum(isinstance(event, Sample) for event in events()),
    }
    for table, count in counts.items():
        assert file.execute(f"select count(*) from {table}").fetchone() == (count,)  # noqa: S608
    assert file.execute("select sum(accepted) from rounds").fetchone() == (
        sum(one.accepted for one in rounds),
    )


def test_the_question_in_its_docstring_has_an_answer(file):
    """The example query runs and gives acceptance by thousands of context tokens."""
    docstring = registry.member("exporter", "sqlite").docstring
    query = " ".join(line for line in docstring.splitlines() if line.startswith("    "))
    answer = dict(file.execute(query).fetchall())
    assert answer
    assert all(0 <= share <= 1 for share in answer.values())


def test_the_file_is_sound(file):
    """SQLite's own check passes, and what is not known is null."""
    assert file.execute("pragma integrity_check").fetchone() == ("ok",)
    nulls = "select count(*) from drafted where not reached and target_prob is not null"
    assert file.execute(nulls).fetchone() == (0,)


def test_trees_and_scored_text_can_be_asked_for(tmp_path):
    """A node's parent is one level up; every scored token has its nats."""
    joined = (
        "select count(*), sum(own.draft_index = up.draft_index + 1) from drafted own join "
        "drafted up on own.round = up.round and own.parent = up.node"
    )
    with exported(tmp_path, events(shape="static-tree")) as file:
        children, one_up = file.execute(joined).fetchone()
        assert children == one_up > 0
    with exported(tmp_path, events(workload="ppl", context=300)) as file:
        assert file.execute("select count(*), min(nll) > 0 from scored").fetchone() == (299, 1)
