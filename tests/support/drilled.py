"""Runs broken by a fault of the registry, over the tiny family, and what they left in a capture."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import proofs
from specprof import registry
from specprof.backends.native import Native
from specprof.engine.fault import Fault
from specprof.records import Event, Recheck, Rechecked, Round
from specprof.settings import RunSpec

STILL = 1e-4
"""Total variation that rounding in float32 stays below."""


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
        """How many tokens fewer than committed - 1 a cache holds after each round."""
        return [
            one.context + len(one.emitted) - 1 - getattr(one, f"{role}_length")
            for one in self.rounds
        ]

    def gaps(self, role: str, where=lambda one, place: True) -> list[float]:
        """Total variation between the law used and the recomputed one, at the places wanted."""
        return [getattr(place, f"{role}_gap") for one, place in self.places if where(one, place)]

    def rejected(self) -> list[bool]:
        """Whether each round had a rejection."""
        return [one.accepted < len(one.drafted) for one in self.rounds]


def fault(name: str) -> type[Fault]:
    return registry.get(Fault, name)


@cache
def drilled(folder: Path, name: str | None, **given) -> Drilled:
    """Play a run over the family in `folder`, once; at temperature 1 unless told otherwise."""
    cell = {field: given.pop(field) for field in proofs.FIELDS if field in given}
    fixed = {"temperature": 1.0, "recheck_context": 4096}
    settings = proofs.asked(cell, folder, **(fixed | given))
    broken = Native(fault(name)() if name else None)
    return Drilled(list(broken.run(RunSpec(id="x", profile="test", settings=settings), ["drill"])))


def assert_still(run: Drilled, role: str, where=lambda one, place: True) -> None:
    """A side's laws are the recomputed ones, at the places wanted."""
    gaps = run.gaps(role, where)
    assert gaps
    assert max(gaps) < STILL


def assert_astray(run: Drilled, role: str, share=0.5, where=lambda one, place: True) -> None:
    """At least `share` of a side's laws are others than the recomputed ones."""
    gaps = run.gaps(role, where)
    assert gaps
    assert sum(gap > 10 * STILL for gap in gaps) >= share * len(gaps)
