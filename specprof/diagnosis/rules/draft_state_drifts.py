"""The draft's answers in the run differ from its answers to the bare text.

Measures
    Total variation between the draft's law in the run and its law in one plain pass over the
    committed tokens, at each rechecked place and at any temperature (in captures without it: how
    much the drafted token's probability lost). Which places are wrong: after which outcome, at
    which draft indices, from which depth or burst on, and what the gap grows with.

Fires when
    The two laws are farther apart than rounding moves them (0.0005 in float32, 0.1 in bfloat16, at
    least 0.03 where a cache is quantised) in more than 0.2% of places (5% in bfloat16), by an
    always-valid bet on each place, at 0.1%.

Why this is a bug and not a mismatch
    The recheck feeds the same tokens to the same weights in one plain pass. A bad draft is as bad
    there; a wrong cache, position or mask exists in the run only. The text stays the target's own,
    so that only acceptance shows the bug.

Likely causes
    After rejections: rollback keeps or drops too much, or a snapshot still holds rejected rows.
    After all-accepted rounds: the last draft is never fed. At later indices only: a length is not
    renewed within the round. From the second burst on: the cache is not emptied in between. From
    the first round of long prompts: only the last chunk was prefilled. Throughout: positions.

Confirm
    Recheck a new run with a single stop: a gap that needs rounds to build up comes from rollback.

Does not see
    Small and even errors, as rounding makes them: state-rounded sees those. Errors that run and
    recheck share: a wrong checkpoint, a wrong RoPE scaling. Places deeper than recheck_context; in
    a tree, siblings after the first; drafters whose law can't be recomputed;
    in a user's recorded loop, ids that a mask, a penalty or another processor changed.

Try it
    specprof drill draft-state
"""

from typing import ClassVar

import numpy as np

from specprof.analysis.evidence import Evidence
from specprof.analysis.localise import Pattern
from specprof.diagnosis.rules import _states
from specprof.diagnosis.rules._causes import NO_NUMBERS
from specprof.extend import Rule
from specprof.findings import Family, Model, Outcome, Stage


class DraftStateDrifts(Rule):
    """A bet against a stated noise floor."""

    family: ClassVar[Family] = "bug"
    stage: ClassVar[Stage] = Stage.DRAFT_STATE
    statistical: ClassVar[bool] = False
    explained_by: ClassVar[frozenset[str]] = NO_NUMBERS | {"cache-length-wrong"}
    rests_on: ClassVar[Model | None] = "draft"

    def judge(self, evidence: Evidence) -> Outcome:
        """Compare the draft's laws as used with the recheck."""
        return _states.judge(evidence, "draft", _suspects)


def _suspects(evidence: Evidence, seen: Pattern) -> tuple[str, ...]:
    """Return the cases that leave this pattern with the lengths right, the likeliest first."""
    settings = evidence.settings
    stale, replayed = "kv/padded-drafter-seqlen-stale", "kv/graph-replay-stale-length"
    keys, mask = "pos/streaming-keys-not-reindexed", "kv/sliding-mask-size-mismatch"
    evicts = _states.is_windowed(settings, "draft") and seen.since is not None
    quantised = _states.cache_kind(settings, "draft") == "quantised"
    leaves = (
        (_states.find_other_input(evidence, "draft") is not None, ("kv/stale-token-fed",)),
        (seen.one_sequence_clean, ("kv/index-map-stale-after-step0",)),
        (seen.later_only, (stale, replayed)),
        (seen.uneven_only, (replayed, stale)),
        (_is_unprimed(evidence, seen), ("kv/draft-not-primed-by-chunked-prefill",)),
        (seen.from_second, ("kv/draft-cache-leaks-across-requests",)),
        (evicts, (keys, mask)),
        (settings.drafter == "eagle", _of_a_head(seen)),
        (seen.wholes is not None, ("kv/request-reads-foreign-rows",)),
        (seen.onset == "idle", ("kv/stale-token-fed",)),
        (seen.onset == "rejection", _after_rejections(evidence, seen)),
        (seen.onset == "all-accepted", ("kv/draft-last-proposal-missing",)),
        (quantised, ("kv/injected-rows-in-wrong-basis",)),
        (seen.onset == "any round", (replayed, stale)),
        (True, ("pos/draft-position-off-by-one",)),
    )
    return next(cases for holds, cases in leaves if holds)


def _of_a_head(seen: Pattern) -> tuple[str, ...]:
    if seen.onset == "rejection":
        return "kv/shared-snapshot-not-trimmed", "kv/draft-rollback-under-trim"
    if seen.onset == "at once":
        return ("eagle/input-shift-missing",)
    return ("kv/eagle-own-features-kept",)


def _after_rejections(evidence: Evidence, seen: Pattern) -> tuple[str, ...]:
    under, snapshot = "kv/draft-rollback-under-trim", "kv/shared-snapshot-not-trimmed"
    if not np.isnan(evidence.rounds.draft_length).all():
        return snapshot, under  # a wrong length would have been found by cache-length-wrong
    if seen.builds_up and seen.lasts:
        return ("kv/draft-rollback-over-trim",)
    return under, snapshot


def _is_unprimed(evidence: Evidence, seen: Pattern) -> bool:
    """Return whether the wrong bursts are those whose prompt is longer than a prefill chunk."""
    if seen.onset != "at once" or seen.clean_until is None:
        return False
    starts = [one.context for one in evidence.columns.prefills]
    one_chunk = _states.PREFILL_CHUNK_TOKENS + 1
    long = [start for start in starts if start > one_chunk]
    return bool(long) and seen.clean_until <= one_chunk < seen.astray_from <= min(long)
