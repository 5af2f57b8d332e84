"""Drills: what is run, and how its diagnosis is scored."""

from contextlib import contextmanager
from dataclasses import replace

import msgspec
import pytest

from specprof import catalogue
from specprof.capture import read_capture
from specprof.drills import matrix, playing
from specprof.errors import UnknownName, UsageError
from specprof.faults._settings import DRILL_SETTINGS

SHORT = {"stops": 2, "max_new_tokens": 24, "context": 200}


def judged(**changes):
    known = {
        "name": "kv/draft-rollback-over-trim",
        "kind": "fault",
        "seed": 0,
        "accepted_per_reached": 0.5,
        "rounds": 9,
        "leading": "cache-length-wrong",
        "family": "bug",
        "suspects": [],
        "bugs": [],
        "found": [],
        "named": False,
        "grouped": False,
        "sentence": "",
        "seconds": 1.0,
    }
    return playing.Judged(**(known | changes))


def test_every_fault_is_a_case_of_the_catalogue():
    """Its member's name, the first dash a slash, is the case's id."""
    faults = {name for name, kind in playing.names().items() if kind == "fault"}
    assert faults <= set(catalogue.cases())
    assert len(faults) >= 55


def test_there_are_enough_controls():
    """Healthy and mismatched pairs, each with a name of its own."""
    assert sum(kind == "control" for kind in playing.names().values()) >= 25


def test_a_fault_is_drilled_under_its_own_settings():
    """Over those of every drill; what is given stands over both."""
    one = playing.drill("accept-always-accept", {"depth": 2})
    assert one.name == "accept/always-accept"
    assert (one.settings.depth, one.settings.temperature) == (2, DRILL_SETTINGS["temperature"])


def test_an_unknown_drill_lists_the_nearest_first():
    """A fault by its slash, its dash, or not at all."""
    with pytest.raises(UnknownName) as raised:
        playing.drill("accept/allways-accept")
    assert raised.value.hint.startswith("known: accept/always-accept,")


def test_a_fault_in_the_real_engine_is_judged_from_its_capture(tmp_path):
    """The capture stays where it was asked for, and says nothing of being right."""
    path = tmp_path / "run.jsonl"
    found, diagnosis = playing.judge(playing.drill("accept/always-accept", SHORT), path)
    assert path.exists()
    assert found.accepted_per_reached == 1
    assert found.named
    assert found.grouped
    assert found.leading == diagnosis.leading.rule


def test_an_engine_that_crashes_is_judged_by_what_it_left(tmp_path):
    """The capture ends as failed, and holds the rounds before."""

    class Broken(playing.drill("accept/always-accept").fault):
        @contextmanager
        def inject(self, run):
            with super().inject(run):
                rule, calls = run.loop.acceptance, iter(range(12))
                decide = rule.decide
                rule.decide = lambda *given: (next(calls), decide(*given))[1]
                yield

    one = replace(playing.drill("accept/always-accept", SHORT), fault=Broken)
    path = tmp_path / "run.jsonl"
    found, _ = playing.judge(one, path)
    assert read_capture(path).end.status == "failed"
    assert 0 < found.rounds < 12


def test_a_drill_that_never_began_says_why(tmp_path):
    """Its own error, and not that a capture without a header is none."""

    class Unfit(playing.drill("accept/always-accept").fault):
        def inject(self, run):
            raise NotImplementedError("this engine has no such part")

    one = replace(playing.drill("accept/always-accept", SHORT), fault=Unfit)
    with pytest.raises(NotImplementedError, match="no such part"):
        playing.judge(one, tmp_path / "run.jsonl")


def test_the_score_counts_faults_and_controls_apart():
    """A control has no case to be named; it is accused or not."""
    runs = [
        judged(named=True, grouped=True),
        judged(grouped=True),
        judged(kind="control", name="healthy", named=True, grouped=None),
        judged(kind="control", name="bf16", named=False, grouped=None),
    ]
    assert matrix.score(runs) == {
        "faults": 2,
        "faults_named": 1,
        "faults_grouped": 2,
        "controls": 2,
        "controls_accused": 1,
    }


def test_the_table_says_what_led_and_how_often():
    """One line a drill; runs that differ are told apart."""
    runs = [
        judged(named=True, suspects=["kv/draft-rollback-over-trim"]),
        judged(seed=1, leading=None),
    ]
    first, _, named, grouped = matrix.table(runs).splitlines()
    assert first == (
        "kv/draft-rollback-over-trim  1/2  "
        "cache-length-wrong: kv/draft-rollback-over-trim (1); nothing found (1)"
    )
    assert (named, grouped) == ("named / faults: 1/2", "right group / faults: 0/2")


def test_the_document_is_versioned():
    """Schema, score, then one entry a run."""
    made = msgspec.json.decode(matrix.document([judged()]))
    assert list(made) == ["schema", "score", "drills"]
    assert made["schema"] == "specprof.drills.playing/1"


def test_nothing_to_drill_is_refused():
    """A filter that holds nothing is an error, not an empty matrix."""
    with pytest.raises(UsageError, match="nothing to drill"):
        list(matrix.run_matrix("no such", range(1), {}, 1))
