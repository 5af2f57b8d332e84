"""What verifying n tokens at once costs, fitted from the rounds and plain steps of a run (5.5).

A target forward of n tokens at context L takes v0 + v1 n + v2 L + v3 n L. Each term is fitted only
where the run varied what it goes by; plain steps are forwards of one token. Times of a batch are a
sequence's share, of plain steps and rounds alike.
"""

from dataclasses import dataclass

import numpy as np

from specprof.analysis import cost_model
from specprof.analysis.evidence import Evidence
from specprof.analysis.stats import Estimate
from specprof.analysis.tables import Floats
from specprof.errors import MissingEvidence

ENOUGH = 8
"""Rounds of one width from which its median is told."""
SPREAD = 1.5
"""Largest context over smallest from which the time is said to go by the context or not to."""
SEEN = 3.0
"""Standard errors above 0 from which a term of the context is told."""
_PIECE = 1 << 10
"""Forwards that are fitted at once: so few that BLAS keeps to one thread."""
OUTLIER = 5.0
"""Robust standard deviations beyond which a forward was held up by something else."""


@dataclass(frozen=True, slots=True)
class Width:
    """Forwards of one width."""

    tokens: int
    """Fed to the target at once; 1 is a plain step."""
    ns: float
    """The median."""
    n: int


@dataclass(frozen=True, slots=True)
class VerifyCost:
    """The curve, as measured and as fitted."""

    widths: list[Width]
    fixed_ns: float
    """v0"""
    token_ns: float
    """v1: each token more."""
    context_ns: float | None
    """v2: each token of context more; None where the context hardly varied, or it can't be seen."""
    token_context_ns: float | None
    """v3; None where it can't be told from the others."""
    inflation: Estimate
    """A verify pass over a plain step, with the interval of the ratio of medians."""
    mean_width: float
    """Tokens of a verify pass."""

    @property
    def marginal(self) -> float:
        """What each verified token after the first adds, in plain steps."""
        return (self.inflation.value - 1) / max(self.mean_width - 1, 1)

    @property
    def least_marginal(self) -> float:
        """The same at the lower end of the interval."""
        return (self.inflation.low - 1) / max(self.mean_width - 1, 1)


def verify_cost(evidence: Evidence) -> VerifyCost:
    """Fit the curve; raises MissingEvidence without a verify span or without plain steps."""
    rounds, columns = evidence.timed, evidence.columns
    if "verify" not in columns.spans:
        hint = "record with --detail rounds or evidence"
        raise MissingEvidence("no verify span was recorded", hint)
    drafting = rounds.drafted > 0
    plain = evidence.ask(cost_model.yardstick)
    passes = np.maximum(rounds.target_forwards, 1).astype(float)
    ns: Floats = np.divide(columns.spans["verify"].astype(float), passes)[drafting]
    tokens = 1.0 + rounds.drafted[drafting].astype(float)
    context = rounds.context[drafting].astype(float)
    steps_ns = plain.round_ns * (plain.step_ns / float(plain.round_ns.mean()))
    kept = _undisturbed(ns, tokens)
    fed = np.concatenate([tokens[kept], np.ones(len(steps_ns))])
    at = np.concatenate([context[kept], context])
    fixed, token, by_context, both = _fitted(fed, at, np.concatenate([ns[kept], steps_ns]))
    return VerifyCost(
        widths=[Width(1, plain.step_ns, len(steps_ns)), *_widths(tokens, ns)],
        fixed_ns=fixed,
        token_ns=token,
        context_ns=by_context,
        token_context_ns=both,
        inflation=_inflation(ns, steps_ns, plain.spread),
        mean_width=float(tokens.mean()),
    )


def _widths(tokens: Floats, ns: Floats) -> list[Width]:
    found = list[Width]()
    for width in np.unique(tokens):
        those = ns[tokens == width]
        if len(those) >= ENOUGH:
            found.append(Width(int(width), float(np.median(those)), len(those)))
    return found


def _undisturbed(ns: Floats, tokens: Floats) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
    """Leave out forwards far off the median of their width."""
    kept = np.ones(len(ns), bool)
    for width in np.unique(tokens):
        those = tokens == width
        off = np.abs(ns[those] - np.median(ns[those]))
        kept[those] = off <= OUTLIER * 1.4826 * max(float(np.median(off)), 1.0)
    return kept


def _fitted(
    tokens: Floats, context: Floats, ns: Floats
) -> tuple[float, float, float | None, float | None]:
    """Least squares over the terms that can be told apart; a context's only where it is seen."""
    spread = bool(context.max() > SPREAD * max(context.min(), 1.0))
    crossed = spread and len(np.unique(tokens)) > 2  # noqa: PLR2004 - plain and one width are two
    terms = 2 + spread + crossed
    triangle = _triangle(tokens, context, ns)
    told = triangle[:, -1]
    while True:
        laid = triangle[:, :terms]
        found = np.linalg.lstsq(laid, told, rcond=None)[0]
        residual = float(((told - laid @ found) ** 2).sum()) / len(ns)
        variance = residual * np.linalg.pinv(laid.T @ laid)[-1, -1]
        if terms == 2 or found[-1] > SEEN * np.sqrt(variance):  # noqa: PLR2004 - v0 and v1
            break
        terms -= 1
    padded = [*found.tolist(), None, None]
    return padded[0], padded[1], padded[2], padded[3]


def _triangle(tokens: Floats, context: Floats, ns: Floats) -> Floats:
    """Return the triangle R of the QR decomposition of 1, n, L, n L and the times, [5, 5] or less.

    Least squares over it are those over all rows, which are never laid out together.
    """
    triangle = np.empty((0, 5))
    for start in range(0, len(ns), _PIECE):
        n, at, took = (each[start : start + _PIECE] for each in (tokens, context, ns))
        rows = np.stack([np.ones_like(n), n, at, n * at, took], axis=1)
        triangle = np.asarray(np.linalg.qr(np.concatenate([triangle, rows]), mode="r"))
    return triangle


def _inflation(ns: Floats, steps_ns: Floats, spread: float) -> Estimate:
    """Return median verify / median step; the interval from quantiles of the medians' order."""
    value = float(np.median(ns) / np.median(steps_ns))
    half = 1.253 * 1.96 * float(np.subtract(*np.quantile(ns, [0.75, 0.25]))) / 1.349
    own = half / max(float(np.median(ns)), 1.0) / np.sqrt(len(ns))
    total = float(np.hypot(own, spread))
    return Estimate(value, value / (1 + total), value * (1 + total), len(ns))
