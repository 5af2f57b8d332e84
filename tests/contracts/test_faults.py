"""The contract of every fault: it says where it was seen, and leaves nothing broken behind."""

import re
from contextlib import suppress
from functools import cache

import msgspec
import pytest

from specprof import registry
from specprof.engine.batch import steps
from specprof.engine.fault import Fault
from specprof.engine.setup.wiring import wire
from specprof.errors import SpecprofError
from specprof.faults._settings import drill_settings

FAULTS = list(registry.members("fault").values())
IDS = [each.name for each in FAULTS]
HEADINGS = ["Seen in", "Breaks", "Shows"]
CONTEXT, NEW = 32, 10
SMALL = {"context": CONTEXT, "stops": 1, "max_new_tokens": NEW, "plain_steps": 0, "window": 20}


@pytest.mark.parametrize("member", FAULTS, ids=IDS)
def test_it_says_where_it_was_seen_and_what_it_does(member):
    """The headings are in order, each with text, and a thread's number or the word theoretical."""
    parts = re.split(r"^(Seen in|Breaks|Shows)$", member.docstring, flags=re.MULTILINE)
    assert parts[1::2] == HEADINGS
    assert all(len(part.strip()) > 20 for part in parts[2::2])
    assert re.search(r"[\w.-]+/[\w.-]+#\d+", parts[2]) or "heoretical" in parts[2]


@pytest.mark.parametrize("member", FAULTS, ids=IDS)
def test_nothing_is_broken_afterwards(member):
    """A run that was broken and mended decodes what a run that was never broken decodes."""
    kind = registry.load(Fault, member)
    settings = drill_settings(kind, **SMALL)
    run, sound = wire(settings), untouched(msgspec.json.encode(settings))
    with suppress(SpecprofError), kind().inject(run):  # a NaN ends a run, as it should
        decode(run)
    assert decode(run) == sound


def decode(run):
    """Return every sequence's text after a few rounds from the start."""
    run.roll_back_to(1)
    committed = [lane.tokens[:CONTEXT] for lane in run.lanes]
    for lane, tokens in zip(run.lanes, committed, strict=True):
        lane.draw_anew()
        lane.loop.target.prefill(tokens[:-1])
        lane.loop.drafter.prefill(tokens)
    engines = [lane.loop for lane in run.lanes]
    for _ in steps(engines, committed, new_tokens=NEW, stop=run.stop):
        pass
    return committed


@cache
def untouched(settings):
    """Return the text of these settings before any fault was injected."""
    return decode(wire(msgspec.json.decode(settings, type=type(drill_settings(None)))))
