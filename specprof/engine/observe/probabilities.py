"""The numbers of many rounds at once, from both models' raw logits. All stays on the device.

Each function says how its numbers lie in the one flat tensor it returns: for one transfer.
"""

from collections.abc import Sequence
from itertools import accumulate

import torch

from specprof.engine.loop import PlayedRound
from specprof.engine.observe.judged import families, places, straight, turned_down
from specprof.engine.transfer import on_device
from specprof.engine.tree import sibling_law
from specprof.extend import Acceptance, Law

FINALS = 6
"""Numbers of a round's final token."""


def first_choices(rounds: Sequence[PlayedRound]) -> torch.Tensor:
    """Return [n] ids: the target's first choices of every round, then the draft's.

    Of a chain each has the rows of `judged_rows`, of a tree all. A deterministic draft's first
    choice is its token. All of `rounds` have a law to draft from, or none has.
    """
    counts = [judged_rows(one) for one in rounds]
    pairs = [*zip(rounds, counts, strict=True)]
    target = [one.target_logits[:rows] for one, (rows, _) in pairs]
    known = [(one.proposal.logits, drafted) for one, (_, drafted) in pairs]
    draft = [logits[:drafted] for logits, drafted in known if logits is not None]
    if not draft:
        tokens = [one.proposal.tokens[:drafted] for one, (_, drafted) in pairs]
        return torch.cat([torch.cat(target).argmax(-1), *tokens])
    if draft[0].shape[-1] == target[0].shape[-1]:
        return torch.cat([*target, *draft]).argmax(-1)
    return torch.cat([torch.cat(target).argmax(-1), torch.cat(draft).argmax(-1)])


def judged_rows(played: PlayedRound) -> tuple[int, int]:
    """Return how many first rows of the target's logits and of the draft's tell of a round."""
    count = len(played.drafted)
    if not straight(played):
        return count + 1, count
    return played.accepted + 1, min(played.accepted + 1, count)


def chains(rounds: Sequence[PlayedRound], law: Law, acceptance: Acceptance) -> torch.Tensor:
    """Return [columns * places + 6 * rounds], over the places of all rounds in order.

    Columns: draft_prob, target_prob, overlap, twice draft_rank less one and, where the rule has
    more to say of it, what is owed given the token. Then of the final tokens their two
    probabilities, the draft's only of corrections, and the four numbers of `_standing`. Rounds that
    end with a correction come first. All have a law to draft from, or none has.
    """
    device = rounds[0].target_logits.device
    counts = [len(places(one, joint=acceptance.joint)) for one in rounds]
    starts = list(accumulate(counts, initial=0))
    fallen = sum(one.accepted < len(one.drafted) for one in rounds)
    where = [starts[number] + one.accepted for number, one in enumerate(rounds[:fallen])]
    tokens = torch.cat([one.proposal.tokens[:n] for one, n in zip(rounds, counts, strict=True)])
    draft_probs, target_probs, after = _laws(rounds, counts, fallen, law, tokens)
    numbers = _numbers(target_probs, draft_probs, tokens, acceptance, counts)
    ends = on_device([*where, *(one.final for one in rounds)], device)
    turns, finals = ends[:fallen], ends[fallen:, None]  # [fallen], [rounds, 1]
    here, instead = target_probs[turns], draft_probs[turns]  # [fallen, vocab]
    due = torch.cat([acceptance.left(here, instead, tokens[turns]), after]) if fallen else after
    told = torch.cat([here, after]).gather(1, finals)[:, 0]
    drafts = told.new_zeros(len(rounds) - fallen)
    drafts = torch.cat([instead.gather(1, finals[:fallen])[:, 0], drafts])
    return torch.cat([*numbers, told, drafts, *_standing(due, finals)])


