"""The parts of a recheck, in a capture: places and tokens recomputed without any cache."""

from typing import Literal

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
    """Rows that are the recomputed ones but for the declared temperature: divided by it where the
    others are not, or not divided where the others are."""


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
