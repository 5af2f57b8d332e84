"""What verifying n tokens at once costs, fitted from a run's rounds and plain steps (theory 5.5).

A target forward of n tokens at context L takes v0 + v1 n + v2 L + v3 n L. A term is fitted only
where the run varied its n or its L. Plain steps are forwards of one token. In a batch, the times
of rounds and plain steps are one sequence's share.
"""

from dataclasses import dataclass

import numpy as np

from specprof.analysis import cost_model
from specprof.analysis.evidence import Evidence
from specprof.analysis.stats import Estimate
from specprof.analysis.tables import Floats
from specprof.errors import MissingEvidence

MIN_FORWARDS = 8
"""Forwards of one width that its median needs."""
MIN_CONTEXT_RATIO = 1.5
"""Largest context over smallest that a fit over the context needs."""
MIN_STANDARD_ERRORS = 3.0
"""Standard errors above 0 that keep a term of the context in the fit."""
_FORWARDS_TOGETHER = 1 << 10
"""Forwards that are fitted at once: few enough that BLAS keeps to one thread."""
MAX_DEVIATIONS = 5.0
"""Robust standard deviations from the median beyond which a forward is left out of the fit."""


@dataclass(frozen=True, slots=True)
class Width:
    """Forwards of one width."""

    tokens: int
    """Fed to the target at once; 1 is a plain step."""
    ns: float
    """The median time of a forward."""
    n: int


@dataclass(frozen=True, slots=True)
class VerifyCost:
    """The curve, as measured and as fitted."""

    widths: list[Width]
    fixed_ns: float
    """v0"""
    token_ns: float
    """v1: for each further token."""
    context_ns: float | None
    """v2: for each further token of context; None where the context hardly varied, or where the
    term is lost in the noise."""
    token_context_ns: float | None
    """v3; None where it can't be separated from the other terms."""
    inflation: Estimate
    """Median verify pass / median plain step, with the interval of that ratio."""
    mean_width: float
    """Mean tokens of a verify pass."""

    @property
    def marginal(self) -> float:
        """Cost of each verified token after the first, in plain steps; 0 where noise says less."""
        return max(self.inflation.value - 1, 0.0) / max(self.mean_width - 1, 1)

    @property
    def least_marginal(self) -> float:
        """`marginal` at the lower end of the interval."""
        return (self.inflation.low - 1) / max(self.mean_width - 1, 1)


def verify_cost(evidence: Evidence) -> VerifyCost:
    """Fit the curve. Raises MissingEvidence without a verify span or without plain steps."""
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
    kept = _find_undisturbed(ns, tokens)
    fed = np.concatenate([tokens[kept], np.ones(len(steps_ns))])
    at = np.concatenate([context[kept], context])
    fixed, token, by_context, both = _fit_terms(fed, at, np.concatenate([ns[kept], steps_ns]))
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
        if len(those) >= MIN_FORWARDS:
            found.append(Width(int(width), float(np.median(those)), len(those)))
    return found


def _find_undisturbed(ns: Floats, tokens: Floats) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
    """Return which forwards, [n], lie near the median of their width."""
    kept = np.ones(len(ns), bool)
    for width in np.unique(tokens):
        those = tokens == width
        off = np.abs(ns[those] - np.median(ns[those]))
        kept[those] = off <= MAX_DEVIATIONS * 1.4826 * max(float(np.median(off)), 1.0)
    return kept


def _fit_terms(
    tokens: Floats, context: Floats, ns: Floats
) -> tuple[float, float, float | None, float | None]:
    """Fit v0 to v3, none below 0, by least squares; None for a term that can't be separated."""
    spread = bool(context.max() > MIN_CONTEXT_RATIO * max(context.min(), 1.0))
    crossed = spread and len(np.unique(tokens)) > 2  # noqa: PLR2004 - plain and one width are two
    terms = 2 + spread + crossed
    triangle = _triangle(tokens, context, ns)
    times = triangle[:, -1]
    while True:
        design = triangle[:, :terms]
        found = np.linalg.lstsq(design, times, rcond=None)[0]
        residual = float(((times - design @ found) ** 2).sum()) / len(ns)
        variance = residual * np.linalg.pinv(design.T @ design)[-1, -1]
        if terms == 2 or found[-1] > MIN_STANDARD_ERRORS * np.sqrt(variance):  # noqa: PLR2004 - v0 and v1
            break
        terms -= 1
    fixed, token, *others = _fit_positive(triangle[:, :terms], times)
    by_context, both = [*others, None, None][:2]
    return fixed, token, by_context, both


def _fit_positive(design: Floats, times: Floats) -> list[float]:
    """Return the least-squares terms among those that are not negative: no part of a time is."""
    from scipy import optimize

    sizes = np.maximum(np.sqrt((design**2).sum(axis=0)), 1e-300)
    unit = max(float(np.abs(times).max()), 1.0)
    found, _ = optimize.nnls(design / sizes, times / unit)
    return [float(each) for each in found * unit / sizes]


def _triangle(tokens: Floats, context: Floats, ns: Floats) -> Floats:
    """Return the triangle R of the QR decomposition of 1, n, L, n L and the times, [5, 5] or less.

    Least squares over R gives the result over all rows, which would take too much memory at once.
    """
    triangle = np.empty((0, 5))
    for start in range(0, len(ns), _FORWARDS_TOGETHER):
        n, at, took = (each[start : start + _FORWARDS_TOGETHER] for each in (tokens, context, ns))
        rows = np.stack([np.ones_like(n), n, at, n * at, took], axis=1)
        triangle = np.asarray(np.linalg.qr(np.concatenate([triangle, rows]), mode="r"))
    return triangle


def _inflation(ns: Floats, steps_ns: Floats, spread: float) -> Estimate:
    """Return median verify / median step, with an interval from the spread of both medians."""
    value = float(np.median(ns) / np.median(steps_ns))
    half = 1.253 * 1.96 * float(np.subtract(*np.quantile(ns, [0.75, 0.25]))) / 1.349
    own = half / max(float(np.median(ns)), 1.0) / np.sqrt(len(ns))
    total = float(np.hypot(own, spread))
    return Estimate(value, value / (1 + total), value * (1 + total), len(ns))
