"""The reference: a burst recomputed from the bare tokens, without any cache.

Deliberately plain and slow. It shares no cache code with the loop. If a wrong rollback, position or
mask changed the laws that the run acted on, they differ from the laws here (theory 3, T4).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch

from specprof.engine.heads.reference import HeadReference, Line
from specprof.engine.observe.evidence import short
from specprof.engine.recheck.fed import explain_by_input
from specprof.engine.recheck.kept_logits import UsedLogits
from specprof.engine.recheck.other_laws import other_laws
from specprof.engine.recheck.processed import Compared, compare_rows
from specprof.engine.recheck.shifted import find_shifted
from specprof.extend import Acceptance, Law
from specprof.recheck_records import OtherInput, Rechecked, Rescored, ShiftedRows
from specprof.records import Observed, Recheck, Round

MAX_NATS = 1e6
"""More than any law gives a token; an id outside a head's own vocabulary has more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """The models and rules that a burst is recomputed with."""

    target: torch.nn.Module
    draft: torch.nn.Module | None
    """None if the draft's law can't be recomputed."""
    certain: bool
    """Whether the draft has no model, and its law is certainty of the drafted token."""
    law: Law
    acceptance: Acceptance
    processors: bool = False
    """Whether rows may have been processed before the loop decided by them: a user's own loop."""
    as_laws: bool = False
    """Whether the rows kept are logarithms of laws, and `law` leaves them as they are."""


@dataclass(frozen=True, slots=True)
class _Place:
    """A row of the run's logits, and its place in the bare text."""

    round: int
    number: int
    """Draft index, or slot of an emitted token."""
    line: Line
    token: int
    target: torch.Tensor | None
    """[vocab] raw, as the run acted on it; None if it wasn't kept."""
    draft: torch.Tensor | None = None
    seen: Observed | None = None
    accepted: bool = False
    """Whether the token was drafted and accepted, so that the next row follows it too."""

    @property
    def context(self) -> int:
        """Tokens before it."""
        return sum(self.line)


def recheck(
    reference: Reference,
    committed: Sequence[int],
    rounds: Sequence[Round],
    used: Sequence[UsedLogits | None],
) -> Recheck:
    """Recompute the reached drafted tokens and the emitted tokens of `rounds`, which are one burst.

    The prefix of a reached place is committed text, because all its ancestors were accepted. So one
    forward of each model over the `committed` tokens answers for every place. Three kinds
    of places are left out. One is a place in the burst's last round whose prefix the length limit
    cut off. One is a place whose ancestors were accepted and never committed: a loop may undo a
    round. The last is a younger sibling: it shares the eldest's row, but was judged by what the
    rejection of its elders left of both laws. Where little is left, rounding is a large part of it.

    `used` holds the raw logits that each round acted on; None if they weren't kept.
    """
    first = rounds[0].context
    pairs = [*zip(rounds, used, strict=True)]
    places, emitted = _find_places(pairs, committed)
    both = [*places, *emitted]
    if not both:  # a broken loop may judge and commit nothing
        return Recheck(burst=rounds[0].burst, places=[])
    rows = _plain_forward(reference.target, committed, first)  # [rows, vocab]
    target = rows[[each.context - first for each in both]]
    draft = _draft_answers(reference.draft, committed, [each.line for each in both])
    if draft is not None:
        shared = min(target.shape[-1], draft.shape[-1])  # one may be padded further
        target, draft = target[:, :shared], draft[:, :shared]
    count = len(places)
    judged, drawn = (None, None) if draft is None else (draft[:count], draft[count:])
    compared = _compare(reference, "target", both, target, committed)
    gaps = compared.gaps[:count], _no_gaps(count)
    summaries = [compared.summary]
    explain = partial(_explain_by_input, reference, pairs, committed)
    other_inputs = [explain("target", [*zip(both, compared.gaps, strict=True)])]
    if judged is not None:
        drafts = _compare(reference, "draft", places, judged, committed)
        judged, gaps = drafts.rows, (gaps[0], drafts.gaps)
        summaries.append(drafts.summary)
        other_inputs.append(explain("draft", [*zip(places, drafts.gaps, strict=True)]))
    target = compared.rows
    return Recheck(
        burst=rounds[0].burst,
        places=_recheck_places(reference, places, target[:count], judged, gaps) if places else [],
        emitted=_rescore_tokens(
            reference.law, emitted, target[count:], drawn, compared.gaps[count:]
        )
        if emitted
        else [],
        others=other_laws(
            reference.law,
            rounds,
            used,
            [(each.round, each.number, each.token) for each in places],
            target[:count],
        ),
        processed=[each for each in summaries if each is not None],
        other_inputs=[each for each in other_inputs if each is not None],
        shifted=_find_shifted(emitted, rows, first, compared.gaps[count:], list(committed)),
    )


