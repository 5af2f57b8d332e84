"""Which findings leave consequences that other rules see: the sets that rules are explained by.

A set holds rules of earlier stages only, and only what the consequence follows from. Where a fault
may lie beside its cause, the rule is in no set: two faults are then two findings.
"""

from typing import Final

NO_NUMBERS: Final = frozenset({"logits-not-finite"})
"""Logits that are no numbers: they have no law, and whatever is chosen by them means nothing."""
WRONG_STATE: Final = frozenset({"cache-length-wrong", "target-state-drifts", "draft-state-drifts"})
"""A wrong state gives wrong laws. A wrong length is a wrong state."""
WRONG_STEP: Final = NO_NUMBERS | {"accept-rule-unfair", "draft-law-differs"}
"""An accept step that decides by a wrong law also leaves corrections that are not owed."""
WRONG_TEXT: Final = (
    WRONG_STEP
    | {"cache-length-wrong", "target-state-drifts", "final-law-differs", "residual-unsupported"}
    | {"accepted-not-committed", "emitted-count-broken", "output-not-greedy"}
)
"""What makes the committed text another than the target's."""
