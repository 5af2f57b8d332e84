"""Which of several laws explains best what was seen: a bank of likelihoods (theory 4.2 d).

Names, never accuses: that a declared law fails is for the always-valid tests to say. Every law is
mixed with a little of everything, so that one event it rules out costs it much and not all.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from specprof.analysis.tables import Bools, Floats

STRAY = 0.01
"""Share of events that may come from no law of the bank."""


@dataclass(frozen=True, slots=True)
class Best:
    """The law of a bank that explains the events best."""

    name: str
    lead: float
    """Its log-likelihood less the runner-up's, in nats."""
    gain: float
    """Its log-likelihood less that of the bank's first, the declared law."""
    n: int


def best_of_coins(came: Bools, chances: Iterable[tuple[str, Floats]]) -> Best:
    """Return which of the chances [n], named, the outcomes [n] fit best; the declared first.

    Each is asked for in turn and let go: a bank over a million places would take gigabytes.
    """
    total = dict[str, float]()
    for name, law in chances:
        inside = STRAY + (1 - 2 * STRAY) * law
        total[name] = float(np.log(np.where(came, inside, 1 - inside)).sum())
    return _best(total, len(came))


def best_of_draws(densities: Mapping[str, Floats], vocabulary: int) -> Best:
    """Return which law drew the tokens; each gives its own mass on every one, [n]."""
    total = {
        name: float(np.log((1 - STRAY) * np.clip(law, 0, 1) + STRAY / vocabulary).sum())
        for name, law in densities.items()
    }
    return _best(total, len(next(iter(densities.values()))))


def _best(total: Mapping[str, float], n: int) -> Best:
    ranked = sorted(total, key=lambda name: -total[name])
    runner_up = total[ranked[1]] if len(ranked) > 1 else total[ranked[0]]
    declared = total[next(iter(total))]
    return Best(ranked[0], total[ranked[0]] - runner_up, total[ranked[0]] - declared, n)
