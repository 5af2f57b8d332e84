"""Finds the term that takes most of a round's time, and the case of the catalogue for it."""

from specprof.analysis.cost_model import Costs


def case_of_dearest_term(cost: Costs) -> str:
    """Return the case of the term that takes the most of a round beyond a plain step."""
    terms = {
        "perf/draft-cost-ratio": cost.depth * cost.draft_step_ns,
        "perf/verify-kernel-cliff": cost.verify_ns - cost.plain_step_ns,
        "perf/two-target-forwards": cost.extra_ns,
        "perf/host-sync-and-bookkeeping": cost.gap_ns + cost.accept_ns,
    }
    return max(terms, key=lambda case: terms[case])
