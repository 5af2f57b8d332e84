"""Which of several laws explains the events best: a bank of likelihoods (theory 4.2 d).

Names a law, never accuses: only the always-valid tests say that a declared law fails. Every law is
mixed with a little of everything, so an event that a law rules out doesn't rule out the law.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from specprof.analysis.tables import Bools, Floats

STRAY_SHARE = 0.01
"""Share of events that may come from no law of the bank."""


@dataclass(frozen=True, slots=True)
class Best:
    """The law of a bank that explains the events best."""

    name: str
    lead: float
    """Its log-likelihood less the runner-up's, in nats."""
    gain: float
    """Its log-likelihood less that of the declared law, in nats."""
    n: int


def best_of_coins(came: Bools, chances: Iterable[tuple[str, Floats]]) -> Best:
    """Return the law whose probabilities, [n], fit the outcomes, [n], best; the declared law first.

    `chances` yields (name, probabilities) one at a time, because a bank over a million places would
    take gigabytes.
    """
    total = dict[str, float]()
    for name, law in chances:
        inside = STRAY_SHARE + (1 - 2 * STRAY_SHARE) * law
        total[name] = float(np.log(np.where(came, inside, 1 - inside)).sum())
    return _pick_best(total, len(came))


def best_of_draws(densities: Mapping[str, Floats], vocabulary: int) -> Best:
    """Return the law that most likely drew the tokens; the declared law first.

    `densities` maps a law's name to its probability of each token, [n].
    """
    total = {
        name: float(np.log((1 - STRAY_SHARE) * np.clip(law, 0, 1) + STRAY_SHARE / vocabulary).sum())
        for name, law in densities.items()
    }
    return _pick_best(total, len(next(iter(densities.values()))))


def _pick_best(total: Mapping[str, float], n: int) -> Best:
    ranked = sorted(total, key=lambda name: -total[name])
    runner_up = total[ranked[1]] if len(ranked) > 1 else total[ranked[0]]
    declared = total[next(iter(total))]
    return Best(ranked[0], total[ranked[0]] - runner_up, total[ranked[0]] - declared, n)
