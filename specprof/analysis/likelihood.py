"""Which of several laws explains the events best: a bank of likelihoods (theory 4.2 d).

Names a law, never accuses: only the always-valid tests say that a declared law fails. Every law is
mixed with a little of everything, so an event that a law rules out doesn't rule out the law.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from specprof.analysis.tables import Bools, Floats

STRAY_SHARE = 0.01
"""Share of events that may come from no law of the bank."""
MAX_ALIKE = 1e-3
"""Two laws are one in effect if no probability differs by more."""


class Coins(NamedTuple):
    """A law that coins may follow."""

    name: str
    chances: Floats
    """The probability of each event, [n]."""
    cost: float = 0.0
    """What it takes off the log-likelihood, in nats, that the law was fitted to the events."""


@dataclass(frozen=True, slots=True)
class Best:
    """The law of a bank that explains the events best."""

    name: str
    lead: float
    """Its log-likelihood less the runner-up's, in nats."""
    gain: float
    """Its log-likelihood less that of the declared law, in nats."""
    n: int
    law: Floats
    """Its probability of each event, [n]."""
    rivals: Mapping[str, float]
    """The log-likelihood of each other law, in nats, less its own: at most 0."""

    def lead_over(self, others: Callable[[str], bool]) -> float:
        """Return its lead, in nats, over the best rival that `others` picks by its name."""
        return -max((gain for name, gain in self.rivals.items() if others(name)), default=-np.inf)


def best_of_coins(came: Bools, bank: Callable[[], Iterable[Coins]]) -> Best:
    """Return the law that fits the outcomes, [n], best; the declared law first.

    `bank` returns one law at a time, because a bank over a million places would take gigabytes. A
    law that gives every event nearly the best law's probability is no rival of it.
    """
    totals, leader = dict[str, float](), Coins("", np.empty(0))
    for each in bank():
        totals[each.name] = log_likelihood(came, each.chances) - each.cost
        if not leader.name or totals[each.name] > totals[leader.name]:
            leader = each
    alike = {
        each.name
        for each in bank()
        if np.abs(each.chances - leader.chances).max(initial=0) < MAX_ALIKE
    }
    return _pick_best(totals, leader.name, leader.chances, alike - {leader.name})


def log_likelihood(came: Bools, chances: Floats) -> float:
    """Return the log-likelihood of outcomes, [n], under their chances, [n], in nats."""
    inside = STRAY_SHARE + (1 - 2 * STRAY_SHARE) * chances
    return float(np.log(np.where(came, inside, 1 - inside)).sum())


def best_of_draws(densities: Mapping[str, Floats], vocabulary: int) -> Best:
    """Return the law that most likely drew the tokens; the declared law first.

    `densities` maps a law's name to its probability of each token, [n].
    """
    totals = {
        name: float(np.log((1 - STRAY_SHARE) * np.clip(law, 0, 1) + STRAY_SHARE / vocabulary).sum())
        for name, law in densities.items()
    }
    leader = max(totals, key=lambda name: totals[name])
    return _pick_best(totals, leader, densities[leader], set())


def _pick_best(totals: Mapping[str, float], leader: str, law: Floats, alike: set[str]) -> Best:
    own, declared = totals[leader], totals[next(iter(totals))]
    rivals = {name: total - own for name, total in totals.items() if name not in alike | {leader}}
    lead = -max(rivals.values(), default=0.0)
    return Best(leader, lead, own - declared, len(law), law, rivals)
