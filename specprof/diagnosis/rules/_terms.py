"""Which case of the catalogue the dearest term of a round is."""

from specprof.analysis.cost_model import Costs


def dearest(cost: Costs) -> str:
    """Return the case of the term that takes the most of a round beyond a plain step."""
    terms = {
        "perf/draft-cost-ratio": cost.depth * cost.draft_step_ns,
        "perf/verify-kernel-cliff": cost.verify_ns - cost.plain_step_ns,
        "perf/two-target-forwards": cost.extra_ns,
        "perf/host-sync-and-bookkeeping": cost.gap_ns + cost.accept_ns,
    }
    return max(terms, key=lambda case: terms[case])
