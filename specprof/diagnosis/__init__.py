"""From evidence to a verdict: every rule, one sentence.

Public: `diagnose(evidence)`, `findings_so_far(columns)` for a capture still being written, and the
types they return.
"""

from specprof.diagnosis.diagnose import Diagnosis, Verdict, diagnose, findings_so_far

__all__ = ["Diagnosis", "Verdict", "diagnose", "findings_so_far"]
