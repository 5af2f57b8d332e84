"""Whole native runs over a tiny pair on disk; the fixture `pair` is in conftest.py."""

from pathlib import Path

import tiny
from specprof.backends.native import Native
from specprof.records import Event
from specprof.settings import RunSpec, Settings

TEXT = "the quick brown fox jumps over the lazy dog; " * 20


def write_pair(folder: Path) -> Path:
    """Write a target, a shallower draft of the same seed, and a text."""
    (folder / "text.txt").write_text(TEXT)
    tiny.checkpoint(folder / "target", seed=1)
    tiny.checkpoint(folder / "draft", seed=1, num_hidden_layers=2)
    return folder


def settings(pair: Path, **changed) -> Settings:
    given = {
        "target": str(pair / "target"),
        "draft": str(pair / "draft"),
        "text": str(pair / "text.txt"),
        "device": "cpu",
        "threads": 1,
        "context": 200,
        "stops": 3,
        "max_new_tokens": 12,
        "depth": 3,
        "ignore_eos": True,
    }
    return Settings(**(given | changed))


def events(pair: Path, **changed) -> list[Event]:
    spec = RunSpec(id="x", profile="test", settings=settings(pair, **changed))
    return list(Native().run(spec, ["run"]))


def kind(found, wanted):
    return [event for event in found if isinstance(event, wanted)]
