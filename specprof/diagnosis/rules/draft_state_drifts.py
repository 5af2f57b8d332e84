"""The draft's answers in the run differ from those it gives to the bare text.

Measures
    Total variation between the draft's law at a rechecked place as the run had it and as one plain
    pass over the committed tokens has it, at any temperature (in captures without it: what the
    drafted token's probability lost). Which places are astray: after which outcome, at which draft
    indices, from which depth or burst, growing with what.

Fires when
    Places farther apart than rounding takes them (0.0005 in float32, 0.1 in bfloat16, 0.03 at
    least where a cache is quantised) come oftener than in 0.2% of cases (5% in bfloat16), by an
    always-valid bet on each, at 0.1%.

Why this is a bug and not a mismatch
    The recheck feeds the same tokens to the same weights in one plain pass. However bad the draft,
    it is as bad there; a wrong cache, position or mask is only in the run. Text stays the target's
    own, so nothing but acceptance shows it.

Likely causes
    After rejections: rollback keeps or drops too much, or a snapshot still holds rejected rows.
    After all-accepted rounds: the last draft is never fed. At later indices only: a length is not
    renewed within the round. From the second burst on: the cache is not emptied in between. From
    the first round of long prompts: only the last chunk was prefilled. Throughout: positions.

Confirm
    Recheck a fresh, single-stop run: a drift that needs rounds to build up is a rollback.

Does not see
    What is off by little and evenly, as rounding is: state-rounded. What run and recheck share: a
    wrong checkpoint, a wrong RoPE scaling. Places deeper than recheck_context;
    younger siblings in a tree; drafters whose law nothing can say again.

Try it
    specprof drill draft-state
"""

from typing import ClassVar

import numpy as np

from specprof.analysis.evidence import Evidence
from specprof.analysis.localise import Pattern
from specprof.diagnosis.rules import _states
from specprof.extend import Rule
from specprof.findings import Family, Outcome, Stage


class DraftStateDrifts(Rule):
    """A bet against a stated noise floor."""

    family: ClassVar[Family] = "bug"
    stage: ClassVar[Stage] = Stage.DRAFT_STATE
    statistical: ClassVar[bool] = False

    def judge(self, evidence: Evidence) -> Outcome:
        """Compare the draft's laws as used with the recheck."""
        return _states.judge(evidence, "draft", _suspects)


def _suspects(evidence: Evidence, seen: Pattern) -> tuple[str, ...]:
    """Return the cases that leave this pattern with the lengths right, the likeliest first."""
    settings = evidence.settings
    stale, replayed = "kv/padded-drafter-seqlen-stale", "kv/graph-replay-stale-length"
    keys, mask = "pos/streaming-keys-not-reindexed", "kv/sliding-mask-size-mismatch"
    evicts = _states.windowed(settings, "draft") and seen.since is not None
    leaves = (
        (seen.one_sequence_clean, ("kv/index-map-stale-after-step0",)),
        (seen.later_only, (stale, replayed)),
        (seen.uneven_only, (replayed, stale)),
        (_unprimed(evidence, seen), ("kv/draft-not-primed-by-chunked-prefill",)),
        (seen.from_second, ("kv/draft-cache-leaks-across-requests",)),
        (evicts, (keys, mask)),
        (settings.drafter == "eagle", _of_a_head(seen)),
        (seen.onset == "rejection", _after_rejections(evidence, seen)),
        (seen.onset == "all-accepted", ("kv/draft-last-proposal-missing",)),
        (_states.cache(settings, "draft") == "quantised", ("kv/injected-rows-in-wrong-basis",)),
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
        return snapshot, under  # lengths are told, and a wrong one leads
    if seen.builds_up and seen.lasts:
        return ("kv/draft-rollback-over-trim",)
    return under, snapshot


def _unprimed(evidence: Evidence, seen: Pattern) -> bool:
    """Whether just the bursts are astray as they begin whose text is longer than a chunk."""
    if seen.onset != "at once" or seen.clean_until is None:
        return False
    starts = [one.context for one in evidence.columns.prefills]
    long = [start for start in starts if start > _states.CHUNK + 1]
    return bool(long) and seen.clean_until <= _states.CHUNK + 1 < seen.astray_from <= min(long)
