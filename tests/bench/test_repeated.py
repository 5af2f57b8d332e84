"""One engine, decoded over and over: bare and watched are the same decoding."""

from typing import get_args

import pytest

import runs
from specprof.bench.repeated import Repeated, silenced
from specprof.engine.instruments.stopwatch import HostClock, Stopwatch
from specprof.settings import Detail


@pytest.fixture(scope="module")
def engine(pair, tmp_path_factory):
    asked = runs.settings(pair, context=60, max_new_tokens=9, temperature=1.0, plain_steps=0)
    return Repeated(asked, tmp_path_factory.mktemp("plays"))


def test_a_play_is_the_same_at_every_level(engine):
    """Draw for draw, and the caches are as before it."""
    played = [engine.play(each, seed=3) for each in get_args(Detail)]
    bare = played[0]
    assert len(played) == 4
    assert {(tuple(each.emitted), each.rounds) for each in played} == {
        (tuple(bare.emitted), bare.rounds)
    }
    assert bare.rounds < 10
    assert len(bare.emitted) == 9
    assert engine.run.engine.target.length == 59
    assert engine.play("off", seed=4).emitted != bare.emitted


def test_what_a_level_asks_for_is_written(engine):
    """As many rounds as were played; probabilities only with evidence."""
    for detail, seen in (("rounds", False), ("evidence", True), ("module", True)):
        played = engine.play(detail)
        lines = engine.place.read_bytes().splitlines()
        assert len(lines) == played.rounds
        assert all((b'"layer 0"' in line) is (detail == "module") for line in lines)
        assert all((b'"target_prob"' in line) is seen for line in lines if b'"drafted":[{' in line)


def test_alone_is_the_target_by_itself(engine):
    """A round a token, with draws of its own."""
    alone = engine.play("rounds", alone=True, seed=5)
    assert alone.rounds == len(alone.emitted) == 9
    assert engine.play("off", alone=True, seed=5).emitted == alone.emitted


def test_times_are_of_the_decoding(engine):
    """Both clocks ran."""
    played = engine.play("off")
    assert played.wall_ns > 0
    assert played.process_ns > 0


def test_a_silenced_watch_reads_no_clock():
    """Inside the block only."""
    reads = []
    watch = Stopwatch(HostClock(lambda: reads.append(1) or len(reads)))
    with silenced(watch):
        watch.begin()
        with watch.span("draft"):
            pass
        assert watch.finish().marks == []
    assert reads == []
    watch.begin()
    with watch.span("draft"):
        pass
    assert [name for name, *_ in watch.finish().marks] == ["draft"]
    assert len(reads) == 4
