"""The reference: a burst recomputed from the bare tokens, without any cache.

Deliberately plain and slow. It shares no cache code with the loop. If a wrong rollback, position or
mask changed the laws that the run acted on, they differ from the laws here (theory 3, T4).
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from msgspec.structs import replace

from specprof.engine.heads.reference import HeadReference, Line
from specprof.engine.observe.evidence import short
from specprof.engine.recheck.compared import Compared, compare_rows
from specprof.engine.recheck.kept_logits import UsedLogits
from specprof.engine.recheck.readings import Readings
from specprof.errors import UsageError
from specprof.extend import Acceptance, Law
from specprof.recheck_records import Rechecked, Rescored
from specprof.records import Observed, Recheck, Round

Processor = Callable[[list[int], torch.Tensor], Any]
"""Takes the ids before a row and the raw row [vocab]; returns the row that a loop decides by."""
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
    readings: Readings | None = None
    """How the rows of a user's own loop are read, which may have processed them before it decided
    by them; None: rows are raw."""

    processor: Processor | None = None
    """What a user's loop does to a raw row of the target before it decides by it."""
    draft_processor: Processor | None = None

    def process(
        self,
        model: Literal["target", "draft"],
        rows: torch.Tensor,
        texts: Iterable[Sequence[int]],
    ) -> torch.Tensor:
        """Return raw rows [n, vocab] as the loop's processor leaves them; texts: ids before each.

        Raises UsageError if it returns no row of the same length.
        """
        processor = self.processor if model == "target" else self.draft_processor
        if processor is None:
            return rows
        found = [
            torch.as_tensor(processor(list(text), row.clone())).float().cpu().reshape(-1)
            for row, text in zip(rows, texts, strict=True)
        ]
        short = next((row for row in found if len(row) != rows.shape[1]), None)
        if short is not None:
            title = f"the processor of the {model} returned {len(short):,} logits"
            raise UsageError(title, f"return a row of {rows.shape[1]:,}, as it is given")
        return torch.stack(found) if found else rows

    def dtype_of(self, model: Literal["target", "draft"]) -> torch.dtype:
        """Return what a model computes in."""
        module = self.target if model == "target" else self.draft
        return torch.bfloat16 if module is None else next(module.parameters()).dtype


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
    forward of each model over the `committed` tokens answers for every place. Two kinds
    of places are left out. One is a place in the burst's last round whose prefix the length limit
    cut off. The other is a younger sibling: it shares the eldest's row, but was judged by what the
    rejection of its elders left of both laws. Where little is left, rounding is a large part of it.

    `used` holds the raw logits that each round acted on; None if they weren't kept.
    """
    first, last = rounds[0].context, len(committed)
    pairs = [
        pair for pair in zip(rounds, used, strict=True) if pair[0].no_law is None
    ]  # a round that was decided by no numbers is no evidence of a law
    places = [
        each for pair in pairs for each in _drafted_places(*pair) if first <= each.context <= last
    ]
    emitted = [
        each for pair in pairs for each in _emitted_places(*pair) if first <= each.context <= last
    ]
    both = [*places, *emitted]
    if not both:  # a broken loop may judge and commit nothing
        return Recheck(burst=rounds[0].burst, places=[])
    rows = _plain_forward(reference.target, committed, first)  # [rows, vocab]
    known = rows.amax(-1).isfinite().tolist()  # [rows]
    places, emitted = (
        [each for each in some if known[each.context - first]] for some in (places, emitted)
    )
    unknown = len(both) - len(places) - len(emitted)
    both = [*places, *emitted]
    found = Recheck(burst=rounds[0].burst, places=[], unknown=unknown)
    if not both:
        return found
    target = rows[[each.context - first for each in both]]
    return _fill(found, reference, places, emitted, target, committed=committed)


def _fill(
    found: Recheck,
    reference: Reference,
    places: Sequence[_Place],
    emitted: Sequence[_Place],
    target: torch.Tensor,
    *,
    committed: Sequence[int],
) -> Recheck:
    """Return the recheck with its places and tokens, at least one; target: [both, vocab] clean."""
    both, count = [*places, *emitted], len(places)
    draft = _draft_answers(reference.draft, committed, [each.line for each in both])
    if draft is not None:
        shared = min(target.shape[-1], draft.shape[-1])  # one may be padded further
        target, draft = target[:, :shared], draft[:, :shared]
    raw, texts = target, [committed[: each.context] for each in both]
    target = reference.process("target", target, texts)
    if draft is not None:
        draft = reference.process("draft", draft, texts)
    judged, drawn = (None, None) if draft is None else (draft[:count], draft[count:])
    compared = _compare(reference, "target", both, target, committed, raw=raw)
    gaps = compared.gaps[:count], _no_gaps(count)
    summaries = [compared.summary]
    if judged is not None:
        drafts = _compare(reference, "draft", places, judged, committed)
        judged, gaps = drafts.rows, (gaps[0], drafts.gaps)
        summaries.append(drafts.summary)
    target = compared.rows
    own = _recheck_places(reference, places, target[:count], judged, gaps) if count else []
    rest = target[count:], drawn, compared.gaps[count:]
    return replace(
        found,
        places=own,
        emitted=_rescore_tokens(reference.law, emitted, *rest) if emitted else [],
        processed=[each for each in summaries if each is not None],
    )


def recompute(
    reference: Reference, model: Literal["target", "draft"], text: Sequence[int], count: int
) -> torch.Tensor | None:
    """Return a model's raw rows behind the last `count` prefixes of the text, [count, vocab].

    None if the model can't be asked.
    """
    module = reference.target if model == "target" else reference.draft
    if module is None or isinstance(module, HeadReference):
        return None
    first = len(text) - count + 1
    texts = [text[: first + place] for place in range(count)]
    return reference.process(model, _plain_forward(module, text, first), texts)


def _compare(
    reference: Reference,
    model: Literal["target", "draft"],
    places: Sequence[_Place],
    clean: torch.Tensor,
    committed: Sequence[int],
    *,
    raw: torch.Tensor | None = None,
) -> Compared:
    """Compare the rows of a model that were used with [places, vocab] recomputed ones.

    raw: [places, vocab], the recomputed ones before the loop's processor.
    """
    used = [each.target if model == "target" else each.draft for each in places]
    if reference.readings is None:
        return Compared(clean, _gaps(used, clean), None)
    reading = reference.readings.target if model == "target" else reference.readings.draft
    texts = [committed[: each.context] for each in places]
    dtype = reference.dtype_of(model)
    return compare_rows(model, used, clean, texts, dtype=dtype, reading=reading, raw=raw)


def _no_gaps(count: int) -> list[float | None]:
    return [None] * count


def _drafted_places(played: Round, used: UsedLogits | None) -> Iterator[_Place]:
    """Yield each reached drafted token that is no younger sibling."""
    levels = [-1]  # of the chain's end, then of each drafted token
    parents: set[int] = set()
    for index, one in enumerate(played.drafted):
        levels.append(levels[one.parent + 1] + 1)
        if one.reached and one.parent not in parents:
            line = played.context, levels[-1]
            target, draft = _row(used, one.parent + 1), _row(used, index, of_draft=True)
            yield _Place(played.index, index, line, one.token, target, draft, one.seen)
        parents.add(one.parent)


def _emitted_places(played: Round, used: UsedLogits | None) -> Iterator[_Place]:
    """Yield each committed token, with the row that it was judged or drawn by."""
    rows = [0, *(node + 1 for node, one in enumerate(played.drafted) if one.accepted)]
    for slot, token in enumerate(played.emitted):
        target = _row(used, rows[slot]) if slot < len(rows) else None  # a broken round emits more
        yield _Place(played.index, slot, (played.context + slot, 0), token, target)


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
        draft_probs = reference.law.of_draft.probs(draft_logits)
        choice = draft_probs.argmax(-1, keepdim=True)  # [places, 1]
    elif reference.certain:
        draft_probs, choice = None, torch.tensor([each.token for each in places])[:, None]
    else:
        return None
    if draft_probs is None or all(each.seen and each.seen.draft_prob == 1 for each in places):
        # A deterministic draft declares all mass on its choice.
        said = reference.readings is not None and not reference.law.greedy
        if said or reference.certain:  # a user's loop said that of each
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
