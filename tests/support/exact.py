"""The exact law of the tokens an acceptance rule emits, from tables: no sampling, no error.

A rule compares every coin with one threshold, which does not depend on the other coins. So bits
describe a rule's outcomes, and each bit's probability is its threshold. A threshold is found by
bisection if the coin matters.
"""

from collections.abc import Callable, Iterator
from itertools import permutations, product

import torch

from specprof.extend import Acceptance, Law, Proposal

Outcome = tuple[int, torch.Tensor]
"""Tip, and the normalised weights that the token after it is drawn from."""
HIGH_COIN = 1 - 2**-52


class NotingLaw(Law):
    """A softmax law that notes the weights of each draw and returns the likeliest token."""

    greedy = False

    def __init__(self) -> None:
        self.weights: list[torch.Tensor] = []

    def probs(self, logits: torch.Tensor) -> torch.Tensor:
        return logits.double().softmax(-1)

    def draw(self, probs: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        self.weights.append(probs / probs.sum(-1, keepdim=True))
        return probs.argmax(-1)


def list_outcomes(
    rule: Acceptance, target: torch.Tensor, proposal: Proposal, monkeypatch
) -> Iterator[tuple[float, Outcome]]:
    """Yield each outcome of one proposal with its probability, over all coins.

    `target` is [N+1, vocab] probabilities. There is a coin for each drafted token; no rule needs
    more.
    """
    count = int(proposal.tokens.shape[0])
    thresholds = [
        _find_threshold(rule, target, proposal, coin, monkeypatch) for coin in range(count)
    ]
    for bits in product((False, True), repeat=count):
        share = 1.0
        for bit, threshold in zip(bits, thresholds, strict=True):
            share *= threshold if bit else 1 - threshold
        if share > 0:
            coins = [0.0 if bit else HIGH_COIN for bit in bits]
            yield share, _decide(rule, target, proposal, coins, monkeypatch)


def _find_threshold(rule, target, proposal, coin, monkeypatch) -> float:
    """Return the value below which a coin counts as heads; 1 for a coin that never matters."""
    count = int(proposal.tokens.shape[0])
    for others in product((0.0, HIGH_COIN), repeat=count - 1):

        def tip(value: float, others: tuple[float, ...] = others) -> tuple[object, ...]:
            coins = [*others[:coin], value, *others[coin:]]
            place, weights = _decide(rule, target, proposal, coins, monkeypatch)
            return place, tuple(weights.tolist())

        heads = tip(0.0)
        if heads != tip(HIGH_COIN):
            return _bisect(lambda value, tip=tip, heads=heads: tip(value) == heads)
    return 1.0


def _bisect(holds: Callable[[float], bool]) -> float:
    low, high = 0.0, 1.0
    for _ in range(46):
        middle = (low + high) / 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low


def _decide(rule, target, proposal, coins, monkeypatch) -> Outcome:
    """Return the rule's decision if drafted token i is judged by coin i."""
    values = torch.tensor([*coins, 0.5], dtype=torch.float64)
    tables = iter(_coins_by_call(proposal, values))
    with monkeypatch.context() as patched:
        patched.setattr(torch, "rand", lambda shape, **_: next(tables).view(shape))
        law = NotingLaw()
        verdict = rule.decide(target.log(), proposal, law, torch.Generator())
    return int(verdict[0]), law.weights[0][0]


def _coins_by_call(proposal: Proposal, values: torch.Tensor) -> Iterator[torch.Tensor]:
    """Yield the coins call by call: a chain's all at once, a tree's one sibling rank per call."""
    if proposal.parents is None:
        yield values[:-1]
        return
    parents = proposal.parents.tolist()
    for rank in range(proposal.family):
        row = torch.full((len(parents) + 1,), 0.5, dtype=torch.float64)
        for parent in {-1, *range(len(parents))}:
            kin = [node for node, each in enumerate(parents) if each == parent]
            if len(kin) > rank:
                row[parent + 1] = values[kin[rank]]
        yield row


def list_families(
    law: torch.Tensor, width: int
) -> Iterator[tuple[float, tuple[int, ...], torch.Tensor]]:
    """Yield each ordered draw of `width` siblings without replacement from [vocab] `law`.

    Each comes with its probability, and the [width, vocab] laws that the siblings were drawn from.
    """
    for tokens in permutations(range(law.shape[0]), width):
        left, share, laws = law.clone(), 1.0, []
        for token in tokens:
            laws.append(left / left.sum())
            share *= float(laws[-1][token])
            left[token] = 0
        if share > 0:
            yield share, tokens, torch.stack(laws)
