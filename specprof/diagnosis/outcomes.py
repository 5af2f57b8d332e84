"""Checks what a rule or a probe returned: plug-ins add some, and every field of it is shown."""

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


def check_outcome(outcome: Outcome) -> Outcome:
    """Return the outcome as it is.

    Raises TypeError where it is no outcome, or where a field has a type that can't be shown.
    """
    if not isinstance(outcome, Found | Clear | Unknown | Crashed):
        raise TypeError(f"it returned {_shorten(outcome)}, which is no outcome")
    if isinstance(outcome, Found):
        _check_finding(outcome.finding)
        return outcome
    texts = [getattr(outcome, name) for name in type(outcome).__slots__]
    _check(all(isinstance(text, str) for text in texts), f"it returned {_shorten(outcome)}")
    return outcome


def _check_finding(finding: Finding) -> None:
    _check(isinstance(finding, Finding), f"it found {_shorten(finding)}")
    texts = (finding.message, finding.remedy)
    _check(all(isinstance(each, str) for each in texts), "its message or remedy is no text")
    _check(_all_of(finding.measures, Measure), "its measures are no list of measures")
    for each in finding.measures:
        bounds = (each.value, each.low, each.high)
        _check(each.value is not None, f"its {each.name} is no number")
        known = [bound for bound in bounds if bound is not None]
        _check(all(_is_number(bound) for bound in known), f"its {each.name} is no number")
    _check(_all_of(finding.confirm, str), "its commands to confirm are no list of texts")
    _check(_all_of(finding.suspects, str), "its suspects are no list of names")
    _check(all(_is_number(each) for each in finding.rounds), "its rounds are no numbers")
    _check(finding.model in {None, "target", "draft"}, "its model is neither target nor draft")
    where = finding.where
    _check(where is None or isinstance(where, Where), "its place is no Where")


def _all_of(things: object, kind: type) -> bool:
    return isinstance(things, tuple | list) and all(isinstance(each, kind) for each in things)


def _is_number(thing: object) -> bool:
    return isinstance(thing, numbers.Real)


def _check(holds: bool, otherwise: str) -> None:  # noqa: FBT001 - a condition, not a choice
    if not holds:
        raise TypeError(otherwise)


def _shorten(thing: object) -> str:
    return repr(thing)[:60]
