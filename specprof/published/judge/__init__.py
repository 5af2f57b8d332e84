"""Judges results without rounds: impossible, incomparable and suspicious numbers.

Public: `diagnose_results(results)`, `checks()`.
"""

from specprof.published.judge.judge import checks, diagnose_results

__all__ = ["checks", "diagnose_results"]
