"""What the two models made of each drafted token, from their raw logits alone.

Reads nothing the accept step computed but which tokens it let pass: a faulty accept step must not
vouch for itself. Many rounds are observed at once, and one small tensor of all of them goes to the
host: on a CPU every operation here is a visible part of a small model's round, on a device every
launch. What is said of a round is the same whatever rounds it is observed with.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from specprof.engine.loop import PlayedRound
from specprof.engine.observe.judged import places, reached, turned_down
from specprof.engine.observe.probabilities import FINALS, chains, first_choices, judged_rows, tree
from specprof.extend import Acceptance, Law
from specprof.records import Drafted, Observed


@dataclass(frozen=True, slots=True)
class RoundEvidence:
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


@torch.inference_mode()
def observe(rounds: Sequence[PlayedRound], law: Law, acceptance: Acceptance) -> torch.Tensor:
    """Return [n] the numbers of rounds that drafted, on the device, for `read_evidence` to read.

    How they lie is what `odds` says, group after group of `_alike`.
    """
    found = []
    for group in _alike(rounds, law):
        those = [rounds[number] for number in group]
        if law.greedy:
            found.append(first_choices(those))
        elif those[0].proposal.parents is None:
            found.append(chains(those, law, acceptance))
        else:
            found.append(tree(those[0], law, acceptance))
    return found[0] if len(found) == 1 else torch.cat(found)


def read_evidence(
    rounds: Sequence[PlayedRound], numbers: list[float], law: Law, acceptance: Acceptance
) -> list[RoundEvidence]:
    """Read what `observe` returned of the same rounds, once it is on the host."""
    seen: dict[int, RoundEvidence] = {}
    groups = _alike(rounds, law)
    if law.greedy:
        for group in groups:
            numbers = _read_choices([(each, rounds[each]) for each in group], numbers, seen)
        return [seen[number] for number in range(len(rounds))]
    where = [places(one, joint=acceptance.joint) for one in rounds]
    width = (len(numbers) - FINALS * len(rounds)) // sum(map(len, where))  # four or five a place
    for group in groups:
        size = width * sum(len(where[number]) for number in group)
        columns, finals = _dealt(numbers[:size], width), numbers[size:]
        numbers = finals[FINALS * len(group) :]
        lasts = zip(*_dealt(finals[: FINALS * len(group)], FINALS), strict=True)
        start = 0
        for number, last in zip(group, lasts, strict=True):
            end = start + len(where[number])
            own = zip(*(column[start:end] for column in columns), strict=True)
            told = [_observed(*each, acceptance=acceptance) for each in own]
            seen[number] = _sight(rounds[number], where[number], told, last, acceptance)
            start = end
    return [seen[number] for number in range(len(rounds))]


def drafted_tokens(played: PlayedRound, seen: RoundEvidence | None) -> list[Drafted]:
    """Make the round's drafted tokens, with what was observed of those that were reached."""
    path, judged = played.path, reached(played)
    observed = dict(zip(judged, seen.drafted if seen else [None] * len(judged), strict=True))
    return [
        Drafted(token, parent, node in observed, node in path, observed.get(node))
        for node, (token, parent) in enumerate(zip(played.drafted, played.parents, strict=True))
    ]


def short(value: float) -> float:
    """Five significant digits: enough for every test, half the bytes in the capture."""
    return float(f"{value:.5g}")


def _alike(rounds: Sequence[PlayedRound], law: Law) -> list[list[int]]:
    """Return the numbers of rounds that can be observed in one go, those with a correction first.

    Of one width, and with a law to draft from or without; a sampled tree goes alone.
    """
    groups: dict[object, list[int]] = {}
    for number, one in enumerate(rounds):
        draft = one.proposal.logits
        kind: object = (one.target_logits.shape[-1], None if draft is None else draft.shape[-1])
        if not law.greedy and one.proposal.parents is not None:
            kind = number
        groups.setdefault(kind, []).append(number)
    return [
        sorted(group, key=lambda each: rounds[each].accepted >= len(rounds[each].drafted))
        for group in groups.values()
    ]


def _dealt(numbers: list[float], parts: int) -> list[list[float]]:
    """Return so many parts of one length."""
    size = len(numbers) // parts
    return [numbers[start : start + size] for start in range(0, len(numbers), size or 1)]


def _sight(
    played: PlayedRound,
    where: list[int],
    told: list[Observed],
    final: tuple[float, ...],
    acceptance: Acceptance,
) -> RoundEvidence:
    """Put a round's places in order, and read the six numbers of its final token."""
    judged = reached(played)
    if where != judged:
        seen = dict(zip(where, told, strict=True))
        told = [seen[node] for node in judged]
    target, draft, likelier, lower, own, mass = final
    fallen = turned_down(played)
    finals = _finals(played, fallen, short(target), short(draft))
    due = acceptance.lossless and not (acceptance.joint and fallen is not None)
    if finals[0] is None or not due or not mass:
        return RoundEvidence(told, *finals)
    return RoundEvidence(
        told, *finals, short((likelier / mass + 1) / 2), short((lower + own / 2) / mass)
    )


def _observed(
    draft_prob: float,
    target_prob: float,
    overlap: float,
    rank: float,
    owed: float | None = None,
    *,
    acceptance: Acceptance,
) -> Observed:
    """Read a place's numbers."""
    each = acceptance.owed_given(target_prob, draft_prob) if owed is None else owed
    return Observed(
        short(target_prob), short(draft_prob), short(overlap), short(each), short((rank + 1) / 2)
    )


def _finals(
    played: PlayedRound, fallen: int | None, target: float, draft: float
) -> tuple[float | None, float | None]:
    """Keep the final token's two probabilities where the round has one and they are of it."""
    if len(played.emitted) <= played.accepted:  # the limit, or a stop token, cut it off
        return None, None
    return target, None if fallen is None else draft


def _read_choices(
    group: Sequence[tuple[int, PlayedRound]], numbers: list[float], seen: dict[int, RoundEvidence]
) -> list[float]:
    """Read greedy rounds' first choices into `seen`; return the numbers after theirs."""
    rows = [judged_rows(one) for _, one in group]
    target, draft = 0, sum(each for each, _ in rows)
    for (number, one), (judged, drafted) in zip(group, rows, strict=True):
        theirs = numbers[target : target + judged], numbers[draft : draft + drafted]
        seen[number] = _agreement(one, *theirs)
        target, draft = target + judged, draft + drafted
    return numbers[draft:]


def _agreement(played: PlayedRound, target: list[float], draft: list[float]) -> RoundEvidence:
    """Read a greedy round: every number is 0 or 1, and a one-hot law has no ranks.

    A chain's token is held against the draft's own first choice; of siblings each is taken as the
    choice it was: all but the first differ from it by design.
    """
    final, seen = played.final, []
    for node in reached(played):
        token, best = played.drafted[node], target[played.parents[node] + 1]
        own = draft[node] if played.proposal.parents is None else token
        owed = float(token == best)
        seen.append(Observed(owed, float(token == own), float(best == own), owed, None))
    tip = played.path[-1] if played.path else -1
    fallen = turned_down(played)
    instead = 0.0 if fallen is None else float(draft[fallen] == final)
    return RoundEvidence(seen, *_finals(played, fallen, float(target[tip + 1] == final), instead))