def _find_shifted(
    emitted: Sequence[_Place],
    rows: torch.Tensor,
    first: int,
    gaps: Sequence[float | None],
    committed: list[int],
) -> list[ShiftedRows]:
    """Compare the rows that gave emitted tokens with [rows, vocab] clean rows.

    The first clean row answers `first` committed tokens.
    """
    return find_shifted(
        [each.target for each in emitted],
        [each.context - first for each in emitted],
        rows,
        gaps,
        known=[
            each.accepted and committed[each.context : each.context + 1] == [each.token]
            for each in emitted
        ],
    )


def _compare(
    reference: Reference,
    model: Literal["target", "draft"],
    places: Sequence[_Place],
    clean: torch.Tensor,
    committed: Sequence[int],
) -> Compared:
    """Compare the rows of a model that were used with [places, vocab] recomputed ones."""
    used = [each.target if model == "target" else each.draft for each in places]
    if not reference.processors:
        return Compared(clean, _gaps(used, clean), None)
    module = reference.target if model == "target" else reference.draft
    dtype = torch.bfloat16 if module is None else next(module.parameters()).dtype
    texts = [committed[: each.context] for each in places]
    return compare_rows(model, used, clean, texts, dtype=dtype, as_laws=reference.as_laws)


def _find_places(
    pairs: Sequence[tuple[Round, UsedLogits | None]], committed: Sequence[int]
) -> tuple[list[_Place], list[_Place]]:
    """Return the reached drafted tokens and the emitted tokens that follow committed text."""
    first, last = pairs[0][0].context, len(committed)
    drafted = (each for pair in pairs for each in _drafted_places(*pair, committed))
    emitted = (each for pair in pairs for each in _emitted_places(*pair))
    within = [
        [each for each in some if first <= each.context <= last] for some in (drafted, emitted)
    ]
    return within[0], within[1]


def _explain_by_input(
    reference: Reference,
    pairs: Sequence[tuple[Round, UsedLogits | None]],
    committed: Sequence[int],
    model: Literal["target", "draft"],
    places: Sequence[tuple[_Place, float | None]],
) -> OtherInput | None:
    """Return the token whose feeding explains the first wrong row of a model.

    places: each with the gap of its row.
    """
    module = reference.target if model == "target" else reference.draft
    if module is None or isinstance(module, HeadReference):  # a head is fed features as well
        return None
    rounds, kept = [one for one, _ in pairs], {one.index: used for one, used in pairs}
    contexts = {one.index: one.context for one in rounds}

    def compare(number: int, text: Sequence[int]) -> float | None:
        used = kept[number]
        target, draft = _row(used, 0), _row(used, 0, of_draft=True)
        place = _Place(number, 0, (contexts[number], 0), 0, target, draft)
        answer = _plain_forward(module, text, len(text))
        return _compare(reference, model, [place], answer, text).gaps[0]

    rows = [(each.round, each.context - contexts[each.round], gap) for each, gap in places]
    return explain_by_input(model, rounds, committed, rows, compare)


def _no_gaps(count: int) -> list[float | None]:
    return [None] * count


