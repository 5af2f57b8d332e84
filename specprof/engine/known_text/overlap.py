"""Compute the acceptance owed to a draft over known text; both models read it without any cache.

Nothing is drawn or decoded, so two runs judge identical prefixes, and a changed setting is their
only difference (theory 7.4). The last places before each stop of the walk are judged; a forward
goes over all the text before them.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from specprof import registry
from specprof.engine.known_text.perplexity import surprise
from specprof.engine.observe.evidence import short
from specprof.engine.run import Run
from specprof.extend import Acceptance, Cache, Law
from specprof.plan import stops
from specprof.records import Overlaps
from specprof.settings import Settings

MAX_LOGIT_BYTES = 256 << 20
"""float32 logits of one model held at once: bounds the places a forward answers for."""
MAX_VIEW_TOKENS = 16_384
"""Tokens of short views fed in one forward."""


@dataclass(frozen=True, slots=True)
class Reader:
    """The two models, and the law and the acceptance rule that places are judged by."""

    target: torch.nn.Module
    draft: torch.nn.Module
    law: Law
    acceptance: Acceptance
    settings: Settings


def overlaps(run: Run, origin_ns: int) -> Iterator[Overlaps]:
    """Judge the places before each stop; times count from `origin_ns` on the host's clock.

    Stretches that share their forwards get equal shares of the time.
    """
    settings, tokens = run.settings, run.tokens
    kept = registry.get(Cache, settings.cache)(settings)
    draft = run.loop.drafter.plain
    assert draft is not None  # noqa: S101 - `limits` refuses drafters without a plain forward
    reader = Reader(
        kept.plain(run.target.model), draft, run.loop.parts.law, run.loop.acceptance, settings
    )
    at_once = 1 if settings.gap else MAX_LOGIT_BYTES // (4 * run.target.facts.vocabulary)
    for group in _groups(stretches(settings), at_once):
        started = time.perf_counter_ns()
        found = [columns.tolist() for columns in judge_places(reader, tokens, group)]
        spent = (time.perf_counter_ns() - started) // len(group)
        for number, stretch in enumerate(group):
            before = sum(len(each) for each in group[:number])
            rows = slice(before, before + len(stretch))
            overlap, agree, target_nll, draft_nll = ([*each[rows]] for each in found)
            yield Overlaps(
                context=stretch.start,
                overlap=[short(each) for each in overlap],
                agree=[int(each) for each in agree],
                target_nll=[short(each) for each in target_nll],
                draft_nll=[short(each) for each in draft_nll],
                start_ns=started - origin_ns + number * spent,
                wall_ns=spent,
            )


def stretches(settings: Settings) -> list[range]:
    """Return the places before each stop, as numbers of tokens: none twice, no range empty."""
    found, last = list[range](), settings.context - settings.shift
    for stop in stops(settings):
        start = max(found[-1].stop if found else 1, stop - settings.max_new_tokens)
        found.append(range(start, max(start, min(stop, last))))
    return [each for each in found if each]


def judge_places(
    reader: Reader, tokens: Sequence[int], group: Sequence[range]
) -> tuple[torch.Tensor, ...]:
    """Return [places] overlap, agreement, and the target's and the draft's nats of the next token.

    The places are those of `group`, in order; a place is the number of `tokens` before it.
    """
    contexts = torch.tensor([context for each in group for context in each])
    there = contexts + reader.settings.shift
    target = target_logits(reader, tokens, there)
    draft = draft_logits(reader, tokens, contexts)
    shared = min(target.shape[-1], draft.shape[-1])  # one may be padded further
    target, draft = target[:, :shared], draft[:, :shared]
    target_probs, draft_probs = reader.law.probs(target), reader.law.probs(draft)
    text = torch.tensor(tokens, device=target.device)
    return (
        reader.acceptance.owed(target_probs, draft_probs),
        target.argmax(-1) == draft.argmax(-1),
        surprise(target, text[there.to(text.device)]),
        surprise(draft, text[contexts.to(text.device)]),
    )


def target_logits(reader: Reader, tokens: Sequence[int], contexts: torch.Tensor) -> torch.Tensor:
    """Return [places, vocab] float32: the target's answers after each number of tokens."""
    end = int(contexts.max())
    positions = torch.arange(end) + reader.settings.offset
    return _forward(reader.target, tokens[:end], positions, contexts - 1)


def draft_logits(reader: Reader, tokens: Sequence[int], contexts: torch.Tensor) -> torch.Tensor:
    """Return [places, vocab] float32: the draft's answers, by the view and positions asked for."""
    settings, end = reader.settings, int(contexts.max())
    positions = torch.arange(end) + settings.offset
    if settings.view is None or settings.gap:
        if settings.view is not None:
            positions[max(0, int(contexts.min()) - settings.view) :] += settings.gap
        return _forward(reader.draft, tokens[:end], positions, contexts - 1)
    whole = contexts[contexts <= settings.view]  # these see all the text
    parts = [_forward(reader.draft, tokens[: settings.view], positions[: settings.view], whole - 1)]
    windows = torch.tensor(tokens).unfold(0, settings.view, 1)  # [n - view + 1, view]
    for rows in torch.split(
        contexts[contexts > settings.view], max(1, MAX_VIEW_TOKENS // settings.view)
    ):
        views = windows[rows - settings.view]
        last = torch.tensor([settings.view - 1])
        parts.append(_answers(reader.draft, views, positions[: settings.view], last)[:, 0])
    return torch.cat(parts)


def _forward(
    model: torch.nn.Module, tokens: Sequence[int], positions: torch.Tensor, rows: torch.Tensor
) -> torch.Tensor:
    """Return [rows, vocab] answers of one forward over [n] tokens at [n] positions."""
    return _answers(model, torch.tensor([list(tokens)]), positions[: len(tokens)], rows)[0]


@torch.inference_mode()
def _answers(
    model: torch.nn.Module, tokens: torch.Tensor, positions: torch.Tensor, rows: torch.Tensor
) -> torch.Tensor:
    """Return [texts, rows, vocab] float32 answers to [texts, n] tokens, at [rows] of each text.

    The mask of ones marks each row as a single text. Without it transformers takes a jump of
    positions for the border of two packed texts, and lets neither see the other.
    """
    device = next(model.parameters()).device
    tokens = tokens.to(device)
    logits: torch.Tensor = model(
        tokens,
        position_ids=positions.to(device).expand(tokens.shape),
        attention_mask=torch.ones_like(tokens),
        use_cache=False,
        logits_to_keep=rows.to(device),
    ).logits
    return logits.float()


def _groups(stretches: Sequence[range], places: int) -> Iterator[list[range]]:
    """Yield groups of neighbouring stretches: at most `places` together, or one larger stretch."""
    group, held = list[range](), 0
    for each in stretches:
        if group and held + len(each) > places:
            yield group
            group, held = [], 0
        group.append(each)
        held += len(each)
    if group:
        yield group
