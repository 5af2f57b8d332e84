"""Runs broken by a fault of the registry, over the tiny family, and the events they record."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import proofs
from specprof import registry
from specprof.backends.native import Native
from specprof.engine.fault import Fault
from specprof.recheck_records import Rechecked
from specprof.records import Event, Recheck, Round
from specprof.settings import RunSpec

MAX_ROUNDING_GAP = 1e-4
"""Upper bound of the total variation that float32's rounding causes."""


@dataclass(frozen=True, slots=True)
class Drilled:
    """The rounds of a run, and its rechecked places."""

    events: list[Event]

    @property
    def rounds(self) -> list[Round]:
        return [each for each in self.events if isinstance(each, Round)]

    @property
    def places(self) -> list[tuple[Round, Rechecked]]:
        rounds = {each.index: each for each in self.rounds}
        checks = [each for each in self.events if isinstance(each, Recheck)]
        return [(rounds[place.round], place) for check in checks for place in check.places]

    @property
    def accepted_frac(self) -> float:
        reached = [each for one in self.rounds for each in one.drafted if each.reached]
        return sum(each.accepted for each in reached) / len(reached)

    def short(self, role: str) -> list[int]:
        """Return how many tokens a cache lacks after each round; it should hold committed - 1."""
        return [
            one.context + len(one.emitted) - 1 - getattr(one, f"{role}_length")
            for one in self.rounds
        ]

    def gaps(self, role: str, where=lambda one, place: True) -> list[float]:
        """Return the total variation of the used and the recomputed law, at places `where`."""
        return [getattr(place, f"{role}_gap") for one, place in self.places if where(one, place)]

    def rejected(self) -> list[bool]:
        """Return for each round whether it had a rejection."""
        return [one.accepted < len(one.drafted) for one in self.rounds]


def load_fault(name: str) -> type[Fault]:
    return registry.get(Fault, name)


@cache
def play_drill(folder: Path, name: str | None, **given) -> Drilled:
    """Play a run over the family in `folder`, once; the default temperature is 1."""
    cell = {field: given.pop(field) for field in proofs.FIELDS if field in given}
    fixed = {"temperature": 1.0, "recheck_context": 4096}
    settings = proofs.asked(cell, folder, **(fixed | given))
    broken = Native(load_fault(name)() if name else None)
    return Drilled(list(broken.run(RunSpec(id="x", profile="test", settings=settings), ["drill"])))


def assert_still(run: Drilled, role: str, where=lambda one, place: True) -> None:
    """Assert that a model's laws equal the recomputed ones, at places `where`."""
    gaps = run.gaps(role, where)
    assert gaps
    assert max(gaps) < MAX_ROUNDING_GAP


def assert_astray(run: Drilled, role: str, share=0.5, where=lambda one, place: True) -> None:
    """Assert that at least `share` of a model's laws differ from the recomputed ones."""
    gaps = run.gaps(role, where)
    assert gaps
    assert sum(gap > 10 * MAX_ROUNDING_GAP for gap in gaps) >= share * len(gaps)
