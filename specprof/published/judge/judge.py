"""Runs every check of a table and sums them up in one sentence, in the form of a diagnosis."""

from collections.abc import Callable
from typing import Final

from specprof.diagnosis.diagnose import Diagnosis
from specprof.diagnosis.verdict import Verdict
from specprof.errors import MissingEvidence
from specprof.findings import Crashed, Family, Found, Outcome, Unknown
from specprof.plain import brief
from specprof.published.judge import suspicious
from specprof.published.judge.impossible import IMPOSSIBLE
from specprof.published.judge.incomparable import INCOMPARABLE
from specprof.published.judge.inconsistent import INCONSISTENT
from specprof.published.judge.suspicious import COUNTS
from specprof.published.judge.times import TIMES
from specprof.published.read.inference import find_fits
from specprof.published.read.results import MAX_SHOWN_CHARS, Results

Check = Callable[[Results], Outcome]
FAMILIES: Final[dict[str, Family]] = {
    "extra_target_forwards": "bug",
    "self_draft_rejected": "configuration",
    "rates_of_different_depths": "configuration",
    "cost_of_rounds": "cost",
}
"""The families of checks that are not `measurement`: most checks judge how numbers were measured.

A draft with its target's name may still have coarser weights, so its rejections are no certain bug.
"""
MAX_HEADINGS = 40
"""The most unknown headings that the sentence names."""
MAX_CELLS = 6
"""The most unreadable cells that the sentence names."""
TABLE: Final[tuple[Check, ...]] = (
    suspicious.extra_target_forwards,  # first: it names the cause of what later checks report
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
        for outcome in [_run_check(check, results)]
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


def _run_check(check: Check, results: Results) -> Outcome:
    try:
        return check(results)
    except MissingEvidence as missing:
        return Unknown(reason=f"{missing.title}; {missing.hint}")
    except Exception as error:  # noqa: BLE001 - one broken check must not hide the others
        return Crashed(error=f"{type(error).__name__}: {error}")


def _sentence(results: Results, verdicts: tuple[Verdict, ...]) -> str:
    """Return the summary: checks made, the leading finding, the way of counting, unread parts."""
    judged = [each for each in verdicts if not isinstance(each.outcome, Unknown | Crashed)]
    fired = [each for each in judged if isinstance(each.outcome, Found)]
    rows = "1 row" if len(results.arms) == 1 else f"{len(results.arms)} rows"
    sentence = f"{rows}: {len(fired)} of the {len(judged)} possible checks found something"
    leading = min(fired, key=lambda each: each.place, default=None)
    if leading and leading.finding:
        sentence += f", above all: {leading.finding.message}"
    more = (_describe_counting, _describe_readings, _describe_unread)
    return ". ".join([sentence, *(each for describe in more for each in describe(results))]) + "."


def _describe_counting(results: Results) -> list[str]:
    """Return sentences with the inferred K and way of counting."""
    sentences = list[str]()
    for of, name in (("tokens_per_forward", "tokens per forward"), ("length", "the length")):
        try:
            seen = find_fits(results, of)
        except MissingEvidence:
            continue
        if seen.found:
            sentences.append(f"By accepted/drafted and {name}: {suspicious.describe_ways(seen)}")
    return sentences


def _describe_readings(results: Results) -> list[str]:
    readings = ", ".join(results.readings)
    return [f"Assumed, a unit by its column's largest number: {readings}"] if readings else []


def _describe_unread(results: Results) -> list[str]:
    more = len(results.unread) - MAX_HEADINGS
    names = ", ".join(repr(brief(each, MAX_SHOWN_CHARS)) for each in results.unread[:MAX_HEADINGS])
    names += f" and {more:,} more" if more > 0 else ""
    sentences = [f"Columns not read, their name or unit is not known: {names}"] if names else []
    if results.strange:
        more = len(results.strange) - MAX_CELLS
        cells = ", ".join(results.strange[:MAX_CELLS]) + (f" and {more} more" if more > 0 else "")
        sentences.append(f"Cells without a readable number: {cells}")
    return sentences
