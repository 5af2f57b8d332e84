"""What speculation could gain, what it gained, and where the rest went (theory section 5).

The cost of a plain target step is measured beside each burst (`records.Plain`), or by a baseline
capture (drafter `none`). With neither, the verify pass of K+1 tokens stands in. It can't be cheaper
than a plain step, so every speed-up computed from it is an upper bound (`Costs.has_baseline` is
False). Knows means over rounds; the intervals say whether a difference exceeds noise.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from specprof.analysis.columns import Columns
from specprof.analysis.evidence import Evidence
from specprof.analysis.stats import Estimate, ratio, widen
from specprof.analysis.tables import Bools, Floats, Ints, Rounds
from specprof.errors import MissingEvidence
from specprof.records import Plain

NO_TIME_HINT = "record with a finer clock, or larger models"


@dataclass(frozen=True, slots=True)
class Costs:
    """Mean costs of a round, in nanoseconds."""

    depth: float
    """Drafted levels / rounds; in a chain a level is one token."""
    tau: float
    """emitted / rounds."""
    draft_step_ns: float
    """Draft span / drafted levels."""
    verify_ns: float
    """One target forward of the verify span."""
    extra_ns: float
    """The verify span's other target forwards."""
    accept_ns: float
    """Accept, rollback and any further span."""
    gap_ns: float
    plain_step_ns: float
    """A target forward of one token at this run's contexts. Where plain steps were not measured it
    is the verify pass; where their parts were not timed, a whole plain round."""
    plain_round_ns: float
    """A plain round's wall time; the verify pass where plain steps were not measured."""
    has_baseline: bool
    """False: plain steps were not measured, and speed-ups are upper bounds."""
    mix: float
    """Plain cost averaged over emitted tokens / plain cost averaged over rounds. It is below 1
    where deep, expensive rounds emit few tokens: plain decoding would spend less of its time there.
    1 at a single context."""

    @property
    def round_ns(self) -> float:
        """A whole round."""
        drafting = self.depth * self.draft_step_ns
        return drafting + self.verify_ns + self.extra_ns + self.accept_ns + self.gap_ns


@dataclass(frozen=True, slots=True)
class Yardstick:
    """Plain decoding at the contexts of the rounds that drafted."""

    round_ns: Floats
    """A plain round's wall time, [drafting rounds]."""
    step_ns: float
    """Mean time of its target forward; of the whole round where its parts were not timed."""
    spread: float
    """Relative half-width of the mean's 95% interval."""


@dataclass(frozen=True, slots=True)
class Factor:
    """One step of the waterfall from the ideal to the achieved speed-up."""

    name: str
    times: float
    """The factor by which it multiplies the speed-up."""
    speedup: float
    """Speed-up over plain decoding after this step."""
    ns_per_token: float
    """Time per emitted token after this step."""


@dataclass(frozen=True, slots=True)
class DepthChoice:
    """The best K up to the K that ran."""

    asked: int
    best: int
    gain: Estimate
    """Tokens per second at `best` / at `asked`; a lower bound without a baseline."""
    tokens_per_second: list[float | None]
    """Predicted for K = 0, 1, ...; None for K = 0 without a baseline."""


def costs(evidence: Evidence) -> Costs:
    """Return the mean costs of the rounds that drafted.

    Raises MissingEvidence where no time or no verify span was recorded.
    """
    rounds, columns = evidence.speculative, evidence.columns
    _require_times(evidence.timed, rounds)
    spans, gap = _mean_parts(columns, evidence.rounds.drafted > 0)
    if "verify" not in spans:
        hint = "record with --detail rounds or evidence"
        raise MissingEvidence("no verify span was recorded", hint)
    forwards = max(float(rounds.target_forwards.mean()), 1.0)
    verify, depth = spans.pop("verify"), float(rounds.levels.mean())
    if not verify:
        raise MissingEvidence("the verify spans have no length", NO_TIME_HINT)
    try:
        plain = evidence.ask(yardstick)
        step, whole, has_baseline = plain.step_ns, float(plain.round_ns.mean()), True
        mix = float(np.average(plain.round_ns, weights=rounds.emitted)) / whole
    except MissingEvidence:
        step, whole, has_baseline, mix = verify / forwards, verify / forwards, False, 1.0
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
        mix=mix,
    )


