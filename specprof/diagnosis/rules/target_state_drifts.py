"""The target's answers in the run differ from its answers to the bare text.

Measures
    Total variation between the target's law in the run and its law in one plain pass over the
    committed tokens, at each rechecked place and at any temperature (in captures without it: how
    much the drafted token's probability lost). Which places are wrong: after which outcome, at
    which rows of the verify pass, from which depth on, and what the gap grows with.

Fires when
    The two laws are farther apart than rounding moves them (0.0005 in float32, 0.1 in bfloat16, at
    least 0.03 where a cache is quantised) in more than 0.2% of places (5% in bfloat16), by an
    always-valid bet on each place, at 0.1%.

Why this is a bug and not a mismatch
    The recheck feeds the same tokens to the same weights. The draft's quality has no part in it:
    only the run's own cache, positions and masks have. The text is no longer the target's.

Likely causes
    From a round that drafted nothing on: the next round feeds another token than the last one.
    After a replay: a restored state that is not the one saved. In whole requests: rows of another
    request. From a rejection on: rejected tokens are kept, or the state can't be rolled back. From
    a full window on: rows that a rollback needs are overwritten, the mask is as wide as the window
    while there are more rows, or kept keys are not rotated to their new positions. Throughout, and
    far off: a causal mask aligned to the first key. Throughout, and little off: an attention kernel
    meant for one row. In trees, after nodes with others before them: positions by list index, or
    nodes that attend to their siblings. Where the rows are the target's own of one token before or
    after, the verify pass was sliced one row too early or too late, and the finding says so.

Confirm
    Decode the same prefix without a draft and recheck that: one token at a time, no rollback.

Does not see
    Small and even errors, as rounding makes them: state-rounded sees those. Errors that run and
    recheck share: a wrong checkpoint, a wrong RoPE scaling. Places deeper than recheck_context;
    rejected branches of a tree;
    in a user's recorded loop, ids that a mask, a penalty or another processor changed.

Try it
    specprof drill target-keeps-rejected
"""

from dataclasses import replace
from typing import ClassVar

from specprof.analysis.evidence import Evidence
from specprof.analysis.localise import Pattern
from specprof.analysis.outcomes import EVENTS_BEFORE, REJECTION
from specprof.analysis.row_shifts import Displaced, displaced_rows
from specprof.diagnosis.rules import _states
from specprof.diagnosis.rules._causes import NO_NUMBERS
from specprof.extend import Rule
from specprof.findings import Family, Finding, Found, Measure, Model, Outcome, Stage

_OF_A_REPLAY = ("kv/rollback-snapshot-shifted", "kv/recurrent-state-no-rollback")
MIN_FAR_GAP = 0.3
"""At this median gap the model sees another text; an inexact kernel leaves a smaller gap."""


class TargetStateDrifts(Rule):
    """A bet against a stated noise floor."""

    family: ClassVar[Family] = "bug"
    stage: ClassVar[Stage] = Stage.TARGET_STATE
    statistical: ClassVar[bool] = False
    explained_by: ClassVar[frozenset[str]] = NO_NUMBERS | {"cache-length-wrong"}
    rests_on: ClassVar[Model | None] = "target"

    def judge(self, evidence: Evidence) -> Outcome:
        """Compare the target's laws as used with the recheck."""
        outcome = _states.judge(evidence, "target", _suspects)
        displaced = evidence.ask(displaced_rows)
        if displaced is None or not isinstance(outcome, Found):
            return outcome
        return Found(finding=_say_displaced(outcome.finding, displaced))


def _say_displaced(finding: Finding, displaced: Displaced) -> Finding:
    """Return the finding for rows that are the target's own, of another place."""
    way, where = ("late", "later") if displaced.offset > 0 else ("early", "earlier")
    equal, compared = displaced.equal, displaced.compared
    share = Measure(
        name=f"rows of one token {where} per wrong row", value=equal / compared, n=compared
    )
    return replace(
        finding,
        message=f"verify rows are sliced one too {way}: {equal:,} of the {compared:,} wrong rows "
        f"that can be compared are the recomputed rows of one token {where}",
        measures=(share, *finding.measures),
        remedy="feed the last committed token and all drafts, and take row i of the verify pass "
        "for draft i",
        confirm=("specprof run --drafter none --temperature 0",),
        suspects=("verify/rows-off-by-one",),
    )


def _suspects(evidence: Evidence, seen: Pattern) -> tuple[str, ...]:
    """Return the cases that leave this pattern with the lengths right, the likeliest first."""
    evicts = _states.is_windowed(evidence.settings, "target") or _own_window(evidence, seen)
    far, kernel = seen.size >= MIN_FAR_GAP, "num/multi-token-attention-path"
    # Wrong positions stay in the kept rows, so later answers are far off. Attention to a sibling
    # only moves them a little.
    nodes = ("pos/tree-node-index-as-depth", "mask/tree-siblings-visible")
    leaves = (
        (_states.find_other_input(evidence, "target") is not None, ("kv/stale-token-fed",)),
        (seen.branched_only, nodes if far else nodes[::-1]),
        (evicts, _of_a_window(seen)),
        (seen.later_only or seen.begins_later, ("mask/verify-reads-stale-embeddings",)),
        (seen.onset == "rejection", ("kv/target-rejected-kept", "kv/recurrent-state-no-rollback")),
        (seen.onset == "idle", ("kv/stale-token-fed",)),
        (seen.onset in {"undone", "replay"}, _OF_A_REPLAY),
        (seen.wholes is not None, ("kv/request-reads-foreign-rows", "kv/prefix-hit-before-write")),
        (seen.onset == "any round" and far, ("kv/reset-instead-of-rollback",)),
        (seen.from_second, ("kv/prefix-hit-before-write",)),
        (far and seen.throughout, ("mask/sdpa-causal-top-left",)),
        (far and seen.where.event == EVENTS_BEFORE[REJECTION], ("kv/target-rejected-kept",)),
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
    if seen.deepens or seen.size < MIN_FAR_GAP:
        return keys, mask
    return mask, keys
