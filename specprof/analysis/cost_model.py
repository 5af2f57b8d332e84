"""What speculation should gain, what it gained, and where the rest went (theory section 5).

One capture holds the cost of a verify pass over K+1 tokens but not of a plain target step. A
baseline capture (drafter `none`, beside it) holds that. Without one the verify pass stands in: it
can't be cheaper than a plain step, so every speed-up computed from it is an upper bound, and says
so. Knows means over rounds; whether a difference is more than noise, the intervals say.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy import optimize

from specprof.analysis.columns import Columns, Floats, Ints
from specprof.analysis.evidence import Evidence
from specprof.analysis.stats import Estimate, ratio
from specprof.errors import MissingEvidence


@dataclass(frozen=True, slots=True)
class Costs:
    """Mean costs of a round, in nanoseconds."""

    depth: float
    """drafted / rounds."""
    tau: float
    """emitted / rounds."""
    draft_step_ns: float
    """Draft span / drafted tokens."""
    verify_ns: float
    """One target forward of the verify span."""
    extra_ns: float
    """The verify span's other target forwards."""
    accept_ns: float
    """Accept, rollback and any further span."""
    gap_ns: float
    plain_step_ns: float
    """A target forward of one token, at the same contexts; the verify pass where not measured."""
    plain_round_ns: float
    """A baseline round's wall time, likewise."""
    has_baseline: bool
    """False: plain steps were not measured, and speed-ups are upper bounds."""

    @property
    def round_ns(self) -> float:
        """A whole round."""
        drafting = self.depth * self.draft_step_ns
        return drafting + self.verify_ns + self.extra_ns + self.accept_ns + self.gap_ns


@dataclass(frozen=True, slots=True)
class Factor:
    """One step of the waterfall from the ideal to the achieved speed-up."""

    name: str
    times: float
    """What it multiplies the speed-up by."""
    speedup: float
    """After it, over plain decoding."""
    ns_per_token: float
    """After it."""


@dataclass(frozen=True, slots=True)
class DepthChoice:
    """The best K among those up to the one that ran."""

    asked: int
    best: int
    gain: Estimate
    """Tokens per second at `best` over those at `asked`; a lower bound without a baseline."""
    tokens_per_second: list[float | None]
    """Predicted for K = 0, 1, ...; None where it can't be known."""


def costs(evidence: Evidence) -> Costs:
    """Return the mean costs of the rounds that drafted."""
    rounds, columns = evidence.speculative, evidence.columns
    drafting = evidence.rounds.drafted > 0
    spans = {name: float(ns[drafting].mean()) for name, ns in columns.spans.items()}
    gap = float(columns.gap_ns[drafting].mean())
    if "verify" not in spans:
        hint = "record with --detail rounds or evidence"
        raise MissingEvidence("no verify span was recorded", hint)
    forwards = max(float(rounds.target_forwards.mean()), 1.0)
    verify, depth = spans.pop("verify"), float(rounds.drafted.mean())
    try:
        step, whole = _plain(evidence.baseline, rounds.context)
        has_baseline = True
    except MissingEvidence:
        step, whole, has_baseline = verify / forwards, verify / forwards, False
    return Costs(
        depth=depth,
        tau=float(rounds.emitted.mean()),
        draft_step_ns=spans.pop("draft", 0.0) / depth,
        verify_ns=verify / forwards,
        extra_ns=verify - verify / forwards,
        accept_ns=sum(spans.values()),
        gap_ns=gap,
        plain_step_ns=step,
        plain_round_ns=whole,
        has_baseline=has_baseline,
    )


def waterfall(evidence: Evidence) -> list[Factor]:
    """Return the factors from the ideal K+1 to the achieved speed-up, in theory 5.6's order.

    The last line's `speedup` is tau * plain round / round: measured, not modelled. Without a
    baseline there is no last factor, and every figure is an upper bound.
    """
    cost = evidence.ask(costs)
    step, drafting = cost.plain_step_ns, cost.depth * cost.draft_step_ns
    times = [step, step + drafting, cost.verify_ns + drafting]
    times += [times[-1] + cost.accept_ns]
    times += [times[-1] + cost.extra_ns]
    times += [times[-1] + cost.gap_ns]
    names = ["draft", "verify inflation", "accept and rollback", "extra forwards", "host gap"]
    ideal = cost.depth + 1
    found = [
        Factor("ideal", ideal, ideal, step / ideal),
        Factor("rejected drafts", cost.tau / ideal, cost.tau, step / cost.tau),
    ]
    for name, before, after in zip(names, times[:-1], times[1:], strict=True):
        found.append(Factor(name, before / after, step * cost.tau / after, after / cost.tau))
    if cost.has_baseline:
        own, last = cost.plain_round_ns / step, found[-1]
        found.append(Factor("baseline's own gap", own, last.speedup * own, last.ns_per_token))
    return found


