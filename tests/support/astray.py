"""Captures with wrong laws at chosen places, and a rule's outcome on them."""

from collections.abc import Callable

import msgspec

import captures
from specprof import registry
from specprof.analysis.columns import Columns
from specprof.analysis.evidence import Evidence
from specprof.extend import Rule
from specprof.findings import Outcome
from specprof.recheck_records import Rechecked
from specprof.records import Header, Recheck

LONG = {"stops": 8, "max_new_tokens": 160, "context": 4000, "temperature": 1.0}
replace = msgspec.structs.replace


def judged(name, events, **evidence) -> Outcome:
    """Return a rule's outcome on events."""
    columns = Columns()
    columns.feed(events)
    return registry.get(Rule, name)().judge(Evidence(columns, **evidence))


def astray(side: str, where: Callable[[Rechecked], bool], gap=0.4, events=None, **settings):
    """Return a healthy run's events; `side` is wrong by `gap` at rechecked places `where`."""
    made = events or captures.events(**(LONG | settings))
    names = {f"{each}_gap": 1e-6 for each in ("target", "draft")}

    def placed(one):
        gaps = names | ({f"{side}_gap": gap} if where(one) else {})
        return replace(one, **gaps)

    return [
        replace(e, places=[placed(one) for one in e.places], emitted=[])
        if isinstance(e, Recheck)
        else e
        for e in made
    ]


def with_settings(events, **changed):
    """Return events with changed settings in their header."""
    header, *rest = events
    assert isinstance(header, Header)
    settings = replace(header.spec.settings, **changed)
    return [replace(header, spec=replace(header.spec, settings=settings)), *rest]