def _drafted_places(
    played: Round, used: UsedLogits | None, committed: Sequence[int]
) -> Iterator[_Place]:
    """Yield each reached drafted token that is no younger sibling and follows committed text."""
    levels = [-1]  # of the chain's end, then of each drafted token
    in_text = [True]  # the same: whether the text holds it and its ancestors
    parents: set[int] = set()
    for index, one in enumerate(played.drafted):
        levels.append(levels[one.parent + 1] + 1)
        at, follows = played.context + levels[-1], in_text[one.parent + 1]
        in_text.append(follows and at < len(committed) and committed[at] == one.token)
        if follows and one.reached and one.parent not in parents:
            line = played.context, levels[-1]
            target, draft = _row(used, one.parent + 1), _row(used, index, of_draft=True)
            yield _Place(played.index, index, line, one.token, target, draft, one.seen)
        parents.add(one.parent)


def _emitted_places(played: Round, used: UsedLogits | None) -> Iterator[_Place]:
    """Yield each committed token, with the row that it was judged or drawn by."""
    rows = [0, *(node + 1 for node, one in enumerate(played.drafted) if one.accepted)]
    for slot, token in enumerate(played.emitted):
        target = _row(used, rows[slot]) if slot < len(rows) else None  # a broken round emits more
        line, accepted = (played.context + slot, 0), slot + 1 < len(rows)
        yield _Place(played.index, slot, line, token, target, accepted=accepted)


def _row(used: UsedLogits | None, number: int, *, of_draft: bool = False) -> torch.Tensor | None:
    """Return a row [vocab] of the logits that a round acted on; None if it wasn't kept."""
    if used is None:
        return None
    logits = used.draft if of_draft else used.target
    return logits[number] if logits is not None and number < logits.shape[0] else None


def _recheck_places(
    reference: Reference,
    places: Sequence[_Place],
    target_logits: torch.Tensor,
    draft_logits: torch.Tensor | None,
    gaps: tuple[Sequence[float | None], Sequence[float | None]],
) -> list[Rechecked]:
    """Return from [places, vocab] clean logits the numbers that `observe` read from used logits."""
    law, tokens = reference.law, torch.tensor([each.token for each in places])[:, None]
    target_probs = law.probs(target_logits)
    best = target_logits.topk(2, -1).values
    columns = [target_probs.gather(1, tokens)[:, 0], best[:, 0] - best[:, 1]]
    draft_probs = _declared_laws(reference, places, target_probs, draft_logits)
    if draft_probs is not None:
        owed = reference.acceptance.owed(target_probs, draft_probs)
        columns += [draft_probs.gather(1, tokens)[:, 0], owed]
    numbers = torch.stack(columns, 1)
    if draft_logits is not None:
        numbers[draft_logits.isnan().any(-1), 2:] = torch.nan
    return [
        Rechecked(
            round=place.round,
            index=place.number,
            target_prob=short(prob),
            draft_prob=_not_nan(drafted[0]) if drafted else None,
            overlap=_not_nan(drafted[1]) if drafted else None,
            margin=short(min(margin, MAX_NATS)),
            target_gap=target_gap,
            draft_gap=draft_gap,
        )
        for place, (prob, margin, *drafted), (target_gap, draft_gap) in zip(
            places, numbers.tolist(), zip(*gaps, strict=True), strict=True
        )
    ]


def _declared_laws(
    reference: Reference,
    places: Sequence[_Place],
    target_probs: torch.Tensor,
    draft_logits: torch.Tensor | None,
) -> torch.Tensor | None:
    """Return [places, vocab] the laws that the draft declares; None if they can't be recomputed."""
    if draft_logits is not None:
        draft_probs = reference.law.probs(draft_logits)
        choice = draft_probs.argmax(-1, keepdim=True)  # [places, 1]
    elif reference.certain:
        draft_probs, choice = None, torch.tensor([each.token for each in places])[:, None]
    else:
        return None
    if draft_probs is None or all(each.seen and each.seen.draft_prob == 1 for each in places):
        # A deterministic draft declares all mass on its choice.
        if reference.processors and not reference.law.greedy:  # a user's loop said that of each
            choice = torch.tensor([each.token for each in places])[:, None]
        draft_probs = torch.zeros_like(target_probs).scatter_(1, choice, 1.0)
    return draft_probs


