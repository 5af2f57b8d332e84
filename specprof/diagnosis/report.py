"""A diagnosis told: as lines of text, and as one versioned document.

Knows wording and order, nothing of terminals: a line has a role, and whoever prints gives roles
their looks. Whatever a capture or a plugin wrote is made plain here; in the document, by JSON's own
escapes.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple

import msgspec

from specprof.analysis.attribution import Attribution, Part
from specprof.analysis.evidence import FAMILY_ERROR
from specprof.analysis.remedies import Prospects
from specprof.analysis.verify_cost import VerifyCost
from specprof.catalogue import cases
from specprof.diagnosis.diagnose import INCOMPLETE, Diagnosis, Verdict
from specprof.findings import Clear, Crashed, Finding, Found, Measure, Unknown, Where
from specprof.plain import as_json, escape_json, plain

ABSENT = "\N{EN DASH}"
SCHEMA = "specprof.diagnosis/1"
Role = Literal["title", "sentence", "heading", "found", "text", "quiet"]


class Line(NamedTuple):
    """One line of a report, and what it is."""

    role: Role
    text: str


def lines(diagnosis: Diagnosis) -> list[Line]:
    """Return a diagnosis as lines: the sentence, what was found, then what was not."""
    lines = [Line("title", diagnosis.capture), Line("sentence", diagnosis.sentence)]
    for part in (
        _chain(diagnosis.attribution),
        _waterfall(diagnosis),
        _prospects(diagnosis.prospects),
        _found(in_order(diagnosis)),
        _others(diagnosis.verdicts),
    ):
        lines += part
    return [Line(role, plain(text)) for role, text in lines]


def document(diagnoses: Sequence[Diagnosis]) -> bytes:
    """Return the diagnoses as one JSON document of schema `specprof.diagnosis/1`.

    `schema.json` beside this file describes it. Shares are fractions, times milliseconds or
    nanoseconds as their names say; what is not known, and what is not finite, is null.
    """
    made = {
        "schema": SCHEMA,
        "family_error": FAMILY_ERROR,
        "diagnoses": [_entry(each) for each in diagnoses],
    }
    return msgspec.json.format(escape_json(as_json(made)), indent=2) + b"\n"


def in_order(diagnosis: Diagnosis) -> tuple[Verdict, ...]:
    """Return what was found: damage to the file first, then what the others may follow from."""
    leading, damaged = diagnosis.leading, diagnosis.damaged

    def place(verdict: Verdict) -> tuple[bool, bool]:
        return not (damaged and verdict.rule == INCOMPLETE), verdict is not leading

    return tuple(sorted(diagnosis.found, key=place))


def suspected(finding: Finding) -> list[str]:
    """Return the cases a finding points to, the likeliest first, each with its title."""
    known = cases()  # which a plugin's suspect may be missing from
    return [f"{name}: {known[name].title}" if name in known else name for name in finding.suspects]


def remedy(finding: Finding) -> str:
    """Return what to do: the rule's word, or else the catalogue's on the first suspect."""
    told = (cases()[name].remedy for name in finding.suspects if name in cases())
    return finding.remedy or next(told, "")


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
                **_said(each),
            }
            for each in diagnosis.verdicts
        ],
    }


def _said(verdict: Verdict) -> dict[str, Any]:
    told: dict[str, Any] = msgspec.to_builtins(verdict.outcome)
    if isinstance(verdict.outcome, Found):
        told["finding"]["remedy"] = remedy(verdict.outcome.finding)
    return told


def _chain(chain: Attribution | None) -> Iterator[Line]:
    if chain is None:
        return
    yield Line("heading", f"points of {chain.reached:,} {_counted(chain)}, 95% intervals")
    parts: list[tuple[str, str, Part | None]] = [
        (" ", "rejected", chain.rejected),
        ("=", "mismatch", chain.mismatch),
        ("+", "state", chain.state),
        ("+", "draft law", chain.draft_law),
        ("+", "accept rule", chain.accept_rule),
    ]
    for sign, name, part in parts:
        if part is None:
            yield Line(
                "text", f"  {sign} {name:12}     {ABSENT}  not rechecked: the mismatch may hold it"
            )
            continue
        frac = part.frac
        spread = f"{100 * frac.low:6.1f} to {100 * frac.high:5.1f}"
        tested = "" if part.p_value is None else _chance(part.p_value)
        yield Line("text", f"  {sign} {name:12} {100 * frac.value:6.1f} {spread}{tested}")


def _counted(chain: Attribution) -> str:
    return chain.counted.replace("reached token", "reached drafted token") + "s"


def _chance(p_value: float) -> str:
    return "  p < 1e-300" if p_value < 1e-300 else f"  p = {p_value:.2g}"  # noqa: PLR2004 - underflow


def _waterfall(diagnosis: Diagnosis) -> Iterator[Line]:
    factors = diagnosis.waterfall or []
    if not factors:
        return
    measured = any(one.name == "plain decoding's own gap" for one in factors)
    note = "" if measured else "; plain steps were not timed: an upper bound"
    yield Line("heading", f"speed over plain decoding, from ideal to achieved{note}")
    for factor in factors:
        spent = f"{factor.ns_per_token / 1e6:8.3f} ms a token"
        yield Line(
            "text", f"  x {factor.times:5.2f} = {factor.speedup:5.2f}  {spent}  {factor.name}"
        )


def _prospects(prospects: Prospects | None) -> Iterator[Line]:
    if prospects is None:
        return
    yield Line("heading", "what each remedy alone could gain, at most")
    for each in prospects.remedies:
        speed = f"  x {each.gain:5.2f}  {each.tokens_per_second:10,.1f} tokens/s"
        yield Line("text", f"{speed}  {each.name}")
    if prospects.break_even is not None:
        told = f"acceptance per reached draft that makes this depth pay: {prospects.break_even:.0%}"
        yield Line("text", f"  {told}")
    if prospects.verify:
        yield Line("text", f"  {_curve(prospects.verify)}")
    if roof := prospects.roof:
        read = f"{roof.bytes_per_step / 1e6:,.1f} MB at {roof.bandwidth / 1e9:,.1f} GB/s"
        yield Line(
            "text", f"  a plain step takes {roof.distance:.1f} times as long as reading {read}"
        )
    yield from (Line("quiet", f"  unknown: {each}") for each in prospects.unknown)


def _curve(verify: VerifyCost) -> str:
    """Tell a forward's fitted time: fixed, a token, a token of context; what is unknown absent."""
    context = ABSENT if verify.context_ns is None else f"{verify.context_ns / 1e3:.3g} us"
    return (
        f"a target forward: {verify.fixed_ns / 1e6:.3g} ms, {verify.token_ns / 1e6:.3g} ms a token "
        f"verified, {context} a token of context; {verify.inflation.value:.2f} plain steps for "
        f"{verify.mean_width:.1f} tokens"
    )


