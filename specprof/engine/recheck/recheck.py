"""The reference: a burst recomputed from the bare tokens, without any cache.

Deliberately plain and slow. It shares no cache code with the loop. If a wrong rollback, position or
mask changed the laws that the run acted on, they differ from the laws here (theory 3, T4).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from msgspec.structs import replace

from specprof.engine.heads.reference import HeadReference
from specprof.engine.observe.evidence import short
from specprof.engine.recheck.answers import draft_answers, plain_forward
from specprof.engine.recheck.compared import Compared, compare_rows
from specprof.engine.recheck.fed import explain_by_input
from specprof.engine.recheck.kept_logits import UsedLogits
from specprof.engine.recheck.other_laws import other_laws
from specprof.engine.recheck.places import Pair, Place, find_places, row_of
from specprof.engine.recheck.readings import Readings
from specprof.engine.recheck.shifted import find_shifted
from specprof.errors import UsageError
from specprof.extend import Acceptance, Law
from specprof.recheck_records import OtherInput, Rechecked, Rescored, ShiftedRows
from specprof.records import Recheck, Round

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
    pairs = [pair for pair in zip(rounds, used, strict=True) if _has_law(reference, pair[0])]
    some = find_places(pairs, first, committed)
    if not any(some):  # a broken loop may judge and commit nothing
        return Recheck(burst=rounds[0].burst, places=[])
    rows = plain_forward(reference.target, committed, first)  # [rows, vocab]
    known = rows.amax(-1).isfinite().tolist()  # [rows]
    places, emitted = ([each for each in kind if known[each.context - first]] for kind in some)
    unknown = sum(map(len, some)) - len(places) - len(emitted)
    found = Recheck(burst=rounds[0].burst, places=[], unknown=unknown)
    if not places and not emitted:
        return found
    return _fill(found, reference, (places, emitted), rows, pairs=pairs, committed=committed)


def _has_law(reference: Reference, played: Round) -> bool:
    """Return whether a round was decided by a law; one of no numbers is no evidence of it.

    A user's loop commits what its grammar leaves no choice of without asking the target.
    """
    forced = reference.readings is not None and not played.target_forwards
    return played.no_law is None and not forced


def _fill(
    found: Recheck,
    reference: Reference,
    some: tuple[Sequence[Place], Sequence[Place]],
    rows: torch.Tensor,
    *,
    pairs: Sequence[Pair],
    committed: Sequence[int],
) -> Recheck:
    """Return the recheck with its places and tokens, at least one; rows: [rows, vocab] clean."""
    places, emitted = some
    both, count, first = [*places, *emitted], len(places), len(committed) - len(rows) + 1
    target = rows[[each.context - first for each in both]]
    draft = draft_answers(reference.draft, committed, [each.line for each in both])
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
    explain = partial(_explain_by_input, reference, pairs, committed)
    inputs = [explain("target", [*zip(both, compared.gaps, strict=True)])]
    if judged is not None:
        drafts = _compare(reference, "draft", places, judged, committed)
        judged, gaps = drafts.rows, (gaps[0], drafts.gaps)
        summaries.append(drafts.summary)
        inputs.append(explain("draft", [*zip(places, drafts.gaps, strict=True)]))
    target, after = compared.rows, compared.gaps[count:]
    own = _recheck_places(reference, places, target[:count], judged, gaps) if count else []
    rest = target[count:], drawn, after
    return replace(
        found,
        places=own,
        emitted=_rescore_tokens(reference.law, emitted, *rest) if emitted else [],
        others=other_laws(reference.law, pairs, places, target[:count]),
        processed=[each for each in summaries if each is not None],
        other_inputs=[each for each in inputs if each is not None],
        shifted=_find_shifted(emitted, rows, first, after, list(committed)),
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
    return reference.process(model, plain_forward(module, text, first), texts)


def _compare(
    reference: Reference,
    model: Literal["target", "draft"],
    places: Sequence[Place],
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


def _find_shifted(
    emitted: Sequence[Place],
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


def _explain_by_input(
    reference: Reference,
    pairs: Sequence[Pair],
    committed: Sequence[int],
    model: Literal["target", "draft"],
    places: Sequence[tuple[Place, float | None]],
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
        target, draft = row_of(used, 0), row_of(used, 0, of_draft=True)
        place = Place(number, 0, (contexts[number], 0), 0, target, draft)
        answer = reference.process(model, plain_forward(module, text, len(text)), [text])
        return _compare(reference, model, [place], answer, text).gaps[0]

    rows = [(each.round, each.context - contexts[each.round], gap) for each, gap in places]
    return explain_by_input(model, rounds, committed, rows, compare)


def _no_gaps(count: int) -> list[float | None]:
    return [None] * count


def _recheck_places(
    reference: Reference,
    places: Sequence[Place],
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
    places: Sequence[Place],
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
    for number in _looked_up(reference, places):
        draft_probs[number] = 0.0
        draft_probs[number, places[number].token] = 1.0
    return draft_probs


def _looked_up(reference: Reference, places: Sequence[Place]) -> list[int]:
    """Return the places whose drafts a user's loop looked up, beside others that a model drew.

    Those came without a row of the draft.
    """
    without = [
        number
        for number, each in enumerate(places)
        if each.draft is None and each.target is not None
    ]
    drawn = any(each.draft is not None for each in places)
    return without if drawn and reference.readings is not None else []


def _rescore_tokens(
    law: Law,
    emitted: Sequence[Place],
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
