"""Every check of a table, and one sentence: the same outcomes and report as a capture's."""

from collections.abc import Callable
from typing import Final

from specprof.diagnosis.diagnose import Diagnosis, Verdict
from specprof.errors import MissingEvidence
from specprof.findings import Crashed, Family, Found, Outcome, Unknown
from specprof.plain import brief
from specprof.published.judge import suspicious
from specprof.published.judge.impossible import IMPOSSIBLE
from specprof.published.judge.incomparable import INCOMPARABLE
from specprof.published.judge.inconsistent import INCONSISTENT
from specprof.published.judge.suspicious import COUNTS
from specprof.published.judge.times import TIMES
from specprof.published.read.inference import fits
from specprof.published.read.results import SHOWN, Results

Check = Callable[[Results], Outcome]
FAMILIES: Final[dict[str, Family]] = {
    "extra_target_forwards": "bug",
    "self_draft_rejected": "configuration",
    "rates_of_different_depths": "configuration",
    "cost_of_rounds": "cost",
}
"""A check's family where that isn't measurement: a table shows what was printed before anything.

A draft of its target's name may still be of coarser weights, so it alone makes no bug.
"""
MOST_HEADINGS = 40
"""Headings that mean nothing known, named in the sentence."""
MOST_CELLS = 6
"""Cells that could not be read, named in the sentence."""
TABLE: Final[tuple[Check, ...]] = (
    suspicious.extra_target_forwards,  # says why where others only say that
    *IMPOSSIBLE,
    *INCONSISTENT,
    *COUNTS,
    *INCOMPARABLE,
    *TIMES,
)
"""The decision table of a printed table: the first check that fires leads."""


def checks() -> dict[str, str]:
    """Return every check's name and what it looks for."""
    return {_name(check): check.__doc__ or "" for check in TABLE}


def diagnose_results(results: Results) -> Diagnosis:
    """Judge a table by every check."""
    verdicts = tuple(
        Verdict(_name(check), FAMILIES.get(check.__name__, "measurement"), outcome, place)
        for place, check in enumerate(TABLE, 1)
        for outcome in [_judged(check, results)]
    )
    return Diagnosis(
        capture=results.name,
        sentence=_sentence(results, verdicts),
        attribution=None,
        waterfall=None,
        verdicts=verdicts,
    )


def _name(check: Check) -> str:
    return check.__name__.replace("_", "-")


def _judged(check: Check, results: Results) -> Outcome:
    try:
        return check(results)
    except MissingEvidence as missing:
        return Unknown(reason=f"{missing.title}; {missing.hint}")
    except Exception as error:  # noqa: BLE001 - one broken check must not hide the others
        return Crashed(error=f"{type(error).__name__}: {error}")


def _sentence(results: Results, verdicts: tuple[Verdict, ...]) -> str:
    """Say how much there was to judge, what leads, how it was counted, and what wasn't read."""
    judged = [each for each in verdicts if not isinstance(each.outcome, Unknown | Crashed)]
    fired = [each for each in judged if isinstance(each.outcome, Found)]
    rows = "1 row" if len(results.arms) == 1 else f"{len(results.arms)} rows"
    told = f"{rows}: of {len(judged)} checks that could be made {len(fired)} found something"
    leading = min(fired, key=lambda each: each.place, default=None)
    if leading and leading.finding:
        told += f", above all: {leading.finding.message}"
    return ". ".join([told, *_counted(results), *_readings(results), *_unread(results)]) + "."


def _counted(results: Results) -> list[str]:
    """Say what was inferred of K and of the way of counting."""
    said = list[str]()
    for of, name in (("tokens_per_forward", "tokens per forward"), ("length", "the length")):
        try:
            seen = fits(results, of)
        except MissingEvidence:
            continue
        if seen.found:
            said.append(f"By accepted/drafted and {name}: {suspicious.either(seen)}")
    return said


def _readings(results: Results) -> list[str]:
    told = ", ".join(results.readings)
    return [f"Taken, by their largest number where that decides: {told}"] if told else []


def _unread(results: Results) -> list[str]:
    more = len(results.unread) - MOST_HEADINGS
    names = ", ".join(repr(brief(each, SHOWN)) for each in results.unread[:MOST_HEADINGS])
    names += f" and {more:,} more" if more > 0 else ""
    said = [f"Not read, no known quantity or no unit: {names}"] if names else []
    if results.strange:
        more = len(results.strange) - MOST_CELLS
        cells = ", ".join(results.strange[:MOST_CELLS]) + (f" and {more} more" if more > 0 else "")
        said.append(f"Cells without a number that can be read: {cells}")
    return said