def _mean_parts(columns: Columns, drafting: Bools) -> tuple[dict[str, float], float]:
    """Return each span's and the host gap's mean over the rounds that drafted, in nanoseconds.

    They sum to the mean round. Where clocks overlap, the spans alone exceed it: then each is
    shortened in proportion, and the gap is 0.
    """
    spans = {name: float(ns[drafting].mean()) for name, ns in columns.spans.items()}
    whole, covered = float(columns.rounds.wall_ns[drafting].mean()), sum(spans.values())
    if covered <= whole:
        return spans, whole - covered
    return {name: ns * whole / covered for name, ns in spans.items()}, 0.0


def waterfall(evidence: Evidence) -> list[Factor]:
    """Return the factors from the ideal K+1 to the achieved speed-up, in theory 5.6's order.

    The last factor's `speedup` is measured, not modelled. Without a baseline the two factors of
    plain decoding are left out, and every figure is an upper bound.
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
        own = ("plain decoding's own gap", cost.plain_round_ns / step)
        for name, factor in (own, ("fewer tokens in deep rounds", cost.mix)):
            last = found[-1]
            found.append(Factor(name, factor, last.speedup * factor, last.ns_per_token))
    return found


def speedup(evidence: Evidence) -> Estimate:
    """Return plain time per token / speculative time per token, at the contexts of this run.

    Both are total times (theory 5.7): plain decoding would have taken one round per emitted token,
    at its context. 95% interval from the rounds' block bootstrap and the plain steps' spread.
    Raises MissingEvidence where plain decoding was not timed.
    """
    rounds = evidence.speculative
    _require_times(evidence.timed, rounds)
    plain = evidence.ask(yardstick)
    gain = ratio(rounds.emitted * plain.round_ns, rounds.wall_ns.astype(float))
    return widen(gain, plain.spread)


def best_depth(evidence: Evidence) -> DepthChoice:
    """Return the K that maximises predicted tokens per second (theory 5.4), K = 0 included.

    Reuses the accepted counts: with K = k, a round would have accepted min(accepted, k) of
    min(drafted, k). So where K varies, k is a cap. A shorter verify pass is assumed to cost in
    proportion between the plain step and the measured pass. Without a baseline it is assumed to
    cost as much as the measured pass, which understates the gain.
    """
    cost, rounds = evidence.ask(costs), evidence.speculative
    asked = int(rounds.levels.max())
    fixed = cost.extra_ns + cost.accept_ns + cost.gap_ns

    def round_ns(depth: int) -> float:
        if depth == 0:
            return cost.plain_round_ns * cost.mix
        drafted = float(np.minimum(rounds.levels, depth).mean())
        verify = cost.plain_step_ns + (cost.verify_ns - cost.plain_step_ns) * drafted / cost.depth
        return max(drafted * cost.draft_step_ns + max(verify, 0.0) + fixed, 1.0)

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
    """Return tau of K drafts, each accepted with probability `alpha`: Leviathan et al., eq. 1."""
    return depth + 1.0 if alpha >= 1 else (1 - alpha ** (depth + 1)) / (1 - alpha)


def break_even(cost: Costs) -> float | None:
    """Return the least alpha at which this depth costs no more than it gains (theory 5.3).

    None where even alpha = 1 doesn't pay. A lower bound without a baseline.
    """
    depth = max(round(cost.depth), 1)
    needed = cost.round_ns / (cost.plain_round_ns * cost.mix)
    if needed > depth + 1:
        return None
    if needed <= 1:
        return 0.0
    from scipy import optimize

    return float(optimize.brentq(lambda alpha: expected_tokens(alpha, depth) - needed, 0, 1))


def yardstick(evidence: Evidence) -> Yardstick:
    """Return plain decoding's times: the steps beside each burst, else a baseline capture's."""
    return _yardstick(evidence, evidence.speculative.context)


def plain_times(evidence: Evidence, context: Ints) -> Floats:
    """Return a plain round's wall time at each of these contexts, [contexts]."""
    return _yardstick(evidence, context).round_ns


