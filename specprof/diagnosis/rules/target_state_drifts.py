"""The target's answers in the run differ from those it gives to the bare text.

Measures
    Total variation between the target's law at a rechecked place as the run had it and as one
    plain pass over the committed tokens has it, at any temperature (in captures without it: what
    the drafted token's probability lost). Which places are astray: after which outcome, at which
    rows of the verify pass, from which depth, growing with what.

Fires when
    Places farther apart than rounding takes them (0.0005 in float32, 0.1 in bfloat16, 0.03 at
    least where a cache is quantised) come oftener than in 0.2% of cases (5% in bfloat16), by an
    always-valid bet on each, at 0.1%.

Why this is a bug and not a mismatch
    The recheck feeds the same tokens to the same weights. What the draft is worth is not in it at
    all: only the run's own cache, positions and masks are. The text is no longer the target's.

Likely causes
    From a rejection on: rejected tokens kept, or a state that can't be rolled back. From a full
    window on: rows a rollback needs are overwritten, the mask is as wide as the window while the
    rows are more, or kept keys are not turned to their places. Throughout, and far off: a causal
    mask aligned to the first key. Throughout, and little off: an attention kernel meant for one
    row. In trees, after nodes with others before them: positions by list index, or siblings seen.

Confirm
    Decode the same prefix without a draft and recheck that: one token at a time, no rollback.

Does not see
    What is off by little and evenly, as rounding is: state-rounded. What run and recheck share: a
    wrong checkpoint, a wrong RoPE scaling. Places deeper than recheck_context;
    tree branches that were turned down.

Try it
    specprof drill target-keeps-rejected
"""

from typing import ClassVar

from specprof.analysis.evidence import Evidence
from specprof.analysis.localise import Pattern
from specprof.diagnosis.rules import _states
from specprof.extend import Rule
from specprof.findings import Family, Outcome, Stage

FAR = 0.3
"""A median gap of this much has lost the text; a kernel's error has not."""


class TargetStateDrifts(Rule):
    """A bet against a stated noise floor."""

    family: ClassVar[Family] = "bug"
    stage: ClassVar[Stage] = Stage.TARGET_STATE
    statistical: ClassVar[bool] = False

    def judge(self, evidence: Evidence) -> Outcome:
        """Compare the target's laws as used with the recheck."""
        return _states.judge(evidence, "target", _suspects)


def _suspects(evidence: Evidence, seen: Pattern) -> tuple[str, ...]:
    """Return the cases that leave this pattern with the lengths right, the likeliest first."""
    evicts = _states.windowed(evidence.settings, "target") or _own_window(evidence, seen)
    far, kernel = seen.size >= FAR, "num/multi-token-attention-path"
    # Wrong positions stay in the kept rows, and later answers are far off; a glimpse only stains.
    nodes = ("pos/tree-node-index-as-depth", "mask/tree-siblings-visible")
    leaves = (
        (seen.branched_only, nodes if far else nodes[::-1]),
        (evicts, _of_a_window(seen)),
        (seen.later_only or seen.begins_later, ("mask/verify-reads-stale-embeddings",)),
        (seen.onset == "rejection", ("kv/target-rejected-kept", "kv/recurrent-state-no-rollback")),
        (seen.onset == "any round" and far, ("kv/reset-instead-of-rollback",)),
        (seen.from_second, ("kv/prefix-hit-before-write",)),
        (far, ("mask/sdpa-causal-top-left",)),
        (evidence.settings.batch > 1, (kernel, "num/batch-cliff-stale-rows")),
        (True, (kernel,)),
    )
    return next(cases for holds, cases in leaves if holds)


def _own_window(evidence: Evidence, seen: Pattern) -> bool:
    facts = evidence.header.target
    return bool(facts and facts.window and (seen.since is None or seen.since[1] >= facts.window))


def _of_a_window(seen: Pattern) -> tuple[str, ...]:
    ring, mask, keys = (
        "kv/ring-cache-wrap-no-rollback",
        "kv/sliding-mask-size-mismatch",
        "pos/streaming-keys-not-reindexed",
    )
    if seen.onset in {"rejection", "any round"}:
        return ring, mask
    if seen.deepens or seen.size < FAR:
        return keys, mask
    return mask, keys
