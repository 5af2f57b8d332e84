"""Judges evidence by every rule, and sums up the verdicts in one sentence.

Public: `diagnose(evidence)`, `findings_so_far(columns)` for a capture still being written, and the
types they return.
"""

from specprof.diagnosis.diagnose import Diagnosis, diagnose, findings_so_far
from specprof.diagnosis.verdict import Verdict

__all__ = ["Diagnosis", "Verdict", "diagnose", "findings_so_far"]