def _rescore_tokens(
    law: Law,
    emitted: Sequence[_Place],
    target_logits: torch.Tensor,
    draft_logits: torch.Tensor | None,
    gaps: Sequence[float | None],
) -> list[Rescored]:
    """Return a `Rescored` for each emitted token, from [emitted, vocab] clean logits."""
    tokens = torch.tensor([each.token for each in emitted])[:, None]
    probs = law.probs(target_logits)
    surprise = -probs.clamp_min(torch.finfo(probs.dtype).tiny).log()
    entropy = (probs * surprise).sum(-1, keepdim=True)
    columns = (
        probs.gather(1, tokens),
        entropy,
        (probs * (surprise - entropy).square()).sum(-1, keepdim=True),
        target_logits.amax(-1, keepdim=True) - target_logits.gather(1, tokens),
    )
    nlls: list[float | None] = [None] * len(emitted)
    if draft_logits is not None:
        nats = -draft_logits.log_softmax(-1).gather(1, tokens)[:, 0]
        nlls = [_not_nan(each) if each < MAX_NATS else None for each in nats.tolist()]
    return [
        Rescored(
            round=place.round,
            slot=place.number,
            target_prob=short(prob),
            entropy=short(level),
            spread=short(spread),
            shortfall=short(min(shortfall, MAX_NATS)),
            target_gap=gap,
            draft_nll=nll,
        )
        for place, (prob, level, spread, shortfall), gap, nll in zip(
            emitted, torch.cat(columns, 1).tolist(), gaps, nlls, strict=True
        )
    ]


def _gaps(used: Sequence[torch.Tensor | None], clean: torch.Tensor | None) -> list[float | None]:
    """Return the total variation between each used row's raw law and that of its clean row.

    `clean` is [rows, vocab]. A row that wasn't kept has None.
    """
    found: list[float | None] = [None] * len(used)
    kept = [number for number, row in enumerate(used) if row is not None]
    if clean is None or not kept:
        return found
    rows = torch.stack([row for row in used if row is not None])  # [kept, vocab]
    shared = min(rows.shape[-1], clean.shape[-1])
    laws = rows[:, :shared].float().cpu().softmax(-1), clean[kept, :shared].softmax(-1)
    variations = (laws[0] - laws[1]).abs().sum(-1) / 2
    for number, gap in zip(kept, variations.tolist(), strict=True):
        found[number] = _not_nan(gap)
    return found


def _not_nan(value: float) -> float | None:
    """Return a number to be recorded, None for nan."""
    return None if value != value else short(value)  # noqa: PLR0124 - nan alone differs from itself


def _draft_answers(
    draft: torch.nn.Module | None, committed: Sequence[int], lines: Sequence[Line]
) -> torch.Tensor | None:
    """Return [lines, vocab] float32 host logits of the draft, nan where it has no answer."""
    if draft is None:
        return None
    if isinstance(draft, HeadReference):
        return draft.answers(committed, lines)
    first = min(start for start, _ in lines)
    return _plain_forward(draft, committed, first)[[sum(line) - first for line in lines]]


@torch.inference_mode()
def _plain_forward(model: torch.nn.Module, committed: Sequence[int], first: int) -> torch.Tensor:
    """Return [rows, vocab] float32 host logits; row i answers the first `first + i` tokens."""
    device = next(model.parameters()).device
    tokens = torch.tensor([list(committed)], device=device)
    keep = len(committed) - first + 1
    logits: torch.Tensor = model(tokens, use_cache=False, logits_to_keep=keep).logits[0]
    return logits.float().cpu()
