"""What the two models made of each drafted token, from their raw logits alone.

Reads nothing the accept step computed but how many tokens it let pass: a faulty accept step must
not vouch for itself. Few operations, and one small tensor a round goes to the host: on a CPU every
operation here is a visible part of a small model's round.
"""

from dataclasses import dataclass

import torch

from specprof.engine.loop import Played
from specprof.extend import Acceptance, Law
from specprof.records import Drafted, Observed


@dataclass(frozen=True, slots=True)
class Sight:
    """What was observed of a round, on the host."""

    drafted: list[Observed]
    """One for every drafted token that was reached."""
    final_target_prob: float | None
    """Of the round's correction or bonus; None where the limit or a stop token cut it off."""
    final_draft_prob: float | None
    """Likewise, and None for a bonus, where the draft has no say."""


@torch.inference_mode()
def observe(played: Played, law: Law, acceptance: Acceptance) -> torch.Tensor:
    """Return the round's numbers still on the device, for `sight` to read.

    Greedy: [2K+1], the first choices of both models. Else [4K+2]: draft_prob, target_prob, overlap
    and twice draft_rank less one of each drafted token, then the final token's two probabilities.
    """
    if law.greedy:
        return _first_choices(played)
    depth, proposal = len(played.drafted), played.proposal
    if proposal.logits is None:
        target_probs = law.probs(played.target_logits)
        certain = torch.zeros_like(target_probs[:depth])  # all mass on the drafted token
        laws = torch.cat([certain.scatter_(1, proposal.tokens[:, None], 1.0), target_probs])
    else:
        laws = law.probs(torch.cat([proposal.logits, played.target_logits]))  # [2K+1, vocab]
    draft_probs, target_probs = laws[:depth], laws[depth : 2 * depth]
    own = laws[: 2 * depth].gather(1, proposal.tokens.repeat(2)[:, None])  # [2K, 1]
    place, final = played.accepted, played.emitted[-1]
    numbers = (
        own.flatten(),
        acceptance.owed(target_probs, draft_probs),
        (draft_probs - own[:depth]).sign_().mul_(draft_probs).sum(-1),
        laws[depth + place, final][None],
        laws[place, final][None],
    )
    return torch.cat(numbers)


def sight(played: Played, numbers: list[float], law: Law, acceptance: Acceptance) -> Sight:
    """Read what `observe` returned, once it is on the host."""
    depth, place, final = len(played.drafted), played.accepted, played.emitted[-1]
    rejected, reached = place < depth, played.drafted[: place + 1]
    if law.greedy:
        target, draft = numbers[: depth + 1], numbers[depth + 1 :]
        seen = [_agreement(*row) for row in zip(reached, target, draft, strict=False)]
        finals = float(target[place] == final), float(rejected and draft[place] == final)
        return Sight(seen, *_finals(played, *finals))
    columns = [numbers[start : start + len(reached)] for start in range(0, 4 * depth, depth or 1)]
    seen = [
        Observed(
            target_prob=short(target_prob),
            draft_prob=short(draft_prob),
            overlap=short(overlap),
            accept_owed=short(acceptance.owed_given(target_prob, draft_prob)),
            draft_rank=short((rank + 1) / 2),
        )
        for draft_prob, target_prob, overlap, rank in zip(*columns, strict=True)
    ]
    return Sight(seen, *_finals(played, short(numbers[-2]), short(numbers[-1])))


def drafted_tokens(played: Played, seen: Sight | None) -> list[Drafted]:
    """Make the round's drafted tokens, with what was observed of those that were reached."""
    accepted = played.accepted
    return [
        Drafted(
            token=token,
            parent=index - 1,
            reached=index <= accepted,
            accepted=index < accepted,
            seen=seen.drafted[index] if seen and index <= accepted else None,
        )
        for index, token in enumerate(played.drafted)
    ]


def short(value: float) -> float:
    """Five significant digits: enough for every test, half the bytes in the capture."""
    return float(f"{value:.5g}")


def _finals(played: Played, target: float, draft: float) -> tuple[float | None, float | None]:
    """Keep the final token's two probabilities where the round has one and they are of it."""
    if len(played.emitted) <= played.accepted:  # the limit, or a stop token, cut it off
        return None, None
    return target, draft if played.accepted < len(played.drafted) else None


def _first_choices(played: Played) -> torch.Tensor:
    """Return [2K+1]: the target's first choices, then the draft's; its token where it has none."""
    draft = played.proposal.logits
    best = played.proposal.tokens if draft is None else draft.argmax(-1)
    return torch.cat([played.target_logits.argmax(-1), best])


def _agreement(token: int, target_best: float, draft_best: float) -> Observed:
    """Observe one greedy place: every number is 0 or 1, and a one-hot law has no ranks."""
    owed = float(token == target_best)
    agree = float(target_best == draft_best)
    return Observed(owed, float(token == draft_best), agree, owed, None)
