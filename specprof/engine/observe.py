"""What the two models made of each drafted token, from their raw logits alone.

Reads nothing the accept step computed but which tokens it let pass: a faulty accept step must not
vouch for itself. Few operations, and one small tensor a round goes to the host: on a CPU every
operation here is a visible part of a small model's round.
"""

from dataclasses import dataclass

import torch

from specprof.engine.loop import Played
from specprof.engine.transfer import on_device
from specprof.engine.tree import sibling_law
from specprof.extend import Acceptance, Law
from specprof.records import Drafted, Observed


@dataclass(frozen=True, slots=True)
class Sight:
    """What was observed of a round, on the host."""

    drafted: list[Observed]
    """One for every drafted token that was reached, in order."""
    final_target_prob: float | None
    """Of the round's correction or bonus; None where the limit or a stop token cut it off."""
    final_draft_prob: float | None
    """Likewise, and None for a bonus, where the draft has no say."""
    final_rank: float | None = None
    """Where it lies in the law it is due to be drawn from, by likelihood (`Round.final_rank`)."""
    final_order: float | None = None
    """The same by id."""


def reached(played: Played) -> list[int]:
    """Return the drafted tokens that were judged: ancestors accepted, no elder sibling was."""
    ends, passed, found = {-1, *played.path}, set[int](), []
    for node, parent in enumerate(played.parents):
        if parent in ends and parent not in passed:
            found.append(node)
        if node in ends:
            passed.add(parent)
    return found


@torch.inference_mode()
def observe(played: Played, law: Law, acceptance: Acceptance) -> torch.Tensor:
    """Return the round's numbers still on the device, for `sight` to read.

    Greedy: [2N+1], the first choices of both models. Else columns [places] over the places that
    `_places` tells: draft_prob, target_prob, overlap, twice draft_rank less one and, where the rule
    has more to say of it, what is owed given the token; then of the final token its two
    probabilities, and the four numbers of `_standing`.
    """
    if law.greedy:
        return _first_choices(played)
    if played.proposal.parents is None:
        return _chain(played, law, acceptance)
    return _tree(played, law, acceptance)


def sight(played: Played, numbers: list[float], law: Law, acceptance: Acceptance) -> Sight:
    """Read what `observe` returned, once it is on the host."""
    if law.greedy:
        return _agreement(played, numbers)
    places, judged = _places(played), reached(played)
    wanted, seen = set(judged), dict[int, Observed]()
    *numbers, target, draft, likelier, lower, own, mass = numbers
    starts = range(0, len(numbers), len(places) or 1)
    columns = [numbers[start : start + len(places)] for start in starts]
    for node, draft_prob, target_prob, overlap, rank, *owed in zip(places, *columns, strict=True):
        if node in wanted:
            each = owed[0] if owed else acceptance.owed_given(target_prob, draft_prob)
            known = (target_prob, draft_prob, overlap, each, (rank + 1) / 2)
            seen[node] = Observed(*map(short, known))
    told = [seen[node] for node in judged]
    finals = _finals(played, short(target), short(draft))
    due = acceptance.lossless and not (acceptance.joint and _turned_down(played) is not None)
    if finals[0] is None or not due or not mass:
        return Sight(told, *finals)
    return Sight(told, *finals, short((likelier / mass + 1) / 2), short((lower + own / 2) / mass))


def drafted_tokens(played: Played, seen: Sight | None) -> list[Drafted]:
    """Make the round's drafted tokens, with what was observed of those that were reached."""
    path, judged = set(played.path), reached(played)
    observed = dict(zip(judged, seen.drafted, strict=True)) if seen else {}
    reach = set(judged)
    return [
        Drafted(
            token=token,
            parent=parent,
            reached=node in reach,
            accepted=node in path,
            seen=observed.get(node),
        )
        for node, (token, parent) in enumerate(zip(played.drafted, played.parents, strict=True))
    ]


def short(value: float) -> float:
    """Five significant digits: enough for every test, half the bytes in the capture."""
    return float(f"{value:.5g}")


def _chain(played: Played, law: Law, acceptance: Acceptance) -> torch.Tensor:
    """Return [4K+6], or [5K+6], of a chain: every drafted token is a place."""
    depth, proposal = len(played.drafted), played.proposal
    if proposal.logits is None:
        target_probs = law.probs(played.target_logits)
        certain = torch.zeros_like(target_probs[:depth])  # all mass on the drafted token
        laws = torch.cat([certain.scatter_(1, proposal.tokens[:, None], 1.0), target_probs])
    else:
        laws = law.probs(torch.cat([proposal.logits, played.target_logits]))  # [2K+1, vocab]
    draft_probs, target_probs = laws[:depth], laws[depth : 2 * depth]
    own = laws[: 2 * depth].gather(1, proposal.tokens.repeat(2)[:, None])  # [2K, 1]
    place, final = played.accepted, played.final
    owed = acceptance.owed_each(target_probs, draft_probs, proposal.tokens)
    law_due = laws[depth + place][None]
    if place < depth:
        here = slice(place, place + 1)
        law_due = acceptance.left(target_probs[here], draft_probs[here], proposal.tokens[here])
    numbers = (
        own.flatten(),
        acceptance.owed(target_probs, draft_probs),
        _rank(draft_probs, own[:depth]),
        *(() if owed is None else (owed,)),
        laws[depth + place, final][None],
        laws[place, final][None],
        *_standing(law_due, final),
    )
    return torch.cat(numbers)