def speedup(evidence: Evidence) -> Estimate:
    """Return plain time per token over speculative time per token, at the contexts of this run.

    Total time over total time (theory 5.7), 95 % interval from both runs' block bootstraps. Raises
    MissingEvidence without a baseline.
    """
    rounds, baseline = evidence.speculative, evidence.baseline
    plain = _plain(baseline, rounds.context)[1]
    ours = ratio(rounds.wall_ns.astype(float), rounds.emitted.astype(float))
    walls = baseline.rounds.wall_ns.astype(float)
    theirs = ratio(walls, np.ones_like(walls))
    spread = math.hypot(_log_half(ours), _log_half(theirs))
    value = plain / ours.value
    return Estimate(value, value * math.exp(-spread), value * math.exp(spread), ours.n)


def best_depth(evidence: Evidence) -> DepthChoice:
    """Return the K that maximises predicted tokens per second (theory 5.4), K = 0 included.

    Uses the accepted counts as they were: with K = k, min(accepted, k) would have stood. A shorter
    verify is taken to cost in proportion between the plain step and the measured one; without a
    baseline, as much as the longest, which understates the gain.
    """
    cost, rounds = evidence.ask(costs), evidence.speculative
    asked = int(rounds.drafted.max())
    fixed = cost.extra_ns + cost.accept_ns + cost.gap_ns

    def round_ns(depth: int) -> float:
        if depth == 0:
            return cost.plain_round_ns
        verify = cost.plain_step_ns + (cost.verify_ns - cost.plain_step_ns) * depth / asked
        return depth * cost.draft_step_ns + max(verify, 0.0) + fixed

    def tokens(depth: int) -> Floats:
        return 1.0 + np.minimum(rounds.accepted, depth)

    speeds: list[float | None] = [
        1e9 * float(tokens(depth).mean()) / round_ns(depth) if depth or cost.has_baseline else None
        for depth in range(asked + 1)
    ]
    best = max(range(asked + 1), key=lambda depth: speeds[depth] or 0.0)
    gain = ratio(tokens(best) / round_ns(best), tokens(asked) / round_ns(asked))
    return DepthChoice(asked, best, gain, speeds)


def expected_tokens(alpha: float, depth: int) -> float:
    """Return tau of K drafts that each stand with `alpha`: Leviathan et al., equation 1."""
    return depth + 1.0 if alpha >= 1 else (1 - alpha ** (depth + 1)) / (1 - alpha)


def break_even(cost: Costs) -> float | None:
    """Return the alpha at which this depth stops costing more than it gains (theory 5.3).

    None where even alpha = 1 doesn't pay. A lower bound without a baseline.
    """
    depth = max(round(cost.depth), 1)
    needed = cost.round_ns / cost.plain_round_ns
    if needed > depth + 1:
        return None
    if needed <= 1:
        return 0.0
    return float(optimize.brentq(lambda alpha: expected_tokens(alpha, depth) - needed, 0, 1))


def _plain(baseline: Columns, context: Ints) -> tuple[float, float]:
    """Return a plain step's and a plain round's mean ns at the given contexts, [rounds].

    Costs grow linearly with context (theory 5.7): fitted where the baseline's own contexts spread.
    """
    rounds = baseline.rounds
    low, high = int(rounds.context.min()), int(rounds.context.max())
    if high * 1.25 < context.min() or low > context.max() * 1.25:
        title = f"the baseline ran at contexts {low}-{high}, this run elsewhere"
        raise MissingEvidence(title, "record a baseline over the same contexts")
    verify = baseline.spans.get("verify", rounds.wall_ns)
    if high <= 1.1 * low:
        return float(verify.mean()), float(rounds.wall_ns.mean())
    at = np.clip(context, low, high).mean()
    step, whole = (
        float(np.polyval(np.polyfit(rounds.context.astype(float), ns.astype(float), 1), at))
        for ns in (verify, rounds.wall_ns)
    )
    return step, whole


def _log_half(estimate: Estimate) -> float:
    return math.log(estimate.high / estimate.low) / 2 if estimate.low > 0 else math.inf
