"""A cache takes more memory than its tokens should.

Measures
    The bytes of each model's cache, over the tokens it holds times the bytes of one token by the
    model's layers, key-value heads and head size (theory 6.1).

Fires when
    The median over the rounds is 1.25 times the formula or more.

Why this is a cost and not a bug
    The rows that are read are right. The other rows cost memory and, where they are copied, time in
    proportion to the context.

Likely causes
    A cache that grows by concatenation, and holds the old copy beside the new; a draft's cache with
    the size of the target's; rejected drafts that stay in it.

Confirm
    Compare the memory at two contexts: specprof run --context 2000, then 4000.

Does not see
    Memory reserved ahead that the engine doesn't count; the allocator's overhead.

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

MIN_EXCESS = 1.25
"""Bytes held over bytes by the formula."""
ROLES = ("target", "draft")


class CacheHoldsTooMuch(Rule):
    """A median of a ratio that should be 1."""

    family: ClassVar[Family] = "cost"
    stage: ClassVar[Stage] = Stage.COST
    statistical: ClassVar[bool] = False

    def judge(self, evidence: Evidence) -> Outcome:
        """Compare the bytes of both caches with the formula."""
        seen = {role: _excess(evidence, role) for role in ROLES}
        known = {role: each for role, each in seen.items() if len(each)}
        if not known:
            raise MissingEvidence("no cache's bytes were recorded", "record with --backend native")
        medians = {role: float(np.median(each)) for role, each in known.items()}
        over = {role: median for role, median in medians.items() if median >= MIN_EXCESS}
        if not over:
            figures = ", ".join(f"{role} {median:.2f}" for role, median in medians.items())
            measured = f"seen {figures} over {max(map(len, known.values())):,} rounds"
            return Clear(detectable=f"{MIN_EXCESS} times the formula; {measured}")
        figures = " and ".join(f"the {role}'s {median:.2f}" for role, median in over.items())
        finding = Finding(
            message="the key-value caches take more memory than their tokens need: "
            f"{figures} times as much",
            measures=tuple(
                Measure(
                    name=f"{role} cache bytes / formula",
                    value=median,
                    n=len(known[role]),
                    counted="rounds",
                )
                for role, median in medians.items()
            ),
            remedy="allocate the cache once and write into it; size the draft's cache by the "
            "draft's own layers",
            confirm=("specprof run --context 4000",),
            suspects=("perf/kv-memory-growth",),
        )
        return Found(finding=finding)


def _excess(evidence: Evidence, role: str) -> Floats:
    """Return bytes held / bytes by the formula, [rounds that recorded both]."""
    facts = evidence.header.target if role == "target" else evidence.header.draft
    if facts is None or not facts.kv_bytes_per_token:
        return np.empty(0)
    rounds = evidence.rounds
    length, evicted, held = (
        np.asarray(getattr(rounds, f"{role}_{name}")) for name in ("length", "evicted", "kv_bytes")
    )
    tokens = length - np.nan_to_num(evicted)
    known = (tokens > 0) & ~np.isnan(held)
    return np.asarray(held[known] / (tokens[known] * facts.kv_bytes_per_token))
