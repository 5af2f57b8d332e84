"""``specprof bench``, as a user runs it."""

import json
import sys

import pytest
from typer.testing import CliRunner

import runs
from specprof.bench import contest
from specprof.bench.contest import Contest, Standing, Strayed, entries
from specprof.cli import _contest, app
from specprof.cli._table import MISSING_TEXT
from specprof.engine.instruments.bout import Bout
from specprof.errors import INTERRUPTED, UnknownName, UsageError


def specprof(*arguments):
    return CliRunner().invoke(app, ["bench", *(str(each) for each in arguments)])


def small(pair, *more):
    return specprof(
        *("--target", pair / "target", "--draft", pair / "draft", "--text", pair / "text.txt"),
        *("--device", "cpu", "--threads", 1, "--context", 60, "--tokens", 4, "--seconds", 0),
        *more,
    )


def made(pair, *, repetitions=2, troubles=None, strayed=None, unreplayed=None, **changed):
    """A contest nobody played: the nth entry takes n + 1 ms a token there and twice that back."""
    asked = runs.settings(pair, **({"max_new_tokens": 10, "context": 1234} | changed))
    standings = [
        Standing(
            entry=entry,
            threads=1 + place % 2,
            bouts=[
                Bout(way * (place + 1) * 10_000_000, 1, 5, [7] * 10)
                for _ in range(repetitions)
                for way in (1, 2)
            ],
        )
        for place, entry in enumerate(entries(asked))
    ]
    for each in standings:
        each.strayed = (strayed or {}).get(each.entry.name)
        each.unreplayed = (unreplayed or {}).get(each.entry.name)
        each.replayed = None if each.entry.loop in contest.PEERS else each.unreplayed is None
        if each.entry.name in (troubles or {}):
            each.trouble, each.bouts, each.threads = troubles[each.entry.name], [], None
    return Contest(
        standings=standings,
        repetitions=repetitions,
        settings=asked,
        device="cpu",
        dtype="float32",
        seconds=3.0,
    )


def row(found, name):
    return next(each for each in _contest.rows(found) if each.name == name)


def test_the_table_has_a_row_for_each_entry(pair):
    """A row each, below 101 columns, data on stdout and narration on stderr."""
    ended = small(pair)
    assert ended.exit_code == 0, ended.output
    lines = ended.stdout.splitlines()
    assert lines[0].split() == ["emitted", "speed", "speed", "speed", "tau"]
    assert lines[1].split()[0] == "/second"
    assert lines[3].startswith("generate ")
    assert lines[4].startswith("assisted K=4 ")
    assert lines[14].startswith("flat K=4 evidence ")
    assert max(map(len, lines[:15])) <= 100
    assert "all rows emitted the same 4 tokens in every play" in lines
    assert "repetition 2" in ended.stderr


def test_its_screen_shows_no_library_s_chatter(pair, tmp_path, monkeypatch):
    """It is in a log beside the document, which one line names."""

    def chattering(*_, report, **__):
        sys.stderr.write("chatter\n")
        report("a line of ours")
        return made(pair)

    monkeypatch.setattr(contest, "play", chattering)
    ended = small(pair, "-o", tmp_path / "b.json")
    assert ended.exit_code == 0, ended.output
    assert "chatter" not in ended.output
    assert (tmp_path / "b.json.log").read_text() == "chatter\n"
    assert ended.stderr.splitlines()[0] == "a line of ours"
    assert str(tmp_path / "b.json.log") in ended.stderr.splitlines()[1]


def test_json_says_what_the_table_does_and_is_kept(pair, tmp_path):
    """Every play's time, missing figures missing; the same document with -o."""
    kept = tmp_path / "bench.json"
    ended = small(pair, "--json", "-o", kept, "--draft-cache", "sink-window", "--window", 20)
    document = json.loads(ended.stdout)
    assert document == json.loads(kept.read_text())
    assert document["schema"] == "specprof.bench/1"
    assert {"machine", "versions", "specprof"} <= document.keys()
    found = {each["name"]: each for each in document["entries"]}
    assert len(found["generate"]["wall_ns"]) == 4
    assert found["assisted K=4"]["trouble"]
    assert found["assisted K=4"]["emitted_per_second"] is None
    assert found["flat K=4 off"]["over_generate"]["n"] == 2
    assert found["flat K=4 off"]["draft_cache"] == "sink-window"
    assert found["flat K=4 off"]["replayed"] is True
    assert found["flat K=4 off"]["unreplayed"] is None
    assert found["flat K=4 eager"]["replayed"] is False
    assert "they were turned off" in found["flat K=4 eager"]["unreplayed"]
    assert found["generate"]["replayed"] is None
    assert document["settings"]["context"] == 60
    asked = {field: document["settings"][field] for field in ("backend", "path", "graphs")}
    assert asked == {"backend": "native", "path": "auto", "graphs": "auto"}
    assert isinstance(specprof("-o", kept).exception, UsageError)
    assert isinstance(specprof("-o", tmp_path).exception, UsageError)
    assert isinstance(specprof("-o", tmp_path / "no" / "x.json").exception, UsageError)


