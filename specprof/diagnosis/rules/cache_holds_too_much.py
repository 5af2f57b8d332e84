"""A cache takes more memory than its tokens should.

Measures
    Bytes of each model's cache over tokens held times the bytes a token takes by the model's
    layers, key-value heads and head size (theory 6.1).

Fires when
    The median over the rounds is 1.25 times the formula or more.

Why this is a cost and not a bug
    The rows that are read are right. What is held beside them is memory and, where it is copied,
    time in proportion to the context.

Likely causes
    A cache that grows by joining, and holds the old copy beside the new; a draft's cache sized like
    the target's; rejected drafts that stay.

Confirm
    The memory at two contexts: specprof run --context 2000, then 4000.

Does not see
    Room reserved ahead that the engine doesn't count; the allocator's slack.

Try it
    specprof drill perf/kv-memory-growth
"""

from typing import ClassVar

import numpy as np

from specprof.analysis.evidence import Evidence
from specprof.analysis.tables import Floats
from specprof.errors import MissingEvidence
from specprof.extend import Rule
from specprof.findings import Clear, Family, Finding, Found, Measure, Outcome, Stage

TOO_MUCH = 1.25
ROLES = ("target", "draft")


class CacheHoldsTooMuch(Rule):
    """A median of a ratio that should be 1."""

    family: ClassVar[Family] = "cost"
    stage: ClassVar[Stage] = Stage.COST
    statistical: ClassVar[bool] = False

    def judge(self, evidence: Evidence) -> Outcome:
        """Compare either cache with its formula."""
        seen = {role: _held(evidence, role) for role in ROLES}
        known = {role: each for role, each in seen.items() if len(each)}
        if not known:
            raise MissingEvidence("no cache's bytes were recorded", "record with --backend native")
        medians = {role: float(np.median(each)) for role, each in known.items()}
        over = {role: median for role, median in medians.items() if median >= TOO_MUCH}
        if not over:
            told = ", ".join(f"{role} {median:.2f}" for role, median in medians.items())
            return Clear(detectable=f"{TOO_MUCH} times the formula; seen {told}")
        told = " and ".join(f"the {role}'s {median:.2f}" for role, median in over.items())
        finding = Finding(
            message=f"the key-value caches hold more than their tokens take: {told} times as much",
            measures=tuple(
                Measure(name=f"{role} cache bytes / formula", value=median, n=len(known[role]))
                for role, median in medians.items()
            ),
            remedy="allocate the cache once and write into it; size a draft's by its own layers",
            confirm=("specprof run --context 4000",),
            suspects=("perf/kv-memory-growth",),
        )
        return Found(finding=finding)


def _held(evidence: Evidence, role: str) -> Floats:
    """Return held / formula of each round that tells both, [told]."""
    facts = evidence.header.target if role == "target" else evidence.header.draft
    if facts is None or not facts.kv_bytes_per_token:
        return np.empty(0)
    rounds = evidence.rounds
    length, evicted, held = (
        np.asarray(getattr(rounds, f"{role}_{name}")) for name in ("length", "evicted", "kv_bytes")
    )
    tokens = length - np.nan_to_num(evicted)
    told = (tokens > 0) & ~np.isnan(held)
    return np.asarray(held[told] / (tokens[told] * facts.kv_bytes_per_token))
