"""Whether what a judge returned is an outcome: anybody may add a judge, and all of it is shown."""

import numbers

from specprof.findings import (
    Clear,
    Crashed,
    Finding,
    Found,
    Measure,
    Outcome,
    Unknown,
    Where,
)


def sound(said: Outcome) -> Outcome:
    """Return an outcome as it is; TypeError where it is none, or holds what can't be shown."""
    if not isinstance(said, Found | Clear | Unknown | Crashed):
        raise TypeError(f"it returned {_short(said)}, which is no outcome")
    if isinstance(said, Found):
        _check_finding(said.finding)
        return said
    texts = [getattr(said, name) for name in type(said).__slots__]
    _check(all(isinstance(text, str) for text in texts), f"it returned {_short(said)}")
    return said


def _check_finding(finding: Finding) -> None:
    _check(isinstance(finding, Finding), f"it found {_short(finding)}")
    texts = (finding.message, finding.remedy)
    _check(all(isinstance(each, str) for each in texts), "its message or remedy is no text")
    _check(_all_of(finding.measures, Measure), "its measures are none")
    for each in finding.measures:
        bounds = (each.value, each.low, each.high)
        _check(each.value is not None, f"its {each.name} is no number")
        told = [bound for bound in bounds if bound is not None]
        _check(all(_is_number(bound) for bound in told), f"its {each.name} is no number")
    _check(_all_of(finding.confirm, str), "what would confirm it is no list of commands")
    _check(_all_of(finding.suspects, str), "its suspects are no names")
    _check(all(_is_number(each) for each in finding.rounds), "its rounds are no numbers")
    where = finding.where
    _check(where is None or isinstance(where, Where), "where it found it is no place")


def _all_of(things: object, kind: type) -> bool:
    return isinstance(things, tuple | list) and all(isinstance(each, kind) for each in things)


def _is_number(thing: object) -> bool:
    return isinstance(thing, numbers.Real)


def _check(holds: bool, otherwise: str) -> None:  # noqa: FBT001 - a condition, not a choice
    if not holds:
        raise TypeError(otherwise)


def _short(thing: object) -> str:
    return repr(thing)[:60]