def test_figures_by_hand(pair):
    """Ten tokens in 10 + 20 ms are 20 in 30; the third entry takes three times as long."""
    found = made(pair)
    assert row(found, "generate").emitted_per_second.value == pytest.approx(1000 * 2 / 3)
    plain = row(found, "modules plain off")
    assert plain.over_generate.value == pytest.approx(1 / 3)
    assert plain.over_assisted.value == pytest.approx(2 / 3)
    assert plain.over_off is None
    assert row(found, "modules plain rounds").over_off.value == pytest.approx(3 / 4)
    assert row(found, "modules K=3 evidence").over_off.value == pytest.approx(5 / 7)
    assert row(found, "flat K=3 rounds").over_off.value == pytest.approx(10 / 11)
    assert row(found, "assisted K=3").over_assisted is None
    assert plain.tau == 2.0


def test_few_repetitions_have_no_interval_and_many_do(pair):
    """And the table says which."""
    few, many = (_contest.table(made(pair, repetitions=count)) for count in (2, 6))
    assert "667 " in few[3]
    assert "[" not in few[3]
    assert any("intervals need 6: give more --seconds" in line for line in few)
    assert "667 [667 667]" in many[3]
    assert any("[95% interval]" in line for line in many)


def test_who_cannot_play_is_a_row_with_its_reason(pair):
    """Dashes, and one line below for all with the same reason."""
    why = "flat was refused: no such architecture"
    lines = _contest.table(made(pair, troubles={"flat K=3 off": why, "generate": why}))
    assert lines[3].split() == ["generate", *[MISSING_TEXT] * 5]
    assert f"generate, flat K=3 off can't play: {why}" in lines
    modules = next(line for line in lines if line.startswith("modules K=3 off"))
    assert modules.split().count(MISSING_TEXT) == 2  # over generate, over its own off


def test_other_tokens_are_named(pair):
    """A near tie as such, anything else loudly."""
    strayed = {
        "flat K=3 off": Strayed(4, "generate", 0.0004, tie=True),
        "flat plain off": Strayed(0, "generate", 0.5, tie=False),
        "assisted K=3": Strayed(2, "generate", None, tie=False),
    }
    lines = _contest.notes(made(pair, strayed=strayed))
    apart = "the two logits lie 0.0004 standard deviations apart"
    assert f"flat K=3 off differs from generate after 4 tokens: a near tie, {apart}" in lines
    loud = [line for line in lines if line.startswith("OTHER TOKENS")]
    assert [line.split()[2] for line in loud] == ["assisted", "flat"]
    assert not any("the same" in line for line in lines)


def test_sampled_entries_are_not_held_against_each_other(pair):
    """Each draws its own."""
    told = _contest.notes(made(pair, temperature=0.7))
    assert any("temperature 0.7" in line for line in told)
    assert any(line.startswith("sampled:") for line in told)
    assert not any("the same" in line for line in told)


def test_threads_are_named_where_they_differ(pair):
    """Each row may have been measured fastest with another count."""
    (line,) = [each for each in _contest.notes(made(pair)) if each.startswith("threads")]
    assert line.startswith("threads, for each row its measured fastest: 1: generate, ")
    assert "; 2: assisted K=3, " in line


def test_rows_without_replay_are_named(pair):
    """What `eager` means, and whose rows are like it, with the reason."""
    eager = "eager: like off, but short forwards are not replayed; our other rows replay them"
    why = "the draft's: its layers slide"
    assert eager in _contest.notes(made(pair))
    some = _contest.notes(made(pair, unreplayed={"flat K=3 off": why, "flat K=3 rounds": why}))
    assert f"flat K=3 off, flat K=3 rounds can't replay all short forwards: {why}" in some
    names = [each.entry.name for each in made(pair).standings]
    everybody = _contest.notes(made(pair, unreplayed=dict.fromkeys(names, why)))
    assert f"but no row can replay them here: {why}" in everybody
    assert not any("replay all" in line for line in everybody)


def test_a_hostile_name_steers_no_terminal(pair):
    """Paths are foreign text."""
    told = _contest.printable_text(_contest.table(made(pair, target="\x1b[31mred")))
    assert "\x1b" not in told
    assert "\\x1b[31mred" in told
    assert "\x1b" not in _contest.document(made(pair, target="\x1b[31mred"))


def test_a_stopped_contest_says_so(pair, monkeypatch):
    """With exit code 130, and what was played."""
    found = made(pair)
    stopped = Contest(**{f: getattr(found, f) for f in found.__slots__} | {"stopped": True})
    monkeypatch.setattr(contest, "play", lambda *_, **__: stopped)
    ended = small(pair)
    assert ended.exit_code == INTERRUPTED
    assert "in 3 s, stopped by the user" in ended.stdout


def test_stopped_before_anything_was_whole(pair, monkeypatch):
    """No table; a line says so, and the exit code is the interrupted one's."""

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(contest, "play", interrupted)
    ended = small(pair)
    assert ended.exit_code == INTERRUPTED
    assert ended.stdout == ""
    assert "there is nothing to show" in ended.stderr


def test_what_nobody_can_have_is_refused(pair):
    """Before anything is loaded, with what is known."""
    assert isinstance(small(pair, "--cache", "tiny").exception, UnknownName)
    assert isinstance(small(pair, "--load-format", "none").exception, UsageError)
    assert specprof("--depth", 0).exit_code == 2
