"""One engine, decoded over and over: bare and watched are the same decoding."""

from typing import get_args

import pytest

import runs
from specprof.bench.repeated import Repeated, silence_watch
from specprof.engine.instruments.stopwatch import HostClock, Stopwatch
from specprof.settings import Detail


@pytest.fixture(scope="module")
def loop(pair, tmp_path_factory):
    asked = runs.settings(pair, context=60, max_new_tokens=9, temperature=1.0, plain_steps=0)
    return Repeated(asked, tmp_path_factory.mktemp("plays"))


def test_a_play_is_the_same_at_every_level(loop):
    """Draw for draw, and the caches are as before it."""
    played = [loop.play(each, seed=3) for each in get_args(Detail)]
    bare = played[0]
    assert len(played) == 4
    assert {(tuple(each.emitted), each.rounds) for each in played} == {
        (tuple(bare.emitted), bare.rounds)
    }
    assert bare.rounds < 10
    assert len(bare.emitted) == 9
    assert loop.run.loop.target.length == 59
    assert loop.play("off", seed=4).emitted != bare.emitted


def test_what_a_level_asks_for_is_written(loop):
    """As many rounds as were played; probabilities only with evidence."""
    for detail, seen in (("rounds", False), ("evidence", True), ("module", True)):
        played = loop.play(detail)
        lines = loop.place.read_bytes().splitlines()
        assert len(lines) == played.rounds
        assert all((b'"layer 0"' in line) is (detail == "module") for line in lines)
        assert all((b'"target_prob"' in line) is seen for line in lines if b'"drafted":[{' in line)


def test_alone_is_the_target_by_itself(loop):
    """A round a token, with draws of its own."""
    alone = loop.play("rounds", alone=True, seed=5)
    assert alone.rounds == len(alone.emitted) == 9
    assert loop.play("off", alone=True, seed=5).emitted == alone.emitted


def test_times_are_of_the_decoding(loop):
    """Both clocks ran."""
    played = loop.play("off")
    assert played.wall_ns > 0
    assert played.process_ns > 0


def test_a_silenced_watch_reads_no_clock():
    """Inside the block only."""
    reads = []
    watch = Stopwatch(HostClock(lambda: reads.append(1) or len(reads)))
    with silence_watch(watch):
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
