"""What probes share: settings varied a little, and what the rules make of the run made of them."""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from specprof.analysis.evidence import Evidence
from specprof.analysis.stats import Estimate
from specprof.diagnosis.diagnose import Verdict, diagnose
from specprof.errors import UsageError
from specprof.findings import Finding, Found, Measure
from specprof.limits import check
from specprof.records import Header
from specprof.settings import Settings, Value

Changes = dict[str, Value]
"""Field of Settings -> its value in a run."""
STOPS, NEW = 12, 64
"""Depths a probe looks at, and tokens or places at each, at most."""
STATE = frozenset({"state-drifts", "target-state-drifts", "draft-state-drifts"})
RULES = frozenset({"accept-rule-unfair", "draft-law-differs", "residual-unsupported"})
LAWS = RULES | {"output-law-differs", "self-draft-disagrees"}
"""Rules that hold what was drafted, accepted and emitted against the laws."""
MISMATCH = frozenset({"position-range-exceeded", "drafts-mismatched", "worse-than-constant"})
SAMPLED: Final[Changes] = {"temperature": 1.0, "acceptance": "auto", "shape": "chain"}
"""The plainest run in which an accept step can go wrong by little, and does so visibly."""


def varied(header: Header, *changes: Mapping[str, Value]) -> list[Settings]:
    """Return the capture's settings with each of `changes`; none where one can't be run.

    Only runs of specprof's own engine can be made again with little changed.
    """
    settings = header.spec.settings
    brief: Changes = {"plain_steps": 0, "stops": min(settings.stops, STOPS)}
    try:
        found = [msgspec.structs.replace(settings, **(brief | dict(each))) for each in changes]
        for each in found:
            check(each)
    except UsageError:
        return []
    return found if settings.backend == "native" else []


def read(header: Header, *changes: Mapping[str, Value], **given: Value) -> list[Settings]:
    """Return runs that read the capture's text, drawing nothing; the first without any change.

    All of them with what is `given`.
    """
    reading: Changes = {
        "workload": "overlap",
        "shape": "chain",
        "batch": 1,
        "max_new_tokens": NEW,
    }
    return varied(header, *(reading | given | dict(each) for each in ({}, *changes)))


def trained(header: Header) -> int | None:
    """Return the context length the draft was trained for, where it says so."""
    return header.draft.trained_context if header.draft else None


def accused(run: Evidence) -> Verdict | None:
    """Return the bug the rules see in a probe's run, the first to follow up; None where none."""
    bugs = [each for each in diagnose(run).found if each.family == "bug"]
    return min(bugs, key=lambda each: each.place, default=None)


def echoed(verdict: Verdict, opening: str, measures: Sequence[Measure] = ()) -> Found:
    """Return as a finding what a rule saw in a probe's run."""
    finding = verdict.finding
    assert finding is not None  # noqa: S101 - `accused` returns findings only
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
    """Return an estimate as a finding's number."""
    return Measure(
        name=name, value=estimate.value, n=estimate.n, low=estimate.low, high=estimate.high
    )
