"""Writes a diagnosis as lines of text, and as one versioned document.

Knows wording and order, and nothing of terminals: a line has a role, and the code that prints the
line gives the role its look. Text that a capture or a plugin wrote is stripped of control
characters here; the document uses JSON's own escapes for that.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple

import msgspec

from specprof.analysis.attribution import Attribution, Part
from specprof.analysis.evidence import FAMILY_ERROR
from specprof.analysis.remedies import Prospects
from specprof.analysis.verify_cost import VerifyCost
from specprof.catalogue import cases
from specprof.diagnosis.diagnose import INCOMPLETE_RULE, Diagnosis
from specprof.diagnosis.verdict import Verdict
from specprof.findings import Clear, Crashed, Finding, Measure, Unknown, Where
from specprof.plain import as_json, escape_json, plain

ABSENT = "\N{EN DASH}"
SCHEMA = "specprof.diagnosis/1"
Role = Literal["title", "sentence", "heading", "found", "text", "quiet"]


class Line(NamedTuple):
    """One line of a report, with its role."""

    role: Role
    text: str


def lines(diagnosis: Diagnosis) -> list[Line]:
    """Return a diagnosis as lines: the sentence, the findings, then all other outcomes."""
    lines = [Line("title", diagnosis.capture), Line("sentence", diagnosis.sentence)]
    for part in (
        _chain_lines(diagnosis.attribution),
        _waterfall_lines(diagnosis),
        _prospect_lines(diagnosis.prospects),
        _found_lines(diagnosis),
        _other_lines(diagnosis.verdicts),
    ):
        lines += part
    return [Line(role, plain(text)) for role, text in lines]


def document(diagnoses: Sequence[Diagnosis]) -> bytes:
    """Return the diagnoses as one JSON document of schema `specprof.diagnosis/1`.

    `schema.json` beside this file describes it. Shares are fractions. Times are milliseconds or
    nanoseconds, as their names say. A value that is not known or not finite is null.
    """
    made = {
        "schema": SCHEMA,
        "family_error": FAMILY_ERROR,
        "diagnoses": [_entry(each) for each in diagnoses],
    }
    return msgspec.json.format(escape_json(as_json(made)), indent=2) + b"\n"


def findings_in_order(diagnosis: Diagnosis) -> tuple[Verdict, ...]:
    """Return the findings: damage to the file first, then the leading one, then the others."""
    leading, damaged = diagnosis.leading, diagnosis.damaged

    def place(verdict: Verdict) -> tuple[bool, bool]:
        return not (damaged and verdict.rule == INCOMPLETE_RULE), verdict is not leading

    return tuple(sorted(diagnosis.found, key=place))


def suspect_titles(finding: Finding) -> list[str]:
    """Return the cases that a finding points to, the likeliest first, each with its title."""
    known = cases()  # a suspect that a plugin names may be missing here
    return [f"{name}: {known[name].title}" if name in known else name for name in finding.suspects]


def remedy(finding: Finding) -> str:
    """Return what to do: the rule's remedy, or else the catalogue's for the first suspect."""
    known = (cases()[name].remedy for name in finding.suspects if name in cases())
    return finding.remedy or next(known, "")


def _entry(diagnosis: Diagnosis) -> dict[str, Any]:
    leading = diagnosis.leading
    return {
        "capture": diagnosis.capture,
        "sentence": diagnosis.sentence,
        "leading": leading.rule if leading else None,
        "attribution": diagnosis.attribution,
        "waterfall": diagnosis.waterfall,
        "prospects": diagnosis.prospects,
        "verdicts": [
            {
                "rule": each.rule,
                "family": each.family,
                "row": each.place,
                "outcome": type(each.outcome).__name__.lower(),
                **_outcome_fields(each),
            }
            for each in diagnosis.verdicts
        ],
    }


def _outcome_fields(verdict: Verdict) -> dict[str, Any]:
    fields: dict[str, Any] = msgspec.to_builtins(verdict.outcome)
    if seen := verdict.finding or verdict.consequence:
        fields["finding"]["remedy"] = remedy(seen)
    return fields


def _chain_lines(chain: Attribution | None) -> Iterator[Line]:
    if chain is None:
        return
    yield Line("heading", f"percent of {chain.reached:,} {_denominator(chain)}, 95% intervals")
    parts: list[tuple[str, str, Part | None]] = [
        (" ", "rejected", chain.rejected),
        ("=", "mismatch", chain.mismatch),
        ("+", "state", chain.state),
        ("+", "draft law", chain.draft_law),
        ("+", "accept rule", chain.accept_rule),
    ]
    for sign, name, part in parts:
        if part is None:
            missing = "not rechecked: its share may be in the mismatch"
            yield Line("text", f"  {sign} {name:12}     {ABSENT}  {missing}")
            continue
        frac = part.frac
        spread = f"{100 * frac.low:6.1f} to {100 * frac.high:5.1f}"
        tested = "" if part.p_value is None else _format_p_value(part.p_value)
        yield Line("text", f"  {sign} {name:12} {100 * frac.value:6.1f} {spread}{tested}")


def _denominator(chain: Attribution) -> str:
    return chain.counted.replace("reached token", "reached drafted token") + "s"


def _format_p_value(p_value: float) -> str:
    return "  p < 1e-300" if p_value < 1e-300 else f"  p = {p_value:.2g}"  # noqa: PLR2004 - underflow


def _waterfall_lines(diagnosis: Diagnosis) -> Iterator[Line]:
    factors = diagnosis.waterfall or []
    if not factors:
        return
    measured = any(one.name == "plain decoding's own gap" for one in factors)
    note = "" if measured else "; an upper bound, because plain steps were not timed"
    yield Line("heading", f"speed over plain decoding, from ideal to achieved{note}")
    for factor in factors:
        spent = f"{factor.ns_per_token / 1e6:8.3f} ms a token"
        yield Line(
            "text", f"  x {factor.times:5.2f} = {factor.speedup:5.2f}  {spent}  {factor.name}"
        )


def _prospect_lines(prospects: Prospects | None) -> Iterator[Line]:
    if prospects is None:
        return
    yield Line("heading", "what each remedy alone could gain, at most")
    for each in prospects.remedies:
        speed = f"  x {each.gain:5.2f}  {each.tokens_per_second:10,.1f} tokens/s"
        yield Line("text", f"{speed}  {each.name}")
    if prospects.break_even is not None:
        pays = f"acceptance per reached draft that makes this depth pay: {prospects.break_even:.0%}"
        yield Line("text", f"  {pays}")
    if prospects.verify:
        yield Line("text", f"  {_curve(prospects.verify)}")
    if roof := prospects.roof:
        read = f"{roof.bytes_per_step / 1e6:,.1f} MB at {roof.bandwidth / 1e9:,.1f} GB/s"
        yield Line(
            "text", f"  a plain step takes {roof.distance:.1f} times as long as reading {read}"
        )
    yield from (Line("quiet", f"  unknown: {each}") for each in prospects.unknown)


def _curve(verify: VerifyCost) -> str:
    """Describe the fitted time of a target forward: its fixed part, and its parts for each token.

    An en dash stands for the context's part where that is not known.
    """
    context = ABSENT if verify.context_ns is None else f"{verify.context_ns / 1e3:.3g} us"
    return (
        f"a target forward takes {verify.fixed_ns / 1e6:.3g} ms, plus {verify.token_ns / 1e6:.3g} "
        f"ms for each token verified and {context} for each token of context; "
        f"{verify.mean_width:.1f} tokens cost {verify.inflation.value:.2f} plain steps"
    )


def _found_lines(diagnosis: Diagnosis) -> Iterator[Line]:
    found = findings_in_order(diagnosis)
    if not found:
        return
    yield Line("heading", "found")
    for verdict in found:
        if verdict.finding:
            yield from _finding_lines(verdict, verdict.finding)
            yield from _consequence_lines(diagnosis.explained(verdict))


def _finding_lines(verdict: Verdict, finding: Finding) -> Iterator[Line]:
    yield Line("found", f"  {verdict.family}: {verdict.rule}: {finding.message}")
    for number, case in enumerate(suspect_titles(finding)):
        yield Line("text", f"    {'or' if number else 'likely'}: {case}")
    for measure in finding.measures:
        yield Line("text", f"    {format_measure(measure)}")
    if finding.where:
        yield Line("text", f"    first at {format_place(finding.where)}")
    if finding.rounds:
        yield Line("text", f"    first in rounds {', '.join(map(str, finding.rounds))}")
    yield Line("text", f"    remedy: {remedy(finding)}")
    for command in finding.confirm:
        yield Line("text", f"    confirm: {command}")


def _consequence_lines(explained: Sequence[Verdict]) -> Iterator[Line]:
    for verdict in explained:
        if seen := verdict.consequence:
            yield Line("text", f"    explains {verdict.rule}: {seen.message}")


def _other_lines(verdicts: Sequence[Verdict]) -> Iterator[Line]:
    clear, unknown, crashed = list[str](), list[str](), list[str]()
    for verdict in verdicts:
        match verdict.outcome:
            case Clear(detectable=limit):
                clear.append(f"  {verdict.rule}: {limit}")
            case Unknown(reason=reason):
                unknown.append(f"  {verdict.rule}: {reason}")
            case Crashed(error=error):
                crashed.append(f"  {verdict.rule}: {error}")
    for heading, lines in (
        ("checked and clear, with the smallest fault each check would have seen", clear),
        ("unknown", unknown),
        ("crashed; please report", crashed),
    ):
        if lines:
            yield Line("heading", heading)
            yield from (Line("quiet", line) for line in lines)


def format_measure(measure: Measure) -> str:
    """Format a measure on one line: name, value, unit, interval, n; absent parts are left out."""
    text = f"{measure.name}: {measure.value:,.4g}{' ' if measure.unit else ''}{measure.unit}"
    if measure.low is not None and measure.high is not None:
        text += f" ({measure.low:,.4g} to {measure.high:,.4g})"
    if measure.n is None:
        return text
    return f"{text}, n = {measure.n:,}{' ' if measure.counted else ''}{measure.counted}"


def format_place(where: Where) -> str:
    """Format a place on one line: round, draft index, context, event, used and clean value."""
    parts = [f"round {where.round}"]
    if where.index is not None:
        parts.append(f"draft index {where.index}")
    parts.append(f"{where.context:,} tokens deep")
    if where.event:
        parts.append(where.event)
    text = ", ".join(parts)
    if where.used is None and where.clean is None:
        return text
    used, clean = (ABSENT if each is None else f"{each:,.4g}" for each in (where.used, where.clean))
    return f"{text}: used {used}, clean {clean}"