def tree(played: PlayedRound, law: Law, acceptance: Acceptance) -> torch.Tensor:
    """Return the same of one tree: every token that was reached is a place.

    Siblings are held in turn against the laws in force when each was judged, the eldest of all
    families first: what the fall of its elders left of the target's, and of the draft's where they
    are drawn without replacement. A deterministic draft's law has all mass on its token.
    """
    groups, proposal, device = families(played), played.proposal, played.target_logits.device
    tip = played.path[-1] if played.path else -1
    ends = [*(played.parents[family[0]] + 1 for family in groups), tip + 1]
    force = law.probs(played.target_logits[on_device(ends, device)])  # [families + 1, vocab]
    eldest = [family[0] for family in groups]
    fallen = turned_down(played)
    row = None if fallen is None else eldest.index(fallen)
    law_due, last = force[-1:], played.final
    final = law_due[:, last]
    drawn: torch.Tensor | None = None
    if proposal.draft_probs is not None and proposal.logits is not None:
        drawn = law.probs(proposal.logits[on_device(eldest, device)])  # [families, vocab]
    columns: list[list[torch.Tensor]] = []
    for rank in range(len(groups[0])):
        count = sum(len(family) > rank for family in groups)
        nodes = [node for family in groups[:count] for node in family[: rank + 1]]
        kin = proposal.tokens[on_device(nodes, device)].view(count, rank + 1)
        token, force = kin[:, rank], force[:count]
        if drawn is None:
            laws = torch.zeros_like(force).scatter_(1, token[:, None], 1.0)
        else:
            laws = sibling_law(drawn[:count], kin[:, :rank], token)
        columns.append(_numbers(force, laws, token, acceptance, [count]))
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
    standing = _standing(law_due, on_device([last], device)[:, None])
    return torch.cat([*parts, final, instead, *standing])


def _laws(
    rounds: Sequence[PlayedRound],
    counts: Sequence[int],
    fallen: int,
    law: Law,
    tokens: torch.Tensor,
) -> tuple[torch.Tensor, ...]:
    """Return [places, vocab] the draft's laws and the target's, and [rounds - fallen, vocab] after.

    `after` are the target's behind the last drafted tokens, where a bonus comes from.
    """
    pairs = [*zip(rounds, counts, strict=True)]
    target = [one.target_logits[:count] for one, count in pairs]
    target += [one.target_logits[-1:] for one in rounds[fallen:]]
    draft = [logits[:n] for one, n in pairs if (logits := one.proposal.logits) is not None]
    probs, places_in_all = law.probs(torch.cat([*draft, *target])), sum(counts)
    if draft:
        parts = probs.split_with_sizes([places_in_all, places_in_all, len(rounds) - fallen])
        return tuple(parts)
    found, after = probs.split_with_sizes([places_in_all, len(rounds) - fallen])
    certain = torch.zeros_like(found).scatter_(1, tokens[:, None], 1.0)
    return certain, found, after  # all mass on the drafted token


def _numbers(
    target_probs: torch.Tensor,
    draft_probs: torch.Tensor,
    tokens: torch.Tensor,
    rule: Acceptance,
    counts: Sequence[int],
) -> list[torch.Tensor]:
    """Return the columns [places] of `chains`, from [places, vocab] laws and [places] tokens.

    A rule that judges a round's drafts together is asked of each `counts` places by themselves.
    """
    own = draft_probs.gather(1, tokens[:, None])  # [places, 1]
    parts = [[target_probs], [draft_probs], [tokens]]
    if rule.joint:
        parts = [[*each.split_with_sizes([*counts])] for (each,) in parts]
    owed = [
        found for each in zip(*parts, strict=True) if (found := rule.owed_each(*each)) is not None
    ]
    return [
        own[:, 0],
        target_probs.gather(1, tokens[:, None])[:, 0],
        rule.owed(target_probs, draft_probs),
        _rank(draft_probs, own),
        *([torch.cat(owed)] if owed else []),
    ]


def _standing(due: torch.Tensor, tokens: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Return four [rounds] of final tokens [rounds, 1] in the weights [rounds, vocab] due to them.

    The mass of likelier tokens less that of unlikelier ones, that of lower ids, its own, and all.
    """
    own = due.gather(1, tokens)  # [rounds, 1]
    lower = torch.arange(due.shape[1], device=due.device) < tokens
    return _rank(due, own), (due * lower).sum(-1), own[:, 0], due.sum(-1)


def _rank(probs: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
    """Return [places] twice the rank of tokens of probability `own` [places, 1], less one."""
    return (probs - own).sign_().mul_(probs).sum(-1)