def _found(found: Sequence[Verdict]) -> Iterator[Line]:
    if not found:
        return
    yield Line("heading", "found")
    for verdict in found:
        if verdict.finding:
            yield from _finding(verdict, verdict.finding)


def _finding(verdict: Verdict, finding: Finding) -> Iterator[Line]:
    yield Line("found", f"  {verdict.family}: {verdict.rule}: {finding.message}")
    for number, case in enumerate(suspected(finding)):
        yield Line("text", f"    {'or' if number else 'likely'}: {case}")
    for measure in finding.measures:
        yield Line("text", f"    {measured(measure)}")
    if finding.where:
        yield Line("text", f"    first at {placed(finding.where)}")
    if finding.rounds:
        yield Line("text", f"    first in rounds {', '.join(map(str, finding.rounds))}")
    yield Line("text", f"    remedy: {remedy(finding)}")
    for command in finding.confirm:
        yield Line("text", f"    confirm: {command}")


def _others(verdicts: Sequence[Verdict]) -> Iterator[Line]:
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
        ("looked for and not seen; it would have shown from", clear),
        ("unknown", unknown),
        ("crashed; please report", crashed),
    ):
        if lines:
            yield Line("heading", heading)
            yield from (Line("quiet", line) for line in lines)


def measured(measure: Measure) -> str:
    """Return a measure on one line: name, value, unit, interval, n; an absent part is left out."""
    text = f"{measure.name}: {measure.value:,.4g}{' ' if measure.unit else ''}{measure.unit}"
    if measure.low is not None and measure.high is not None:
        text += f" ({measure.low:,.4g} to {measure.high:,.4g})"
    return text if measure.n is None else f"{text}, n = {measure.n:,}"


def placed(where: Where) -> str:
    """Return a place on one line: round, draft index, context, what came before, used and clean."""
    parts = [f"round {where.round}"]
    if where.index is not None:
        parts.append(f"draft index {where.index}")
    parts.append(f"{where.context:,} tokens deep")
    if where.event:
        parts.append(where.event)
    text = ", ".join(parts)
    if where.used is None and where.clean is None:
        return text
    used, clean = (ABSENT if one is None else f"{one:,.4g}" for one in (where.used, where.clean))
    return f"{text}: used {used}, clean {clean}"
