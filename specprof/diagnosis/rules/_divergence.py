"""Measures where greedy texts first leave plain greedy text, burst by burst."""

from collections.abc import Iterator

import numpy as np

from specprof.analysis import first_choices
from specprof.analysis.evidence import Evidence
from specprof.errors import MissingEvidence
from specprof.findings import Measure


def measure_divergence(evidence: Evidence) -> Iterator[Measure]:
    """Yield how many texts diverge, after how many tokens, and how far apart the choices are there.

    Yields nothing where no text was rescored, or none diverges.
    """
    try:
        found = first_choices.divergences(evidence, evidence.ask(first_choices.choices))
    except MissingEvidence:
        return
    n = len(found.tokens)
    if not n:
        return
    yield Measure(name="texts that diverge per text", value=n / found.bursts, n=found.bursts)
    first = "tokens before the first divergence"
    yield Measure(name=f"{first}, fewest", value=float(found.tokens.min()), unit="tokens", n=n)
    if n > 1:
        yield Measure(name=f"{first}, median", value=float(np.median(found.tokens)), unit="tokens")
    yield Measure(
        name="shortfall at the first divergence, largest",
        value=float(found.shortfall.max()),
        unit="logits",
        n=n,
    )
