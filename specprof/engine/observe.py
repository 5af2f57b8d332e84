"""What the two models made of each drafted token, from their raw logits alone.

Reads nothing the accept step computed but how many tokens it let pass: a faulty accept step must
not vouch for itself. One small tensor a round goes to the host.
"""

import torch

from specprof.engine.loop import Played
from specprof.extend import Acceptance, Law
from specprof.records import Drafted, Observed


@torch.inference_mode()
def observe(played: Played, law: Law, acceptance: Acceptance) -> torch.Tensor:
    """Return [K+1, 5]: per drafted token the fields of Observed, in order.

    A greedy law has no rank: its column is -1. The last row holds, for the round's final token, the
    target's and the draft's probability; the draft's is -1 for a bonus, where it has no say.
    """
    depth = len(played.drafted)
    target_probs = law.probs(played.target_logits)  # [K+1, vocab]
    draft_probs = _draft_probs(played, law, target_probs)  # [K, vocab]
    tokens = played.proposal.tokens[:, None]
    target_prob = target_probs[:depth].gather(1, tokens).squeeze(1)
    draft_prob = draft_probs.gather(1, tokens).squeeze(1)
    overlap = acceptance.owed(target_probs[:depth], draft_probs)
    owed = acceptance.owed_given(target_prob, draft_prob)
    rank = torch.full_like(owed, -1) if law.greedy else _rank(draft_probs, draft_prob)
    rows = torch.stack([target_prob, draft_prob, overlap, owed, rank], 1)  # [K, 5]
    final, place = played.emitted[-1], played.accepted
    last = rows.new_zeros(1, 5)
    last[0, 0] = target_probs[place, final]
    last[0, 1] = draft_probs[place, final] if place < depth else -1.0
    return torch.cat([rows, last])


def drafted_tokens(played: Played, seen: list[list[float]] | None) -> list[Drafted]:
    """Make the round's drafted tokens, with what was observed of those that were reached."""
    return [
        Drafted(
            token=token,
            parent=index - 1,
            reached=index <= played.accepted,
            accepted=index < played.accepted,
            seen=_observed(seen[index]) if seen and index <= played.accepted else None,
        )
        for index, token in enumerate(played.drafted)
    ]


def short(value: float) -> float:
    """Five significant digits: enough for every test, half the bytes in the capture."""
    return float(f"{value:.5g}")


def _observed(row: list[float]) -> Observed:
    *seen, rank = map(short, row)
    return Observed(*seen, draft_rank=None if rank < 0 else rank)


def _rank(draft_probs: torch.Tensor, draft_prob: torch.Tensor) -> torch.Tensor:
    """Return [K] the mass of [K, vocab] laws on likelier tokens, and half that on equals."""
    own = draft_prob[:, None]
    return (draft_probs * (0.5 * ((draft_probs > own).float() + (draft_probs >= own)))).sum(-1)


def _draft_probs(played: Played, law: Law, target_probs: torch.Tensor) -> torch.Tensor:
    """Return [K, vocab] the draft's declared law: all mass on the token where it has no logits."""
    proposal = played.proposal
    if proposal.logits is not None:
        return law.probs(proposal.logits)
    nothing = torch.zeros_like(target_probs[: len(played.drafted)])
    return nothing.scatter_(1, proposal.tokens[:, None], 1.0)
