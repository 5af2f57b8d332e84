"""Judges results without rounds: what can't be, what can't be compared, what should be asked about.

Public: `diagnose_results(results)`, `checks()`.
"""

from specprof.published.judge.judge import checks, diagnose_results

__all__ = ["checks", "diagnose_results"]