def _tree(played: Played, law: Law, acceptance: Acceptance) -> torch.Tensor:
    """Return the same of a tree: every token that was reached is a place.

    Siblings are held in turn against the laws in force when each was judged, the eldest of all
    families first: what the fall of its elders left of the target's, and of the draft's where they
    are drawn without replacement. A deterministic draft's law has all mass on its token.
    """
    families, proposal, device = _families(played), played.proposal, played.target_logits.device
    tip = played.path[-1] if played.path else -1
    ends = [*(played.parents[family[0]] + 1 for family in families), tip + 1]
    force = law.probs(played.target_logits[on_device(ends, device)])  # [families + 1, vocab]
    eldest = [family[0] for family in families]
    fallen = _turned_down(played)
    row = None if fallen is None else eldest.index(fallen)
    law_due, last = force[-1:], played.final
    final = law_due[:, last]
    drawn: torch.Tensor | None = None
    if proposal.draft_probs is not None and proposal.logits is not None:
        drawn = law.probs(proposal.logits[on_device(eldest, device)])  # [families, vocab]
    columns: list[list[torch.Tensor]] = []
    for rank in range(len(families[0])):
        count = sum(len(family) > rank for family in families)
        nodes = [node for family in families[:count] for node in family[: rank + 1]]
        kin = proposal.tokens[on_device(nodes, device)].view(count, rank + 1)
        token, force = kin[:, rank], force[:count]
        if drawn is None:
            laws = torch.zeros_like(force).scatter_(1, token[:, None], 1.0)
        else:
            laws = sibling_law(drawn[:count], kin[:, :rank], token)
        columns.append(_numbers(force, laws, token, acceptance))
        left = acceptance.left(force, laws, token)
        mass = left.sum(-1, keepdim=True)
        force = torch.where(mass > 0, left / mass, force)
        if row is not None and row < count:
            law_due = force[row : row + 1]
    parts = [part for parts in zip(*columns, strict=True) for part in parts]
    if row is None:
        instead = final.new_zeros(1)
    elif drawn is None:
        instead = (proposal.tokens[fallen] == last)[None].to(final.dtype)
    else:
        instead = drawn[row, last][None]
    return torch.cat([*parts, final, instead, *_standing(law_due, last)])


def _standing(due: torch.Tensor, token: int) -> tuple[torch.Tensor, ...]:
    """Return four [1] of the final token in the weights [1, vocab] it is due to be drawn by.

    The mass of likelier tokens less that of unlikelier ones, that of lower ids, its own, and all.
    """
    own = due[:, token : token + 1]  # [1, 1]
    return _rank(due, own), due[:, :token].sum(-1), own[0], due.sum(-1)


def _numbers(
    target_probs: torch.Tensor, draft_probs: torch.Tensor, tokens: torch.Tensor, rule: Acceptance
) -> list[torch.Tensor]:
    """Return the columns [places] of `observe`, from [places, vocab] laws and [places] tokens."""
    own = draft_probs.gather(1, tokens[:, None])  # [places, 1]
    owed = rule.owed_each(target_probs, draft_probs, tokens)
    return [
        own[:, 0],
        target_probs.gather(1, tokens[:, None])[:, 0],
        rule.owed(target_probs, draft_probs),
        _rank(draft_probs, own),
        *([] if owed is None else [owed]),
    ]


def _rank(draft_probs: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
    """Return [places] twice the rank of tokens of probability `own` [places, 1], less one."""
    return (draft_probs - own).sign_().mul_(draft_probs).sum(-1)


def _families(played: Played) -> list[list[int]]:
    """Return the reached tokens by the one they follow, the eldest first, the largest first."""
    families: dict[int, list[int]] = {}
    for node in reached(played):
        families.setdefault(played.parents[node], []).append(node)
    return sorted(families.values(), key=len, reverse=True)


def _places(played: Played) -> list[int]:
    """Return the drafted tokens in the order of the columns of `observe`."""
    if played.proposal.parents is None:
        return list(range(len(played.drafted)))
    families = _families(played)
    ranks = range(len(families[0]))
    return [family[rank] for rank in ranks for family in families if len(family) > rank]


def _turned_down(played: Played) -> int | None:
    """Return the eldest drafted token in whose place the correction came; None for a bonus."""
    tip = played.path[-1] if played.path else -1
    return next((node for node, parent in enumerate(played.parents) if parent == tip), None)


def _finals(played: Played, target: float, draft: float) -> tuple[float | None, float | None]:
    """Keep the final token's two probabilities where the round has one and they are of it."""
    if len(played.emitted) <= played.accepted:  # the limit, or a stop token, cut it off
        return None, None
    return target, None if _turned_down(played) is None else draft


def _first_choices(played: Played) -> torch.Tensor:
    """Return [2N+1]: the target's first choices, then the draft's; its token where it has none."""
    draft = played.proposal.logits
    best = played.proposal.tokens if draft is None else draft.argmax(-1)
    return torch.cat([played.target_logits.argmax(-1), best])


def _agreement(played: Played, numbers: list[float]) -> Sight:
    """Read a greedy round: every number is 0 or 1, and a one-hot law has no ranks.

    A chain's token is held against the draft's own first choice; of siblings each is taken as the
    choice it was: all but the first differ from it by design.
    """
    count, final = len(played.drafted), played.final
    target, draft = numbers[: count + 1], numbers[count + 1 :]
    seen = []
    for node in reached(played):
        token, best = played.drafted[node], target[played.parents[node] + 1]
        own = draft[node] if played.proposal.parents is None else token
        owed = float(token == best)
        seen.append(Observed(owed, float(token == own), float(best == own), owed, None))
    tip = played.path[-1] if played.path else -1
    fallen = _turned_down(played)
    instead = 0.0 if fallen is None else float(draft[fallen] == final)
    return Sight(seen, *_finals(played, float(target[tip + 1] == final), instead))
