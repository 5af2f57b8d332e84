"""The reference: a burst's reached places recomputed from the bare tokens, without any cache.

Deliberately plain and slow. It shares no cache code with the loop, so whatever a wrong rollback,
position or mask did to the laws the run acted on shows as a difference from these (theory 3, T4).
"""

from collections.abc import Iterator, Sequence

import torch

from specprof.engine.observe import short
from specprof.extend import Acceptance, Law
from specprof.records import Drafted, Recheck, Rechecked, Round


def recheck(  # noqa: PLR0917 - two models, their text, their rounds, the two rules
    target: torch.nn.Module,
    draft: torch.nn.Module | None,
    committed: Sequence[int],
    rounds: Sequence[Round],
    law: Law,
    acceptance: Acceptance,
) -> Recheck:
    """Recompute the reached drafted tokens of `rounds`, one burst, from `committed` tokens.

    Without a `draft` model the drafted tokens are all there is of its law.

    A reached place's prefix is the committed text up to it: all it descends from was accepted. So
    one forward of each model over the text answers for every place at once. A place whose prefix
    the length limit cut off, in a burst's last round, is left out. So are younger siblings: they
    were judged by what the fall of their elders left of both laws, and where that is little,
    rounding is a large part of it.
    """
    places = [place for played in rounds for place in _places(played, len(committed))]
    first = rounds[0].context
    rows = torch.tensor([context - first for _, _, context, _ in places])
    tokens = torch.tensor([one.token for *_, one in places])[:, None]
    target_logits = _plain_forward(target, committed, first)[rows]  # [places, vocab]
    if draft is None:
        target_probs, choice = law.probs(target_logits), tokens
    else:
        draft_logits = _plain_forward(draft, committed, first)[rows]
        shared = min(target_logits.shape[-1], draft_logits.shape[-1])  # one may be padded further
        target_logits, draft_logits = target_logits[:, :shared], draft_logits[:, :shared]
        target_probs, draft_probs = law.probs(target_logits), law.probs(draft_logits)
        choice = draft_probs.argmax(-1, keepdim=True)  # [places, 1]
    if draft is None or all(one.seen and one.seen.draft_prob == 1 for *_, one in places):
        # A deterministic draft: what it declares is all mass on its choice.
        draft_probs = torch.zeros_like(target_probs).scatter_(1, choice, 1.0)
    best = target_logits.topk(2, -1).values
    columns = (
        target_probs.gather(1, tokens).squeeze(1),
        draft_probs.gather(1, tokens).squeeze(1),
        acceptance.owed(target_probs, draft_probs),
        best[:, 0] - best[:, 1],
    )
    numbers = torch.stack(columns, 1).tolist()
    found = [
        Rechecked(number, index, *map(short, row))
        for (number, index, _, _), row in zip(places, numbers, strict=True)
    ]
    return Recheck(burst=rounds[0].burst, places=found)


def _places(played: Round, committed: int) -> Iterator[tuple[int, int, int, Drafted]]:
    """Yield the round, index, prefix length and token of each place that can be recomputed."""
    levels = [-1]  # of the chain's end, then of each drafted token
    parents: set[int] = set()
    for index, one in enumerate(played.drafted):
        levels.append(levels[one.parent + 1] + 1)
        context = played.context + levels[-1]
        if one.reached and one.parent not in parents and context <= committed:
            yield played.index, index, context, one
        parents.add(one.parent)


@torch.inference_mode()
def _plain_forward(model: torch.nn.Module, committed: Sequence[int], first: int) -> torch.Tensor:
    """Return [places, vocab] float32 host logits; row i answers the first `first + i` tokens."""
    device = next(model.parameters()).device
    tokens = torch.tensor([list(committed)], device=device)
    keep = len(committed) - first + 1
    logits: torch.Tensor = model(tokens, use_cache=False, logits_to_keep=keep).logits[0]
    return logits.float().cpu()
