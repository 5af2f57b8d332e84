"""What probes share: settings with a few changes, and the rules' verdict on such a run."""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from specprof.analysis.evidence import Evidence
from specprof.analysis.stats import Estimate
from specprof.diagnosis.diagnose import diagnose
from specprof.diagnosis.verdict import Verdict
from specprof.errors import UsageError
from specprof.findings import Finding, Found, Measure
from specprof.limits import check
from specprof.records import Header
from specprof.settings import Settings, Value

Changes = dict[str, Value]
"""Field of Settings -> its value in a run."""
MAX_STOPS, NEW_TOKENS = 12, 64
"""The depths a probe looks at, at most; the tokens or places it looks at in each."""
STATE_RULES = frozenset({"state-drifts", "target-state-drifts", "draft-state-drifts"})
ACCEPT_RULES = frozenset({"accept-rule-unfair", "draft-law-differs", "residual-unsupported"})
LAW_RULES = ACCEPT_RULES | {"output-law-differs", "self-draft-disagrees"}
"""Rules that compare drafts, decisions and emitted tokens with the laws."""
MISMATCH_RULES = frozenset({"position-range-exceeded", "drafts-mismatched", "worse-than-constant"})
SAMPLED_RUN: Final[Changes] = {"temperature": 1.0, "acceptance": "auto", "shape": "chain"}
"""The plainest run in which a small error of an accept step shows."""


def vary(header: Header, *changes: Mapping[str, Value]) -> list[Settings]:
    """Return the capture's settings with each of `changes`; an empty list where one can't be run.

    Only runs of specprof's own engine can be repeated with a few changes.
    """
    settings = header.spec.settings
    brief: Changes = {"plain_steps": 0, "stops": min(settings.stops, MAX_STOPS)}
    try:
        found = [msgspec.structs.replace(settings, **(brief | dict(each))) for each in changes]
        for each in found:
            check(each)
    except UsageError:
        return []
    return found if settings.backend == "native" else []


def vary_reading(header: Header, *changes: Mapping[str, Value], **given: Value) -> list[Settings]:
    """Return runs that read the capture's text and draw nothing; the first without a change.

    `given` applies to all of them.
    """
    reading: Changes = {
        "workload": "overlap",
        "shape": "chain",
        "batch": 1,
        "max_new_tokens": NEW_TOKENS,
    }
    return vary(header, *(reading | given | dict(each) for each in ({}, *changes)))


def trained_length(header: Header) -> int | None:
    """Return the context length that the draft was trained for; None where it is not known."""
    return header.draft.trained_context if header.draft else None


def find_bug(run: Evidence) -> Verdict | None:
    """Return the leading bug that the rules see in a probe's run; None where they see none."""
    bugs = [each for each in diagnose(run).found if each.family == "bug"]
    return min(bugs, key=lambda each: each.place, default=None)


def quote_finding(verdict: Verdict, opening: str, measures: Sequence[Measure] = ()) -> Found:
    """Return a rule's finding in a probe's run as the probe's own finding."""
    finding = verdict.finding
    assert finding is not None  # noqa: S101 - `find_bug` returns findings only
    return Found(
        finding=Finding(
            message=f"{opening}: {finding.message} ({verdict.rule})",
            measures=(*measures, *finding.measures),
            remedy=finding.remedy,
            suspects=finding.suspects,
            headline=True,
        )
    )


def measure(name: str, estimate: Estimate) -> Measure:
    """Return an estimate as a measure of a finding."""
    return Measure(
        name=name, value=estimate.value, n=estimate.n, low=estimate.low, high=estimate.high
    )
