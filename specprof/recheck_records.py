"""The parts of a recheck, in a capture: places and tokens recomputed without any cache."""

from typing import Annotated, Literal

import msgspec

from specprof import amounts


class ProcessedRows(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """How many rows of a model a loop decided by were not the model's raw logits."""

    model: Literal["target", "draft"]
    compared: amounts.Count
    """Rows beside which a recomputed row stood."""
    processed: amounts.Count
    """Rows that a mask, a filter, a penalty, a bias or a curve explains; rechecked as they are."""
    ruled_out: amounts.Count
    """Ids that may not come, in the row with most of them."""
    moved: amounts.Count
    """Ids that were moved one by one, in the row with most of them."""
    curved: amounts.Count
    """Rows whose logits were moved by one rising curve, such as a temperature."""
    misread: amounts.Count = 0
    """Rows that are the recomputed ones but for the declared temperature or processor: divided
    where the others are not, not divided where the others are, or not processed."""


class OtherInput(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A token that was fed in place of a round's last committed token: it explains a wrong row."""

    model: Literal["target", "draft"]
    round: amounts.Count
    """The burst's first round with a wrong row; the row is its first."""
    fed: Literal["last but one", "nothing", "last twice", "rejected draft"]
    """What was fed: the last token but one, no token, the last token twice, or the draft that the
    round before rejected."""
    gap: amounts.Share
    """Total variation between the row's law and the recomputed law."""
    left: amounts.Share
    """The same, where the recomputation is fed as `fed` says."""


class ShiftedRows(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """How many rows of the target were not their own place's, but a neighbour's."""

    offset: Annotated[int, msgspec.Meta(ge=-1, le=1)]
    """Where that neighbour lies: -1 is one token earlier, 1 one token later."""
    compared: amounts.Count
    """Rows that differ from their own place's, and stand beside a neighbour's."""
    equal: amounts.Count
    """Those that equal the neighbour's."""


class Rechecked(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The probabilities of one drafted token, recomputed from the bare token sequence."""

    round: amounts.Count
    index: amounts.Width
    """Draft index within the round, from 0."""
    target_prob: amounts.Share
    draft_prob: amounts.Share | None
    """None, and `overlap` too, if the drafter's law can't be recomputed."""
    overlap: amounts.Share | None
    margin: amounts.Nats
    """Gap between the target's two largest logits. If it is within rounding noise, a greedy flip is
    a tie."""
    target_gap: amounts.Share | None = None
    """Total variation between two softmaxes: of the target's raw logits that the run acted on, and
    of the recomputed raw logits. It is 0 but for rounding, at any temperature."""
    draft_gap: amounts.Share | None = None
    """Total variation between two softmaxes: of the draft's raw logits that the run acted on, and
    of the recomputed raw logits."""


class OtherLaws(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A drafted token of a chain under laws that an accept step may use in place of its own.

    None where such a law is the token's own, and where it is not known.
    """

    round: amounts.Count
    index: amounts.Width
    """Draft index within the round, from 0."""
    target_raw: amounts.Share | None = None
    """Target's probability of the token without temperature and truncation."""
    target_unfiltered: amounts.Share | None = None
    """Target's probability of the token after temperature, without truncation."""
    target_twice: amounts.Share | None = None
    """Target's probability of the token where the temperature is applied twice."""
    target_before: amounts.Share | None = None
    """Target's probability of the token in the row before its own."""
    target_after: amounts.Share | None = None
    """Target's probability of the token in the row after its own."""
    draft_soft: amounts.Share | None = None
    """Draft's probability of the token after temperature and truncation, where the law it is
    declared to be drawn from has all its mass on it."""
    draft_first: amounts.Share | None = None
    """Draft's probability of the token in the round's first step."""
    draft_before: amounts.Share | None = None
    """Draft's probability of the token in the step before its own."""
    draft_after: amounts.Share | None = None
    """Draft's probability of the token in the step after its own."""
    draft_last: amounts.Share | None = None
    """Draft's probability of the token in the round's last step."""


class Rescored(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The target's probability of a committed token, from one plain pass over the bare text."""

    round: amounts.Count
    slot: amounts.Slot
    """Index of the token among the round's emitted tokens, from 0."""
    target_prob: amounts.Share
    """Target's probability of the token, after temperature and truncation."""
    entropy: amounts.Nats
    """Entropy of the target's law here, after temperature and truncation, in nats."""
    spread: amounts.Variance
    """Variance of the log-probability of a token drawn from that law, in nats squared."""
    shortfall: amounts.Nats
    """Largest raw logit less this token's raw logit: 0 for the first choice."""
    target_gap: amounts.Share | None = None
    """As in `Rechecked`, for the row of logits by which the token was judged or drawn."""
    draft_nll: amounts.Nats | None = None
    """Negative log-likelihood of the token under the draft's raw law, in nats, from one plain pass;
    None without a draft."""
