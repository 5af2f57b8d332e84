"""Drafted tokens under laws that an accept step may use by mistake: unprocessed, or of other rows.

Only chains above temperature 0 are looked at: an accept step without chance shows its laws anyway.
"""

from collections.abc import Sequence

import torch

from specprof.engine.observe.evidence import short
from specprof.engine.recheck.kept_logits import UsedLogits
from specprof.engine.recheck.places import Pair, Place
from specprof.engine.sampling import PairedLaw, ProcessedLaw
from specprof.extend import Law
from specprof.recheck_records import OtherLaws
from specprof.records import Round

Probs = dict[str, float]
"""A token's probabilities, by the field of `OtherLaws`."""


def other_laws(
    law: Law, pairs: Sequence[Pair], places: Sequence[Place], target_logits: torch.Tensor
) -> list[OtherLaws]:
    """Return an `OtherLaws` of each reached draft that has any such law.

    `target_logits` [places, vocab] are the clean rows.
    """
    if law.greedy:
        return []
    straight = {one.index for one, _ in pairs if _is_chain(one)}
    rows = [number for number, place in enumerate(places) if place.round in straight]
    if not rows:
        return []
    keys = {number: (places[number].round, places[number].number) for number in rows}
    found = {key: Probs() for key in keys.values()}
    tokens = torch.tensor([places[number].token for number in rows])
    for name, other in _unprocessed(law).items():
        probs = other.probs(target_logits[rows]).gather(1, tokens[:, None])[:, 0]
        for number, prob in zip(rows, probs.tolist(), strict=True):
            found[keys[number]][name] = prob
    for one, own in pairs:
        if own is not None and one.index in straight:
            _add_neighbours(law, one, own, found)
    return [_record(*place, probs) for place, probs in found.items() if probs]


def _is_chain(one: Round) -> bool:
    return all(each.parent == index - 1 for index, each in enumerate(one.drafted))


def _unprocessed(law: Law) -> dict[str, Law]:
    """Return the target's laws that lack a step of the processing, or have one twice."""
    law = law.target if isinstance(law, PairedLaw) else law
    if not isinstance(law, ProcessedLaw):
        return {}
    others: dict[str, Law] = {}
    filtered, tempered = law.top_k > 0 or law.top_p < 1, law.temperature != 1
    if filtered or tempered:
        others["target_raw"] = ProcessedLaw()
    if filtered and tempered:
        others["target_unfiltered"] = ProcessedLaw(law.temperature)
    if tempered:
        others["target_twice"] = ProcessedLaw(law.temperature**2, law.top_k, law.top_p)
    return others


def _add_neighbours(
    law: Law, one: Round, used: UsedLogits, found: dict[tuple[int, int], Probs]
) -> None:
    """Add each reached token's probabilities in the round's other rows."""
    tokens = torch.tensor([each.token for each in one.drafted])
    judged = [index for index in range(len(tokens)) if (one.index, index) in found]
    if not judged:
        return
    target = _among_rows(law, used.target, tokens)
    draft = (
        None if used.draft is None else _among_rows(law.of_draft, used.draft[: len(tokens)], tokens)
    )
    for index in judged:
        probs, seen = found[one.index, index], one.drafted[index].seen
        if index:
            probs["target_before"] = target[index - 1][index]
        if index + 1 < len(target):
            probs["target_after"] = target[index + 1][index]
        if draft is None or seen is None:
            continue
        if seen.draft_prob == 1:
            probs["draft_soft"] = draft[index][index]
        elif len(draft) > 1:
            probs |= _of_other_steps(draft, index)


def _of_other_steps(draft: list[list[float]], index: int) -> Probs:
    """Return the token's probabilities in other draft steps; `draft` is [steps, tokens]."""
    last = len(draft) - 1
    steps = {"first": 0, "before": index - 1, "after": index + 1, "last": last}
    return {
        f"draft_{name}": draft[step][index]
        for name, step in steps.items()
        if 0 <= step <= last and step != index
    }


def _among_rows(law: Law, logits: torch.Tensor, tokens: torch.Tensor) -> list[list[float]]:
    """Return each row's probability of each token: [rows, tokens], 0 of ids that a row lacks."""
    known = tokens.to(logits.device).clamp(0, logits.shape[-1] - 1)
    probs = law.probs(logits)[:, known].float().cpu()
    probs[:, (tokens < 0) | (tokens >= logits.shape[-1])] = 0
    return [[float(prob) for prob in row] for row in probs.tolist()]


def _record(round_: int, index: int, probs: Probs) -> OtherLaws:
    """Return what is a number of these, in the capture's short form."""
    numbers = {name: short(prob) for name, prob in probs.items() if prob == prob}  # noqa: PLR0124 - nan
    return OtherLaws(round_, index, **numbers)