def _require_times(timed: Rounds, rounds: Rounds) -> None:
    """Raise MissingEvidence where the rounds, [rounds], took no time or emitted no token."""
    if not timed.wall_ns.any() or not rounds.wall_ns.any():
        raise MissingEvidence("the rounds took no time that the clock could see", NO_TIME_HINT)
    if not rounds.emitted.any():
        raise MissingEvidence("no round that drafted committed a token", "record a longer run")


def _yardstick(evidence: Evidence, context: Ints) -> Yardstick:
    timed = [one for one in evidence.columns.plains if one.steps_ns]
    if timed:
        return _plain_beside_bursts(timed, context, evidence.settings.batch)
    return _other_capture(evidence.baseline, context)


def _plain_beside_bursts(timed: Sequence[Plain], context: Ints, batch: int) -> Yardstick:
    """Take each burst's median step, and interpolate between bursts.

    A batch's step decodes one token of every sequence, so each sequence has a share of its time.
    """
    at, medians, off = medians_of_steps(timed)
    whole = np.interp(context, at, medians / batch)
    return Yardstick(np.asarray(whole), float(whole.mean()), _half_width(off))


def medians_of_steps(timed: Sequence[Plain]) -> tuple[Ints, Floats, Floats]:
    """Return the bursts' contexts, their median steps, and every step's relative error.

    [bursts] ascending, [bursts] in nanoseconds, [steps] relative to the burst's median. Raises
    MissingEvidence where a median step took no time.
    """
    ordered = sorted(timed, key=lambda one: one.context)
    steps = np.fromiter(chain.from_iterable(one.steps_ns for one in ordered), np.float64)
    counts = np.fromiter((len(one.steps_ns) for one in ordered), np.int64, len(ordered))
    begins, medians = counts.cumsum() - counts, np.empty(len(ordered))
    for count in np.unique(counts):
        alike = counts == count
        medians[alike] = np.median(steps[begins[alike, None] + np.arange(count)], axis=1)
    if not medians.all():
        raise MissingEvidence("plain steps took no time that the clock could see", NO_TIME_HINT)
    contexts = np.fromiter((one.context for one in ordered), np.int64, len(ordered))
    return contexts, medians, steps / np.repeat(medians, counts) - 1


def _other_capture(baseline: Columns, context: Ints) -> Yardstick:
    """Fit the baseline's times over its contexts: a straight line where they vary (theory 5.7).

    The line is cut at the shortest and the longest time that was measured: outliers can tilt it
    below 0.
    """
    rounds = baseline.rounds
    if not rounds.wall_ns.any():
        raise MissingEvidence("the baseline's rounds took no time", NO_TIME_HINT)
    low, high = int(rounds.context.min()), int(rounds.context.max())
    if high * 1.25 < context.min() or low > context.max() * 1.25:
        title = f"the baseline ran at contexts {low}-{high}, this run elsewhere"
        raise MissingEvidence(title, "record a baseline over the same contexts")
    line = 1 if high > 1.1 * low else 0
    at, own = np.clip(context, low, high).astype(float), rounds.context.astype(float)
    verify_ns, wall_ns = baseline.spans.get("verify", rounds.wall_ns), rounds.wall_ns
    step = _fit_times(own, verify_ns, line)(at)
    whole = _fit_times(own, wall_ns, line)
    expected = whole(own)
    off = wall_ns[expected > 0] / expected[expected > 0] - 1
    return Yardstick(whole(at), float(step.mean()), _half_width(off))


def _fit_times(context: Floats, ns: Ints, degree: int) -> Callable[[Floats], Floats]:
    """Return a fit of measured times over the context, which stays between the times' extremes."""
    terms = np.polyfit(context, ns.astype(float), degree)

    def fitted(at: Floats) -> Floats:
        return np.clip(np.polyval(terms, at), float(ns.min()), float(ns.max()))

    return fitted


def _half_width(off: Floats) -> float:
    """Return the relative half-width of a 95% interval of the mean, from relative errors."""
    return 1.96 * float(off.std()) / math.sqrt(len(off))
