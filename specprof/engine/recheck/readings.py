"""How the rows of a user's loop are read: raw, or as its temperature and its filters left them.

Many loops keep the rows that their warpers return: divided by the temperature, and -inf outside of
top-k and top-p. Such rows are the recomputed ones but for a known factor, which no accident gives.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from specprof.engine.recheck.processed import (
    MAX_CLEAN_GAP,
    MIN_LOGIT,
    coarser,
    find_processing,
    max_rounding,
)
from specprof.engine.sampling import PairedLaw, ProcessedLaw
from specprof.extend import Law

MAX_UNLIKE_SHARE = 0.3
"""Of the mass that a filter rules out: on so much two computations of it may disagree."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How the rows of one model are read."""

    declared: ProcessedLaw
    """The temperature and the filters by which the loop makes its laws."""
    divided: bool = False
    """Whether the rows are divided by the temperature already."""
    filtered: bool = False
    """Whether ids beyond the filters are ruled out already: filters applied twice rule out more."""
    as_laws: bool = False
    """Whether the rows are logarithms of the loop's laws."""

    @property
    def law(self) -> ProcessedLaw:
        """The law to be made of restored rows."""
        if self.as_laws and not self.declared.greedy:
            return ProcessedLaw(1.0)
        return ProcessedLaw(self.declared.temperature) if self.filtered else self.declared

    def restore(self, rows: torch.Tensor) -> torch.Tensor:
        """Return rows [n, vocab] as they were before the loop divided them."""
        return rows * self.declared.temperature if self.divided else rows

    def cut(self, clean: torch.Tensor) -> torch.Tensor:
        """Return recomputed raw rows [n, vocab] of which `law` makes the declared laws."""
        if self.declared.greedy or not (self.as_laws or self.filtered):
            return clean.clone()
        probs = self.declared.probs(clean)
        return probs.log() if self.as_laws else clean.masked_fill(probs == 0, -torch.inf)

    def is_misread(
        self, row: torch.Tensor, clean: torch.Tensor, text: Sequence[int], rounding: float
    ) -> bool:
        """Return whether a restored row [vocab] is the clean one but for the temperature."""
        temperature = self.declared.temperature
        if self.as_laws or temperature in {0.0, 1.0}:
            return False
        factors = temperature, 1 / temperature
        return any(_is_plain(row * each, clean, text, rounding) for each in factors)

    def describe(self) -> str:
        """Say what was done to the rows; empty for raw rows."""
        done = [
            "divided by the temperature" if self.divided else "",
            "cut by the filters" if self.filtered else "",
        ]
        return " and ".join(each for each in done if each)


@dataclass(frozen=True, slots=True)
class Readings:
    """How the rows of both models are read."""

    target: Reading
    draft: Reading

    @property
    def draws(self) -> bool:
        """Whether drafts are drawn though the target decides by its first choice alone."""
        return self.target.declared.greedy and not self.draft.declared.greedy

    @property
    def law(self) -> Law:
        """The law to be made of restored rows."""
        target, draft = self.target.law, self.draft.law
        alike = vars(target) == vars(draft)
        return target if alike else PairedLaw(target, draft)


def find_reading(
    declared: ProcessedLaw,
    used: torch.Tensor,
    clean: torch.Tensor,
    texts: Sequence[Sequence[int]],
    *,
    dtype: torch.dtype,
    as_laws: bool,
) -> Reading | None:
    """Return how the used rows are read, by recomputed raw rows, [n, vocab] each; None: unknown.

    texts: the ids before each row. `dtype`: what the model computes in. `as_laws`: they were
    recorded as probabilities; those may have been made of raw logits all the same. Where some rows
    are divided and others are not, they are read as raw.
    """
    default = Reading(declared=declared, as_laws=as_laws)
    if declared.greedy:
        return default
    shared = min(used.shape[-1], clean.shape[-1])  # one may be padded further
    kind = coarser(used.dtype, dtype)
    own, other = used[:, :shared].float().cpu(), clean[:, :shared]
    cut = _is_cut(declared, own, other)
    if declared.temperature == 1:
        divided: bool | None = False if declared.filters else None
    else:
        fits = {_fit(declared, *each, kind) for each in zip(own, other, texts, strict=True)}
        divided = None if fits == {None} else fits <= {"divided", None}
    if as_laws:
        raw = divided is False and (declared.temperature != 1 or cut is False)
        return Reading(declared=declared) if raw else default if divided or cut else None
    if divided is None or (cut is None and declared.filters and not divided):
        return None
    ruled_out = bool((own <= MIN_LOGIT).any())
    filtered = declared.filters and (ruled_out if divided else bool(cut))
    return Reading(declared=declared, divided=divided, filtered=filtered)


def _fit(
    declared: ProcessedLaw,
    used: torch.Tensor,
    clean: torch.Tensor,
    text: Sequence[int],
    dtype: torch.dtype,
) -> str | None:
    """Return whether a row [vocab] is `raw` or `divided`; None: it fits both, or neither."""
    rounding = max_rounding(dtype, clean)
    fits = {
        "raw": _is_plain(used, clean, text, rounding, dtype),
        "divided": _is_plain(used * declared.temperature, clean, text, rounding, dtype),
    }
    found = [name for name, fit in fits.items() if fit]
    return found[0] if len(found) == 1 else None


def _is_plain(
    used: torch.Tensor,
    clean: torch.Tensor,
    text: Sequence[int],
    rounding: float,
    dtype: torch.dtype = torch.float32,
) -> bool:
    """Return whether a row [vocab] is the clean one but for masks and single ids that moved."""
    found = find_processing(used, clean, text, rounding)
    plain = found is not None and not found.curved and found.gap is not None
    return plain and found is not None and (found.gap or 0.0) <= MAX_CLEAN_GAP[dtype]


def _is_cut(declared: ProcessedLaw, used: torch.Tensor, clean: torch.Tensor) -> bool | None:
    """Return whether the rows, [n, vocab], leave just the ids that the filters leave.

    None: the filters rule nothing out in these rows.
    """
    free = used > MIN_LOGIT
    apart = (used - clean).masked_fill(~free, torch.nan).nanmedian(-1, keepdim=True).values
    before = torch.where(free, used - apart, clean)  # penalised, but not filtered yet
    support = declared.probs(before) > 0
    mass = ProcessedLaw(declared.temperature).probs(before)
    unlike, ruled_out = (mass * (support ^ free)).sum(-1), (mass * ~support).sum(-1)  # [n]
    telling = (~support).any(-1)
    agree = (unlike <= MAX_UNLIKE_SHARE * ruled_out)[telling]
    return bool(agree.all()) if len(agree) else None
