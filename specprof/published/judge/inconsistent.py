"""Printed numbers that also follow from other numbers of the table (theory 1.1, 1.2, 5.7).

Means over requests differ a little from totals, and printed digits are rounded. Every check allows
for both, and says how much.
"""

from collections.abc import Callable, Sequence

from specprof.errors import MissingEvidence
from specprof.findings import Clear, Measure, Outcome
from specprof.published.judge.incomparable import CONDITIONS, are_alike
from specprof.published.judge.telling import measure, report_finding, rows_of
from specprof.published.read.figures import Figure, exactly, total
from specprof.published.read.results import Arm, Results

MAX_COUNT_SHIFT = 0.03
"""Relative change of a count by one token or forward per request outside any round."""
MAX_MEAN_ERROR = 0.05
"""Tolerated relative difference of a mean of requests' rates from the rate over all."""
MAX_SPEED_ERROR = 0.1
"""Tolerated relative difference of a mean of speeds, which vary more."""
Parts = Callable[[Arm], list[Figure]]
"""Computes the possible values of a printed figure from other figures of its row."""


def below_zero(results: Results) -> Outcome:
    """A rate, a count, a time or a size is below 0."""
    if not results.below_zero:
        return Clear(detectable="any number below 0 in a known column")
    return report_finding(
        f"below 0: {', '.join(results.below_zero[:3])}; rates, counts and times can't be",
        [Measure(name="numbers below 0", value=len(results.below_zero))],
        "look for a difference printed as a value, or a clock that was set back",
    )


def counts_not_as_printed(results: Results) -> Outcome:
    """A rate isn't the quotient of the counts printed beside it (theory 1.1)."""
    compared: list[tuple[Arm, str, Figure, list[Figure]]] = []
    for name, parts in _QUOTIENTS.items():
        compared += [
            (arm, name, arm.figures[name], values)
            for arm in results.arms
            if name in arm.figures and not arm.tree and (values := parts(arm))
        ]
    if not compared:
        raise MissingEvidence("no row has a rate and its counts", "add accepted and drafted")
    off = [
        each
        for each in compared
        if not any(each[2].meets(value, MAX_MEAN_ERROR) for value in each[3])
    ]
    if not off:
        return Clear(
            detectable=f"{MAX_MEAN_ERROR:.0%} between {len(compared)} rates and their counts"
        )
    arm, name, printed, values = off[0]
    return report_finding(
        f"{name.replace('_', ' ')} is printed as {printed}, and by its counts {values[0]} in {arm}",
        [measure("as printed", printed), measure("by its counts", values[0])],
        "give both from the same rounds; a mean of each request's rate is another number",
        suspects=("meas/bonus-in-rate", "meas/mean-hides-classes"),
    )


def reached_below_drafted(results: Results) -> Outcome:
    """Accepted per reached token is below accepted per drafted token, though fewer are reached."""
    arms = [arm for arm in results.rows_with("alpha_cond", "accept_frac") if not arm.tree]
    off = []
    for arm in arms:
        reached, drafted = arm.get("alpha_cond"), arm.get("accept_frac")
        if reached and drafted and reached.high * (1 + MAX_COUNT_SHIFT) < drafted.low:
            off.append((arm, reached, drafted))
    if not off:
        return Clear(detectable=f"accepted/reached {MAX_COUNT_SHIFT:.0%} below accepted/drafted")
    arm, reached, drafted = off[0]
    return report_finding(
        f"accepted/reached = {reached} < accepted/drafted = {drafted} in "
        f"{rows_of([each[0] for each in off])}: there are no more reached tokens than drafted "
        "ones, and both rates count all accepted tokens",
        [measure("accepted/reached", reached), measure("accepted/drafted", drafted)],
        "accepted/reached is accepted / (accepted + rejections), one rejection a round at most",
        suspects=("meas/rate-with-adaptive-k",),
    )


def survival_mean_disagrees(results: Results) -> Outcome:
    """Accepted per drafted token isn't the mean of the S_i at a fixed K (theory I5)."""
    compared = [
        (arm, share, total(arm.survival.values()) / exactly(len(arm.survival)))
        for arm in results.rows_with("accept_frac", "depth")
        if (share := arm.get("accept_frac"))
        and not arm.tree
        and len(arm.survival) == round(arm.figures["depth"].value) > 0
        and set(arm.survival) == set(range(1, len(arm.survival) + 1))
    ]
    if not compared:
        raise MissingEvidence("no row has accepted/drafted, K and S_1 to S_K", "add the columns")
    off = [each for each in compared if not each[1].meets(each[2], MAX_COUNT_SHIFT)]
    if not off:
        return Clear(
            detectable=f"{MAX_COUNT_SHIFT:.0%} between accepted/drafted and the mean of S_i"
        )
    arm, share, mean = off[0]
    return report_finding(
        f"accepted/drafted = {share} in {arm}, and the mean of S_1 to S_{len(arm.survival)} is "
        f"{mean}: where every round drafts K they are one number",
        [measure("accepted/drafted", share), measure("mean of S_i", mean)],
        "count both over all rounds that drafted; give the mean K where it varies",
        suspects=("meas/non-prefix-accepts-counted", "meas/bonus-in-rate"),
    )


def latency_without_its_parts(results: Results) -> Outcome:
    """A request's time isn't the first token's time plus the other tokens' times (theory I12)."""
    arms = results.rows_with("latency", "ttft", drafting=False)
    off = []
    for arm in arms:
        whole, first = arm.figures["latency"], arm.figures["ttft"]
        sums = _latency_sums(arm)
        early = whole.high * (1 + MAX_MEAN_ERROR) < first.low
        if early or (sums and not any(whole.meets(each, MAX_SPEED_ERROR) for each in sums)):
            off.append((arm, whole, sums[0] if sums else first))
    if not off:
        return Clear(
            detectable=f"{MAX_SPEED_ERROR:.0%} between the latency and TTFT + (n - 1) TPOT"
        )
    arm, whole, parts = off[0]
    return report_finding(
        f"the latency is {whole} s and its parts take {parts} s in "
        f"{rows_of([each[0] for each in off])}: the time to the first token, and (n - 1) times the "
        "time per token where printed",
        [measure("latency", whole, "s"), measure("TTFT + (n - 1) TPOT", parts, "s")],
        "take all three from the same requests, as means; percentiles don't add up",
        suspects=("meas/prefill-mixed-in", "meas/burst-latency"),
    )


def _latency_sums(arm: Arm) -> list[Figure]:
    """Return TTFT + (n - 1) TPOT, with `tokens` of one request, of a batch or of all samples."""
    tokens, each = arm.figures.get("tokens"), arm.figures.get("tpot")
    if tokens is None or each is None:
        return []
    shared = [arm.figures[name] for name in ("batch", "samples") if name in arm.figures]
    counts = [tokens, *(tokens / one for one in shared if one.value)]
    return [arm.figures["ttft"] + each * (count - exactly(1)) for count in counts]


def speedup_not_as_timed(results: Results) -> Outcome:
    """A speed-up isn't the ratio of the speeds that the table prints (theory 5.7)."""
    plain = [arm for arm in results.arms if arm.plain and _is_one(arm)]
    compared = [
        (arm, speedup, ratios)
        for arm in results.arms
        if not arm.plain
        and (speedup := arm.get("speedup"))
        and (
            ratios := [
                each for other in _baselines_of(arm, plain) for each in _speed_ratios(arm, other)
            ]
        )
    ]
    if not compared:
        title = "no row has a speed-up and a speed, beside a row of plain decoding"
        raise MissingEvidence(title, "add the baseline's row, with its throughput")
    off = [
        each
        for each in compared
        if not any(each[1].meets(ratio, MAX_SPEED_ERROR) for ratio in each[2])
    ]
    if not off:
        pairs = f"{len(compared)} speed-ups and the printed speeds"
        return Clear(detectable=f"{MAX_SPEED_ERROR:.0%} between {pairs}")
    _, speedup, ratios = off[0]
    return report_finding(
        f"a speed-up of {speedup} is printed, and by the printed speeds it is {ratios[0]} in "
        f"{rows_of([each[0] for each in off])}",
        [measure("speed-up as printed", speedup), measure("by the printed speeds", ratios[0])],
        "name the baseline of each speed-up; give total tokens over total time of both",
        suspects=("meas/unequal-arms", "meas/mean-hides-classes"),
    )


def _is_one(arm: Arm) -> bool:
    """Whether a plain row may be the baseline of speed-ups: its own is 1, or isn't printed."""
    own = arm.get("speedup")
    return own is None or own.meets(exactly(1), MAX_MEAN_ERROR)


def _baselines_of(arm: Arm, plain: Sequence[Arm]) -> list[Arm]:
    """Return the baselines under this row's conditions; all baselines where there are none."""
    return [other for other in plain if are_alike(arm, other, CONDITIONS)] or list(plain)


def _speed_ratios(arm: Arm, plain: Arm) -> list[Figure]:
    """Return this row's speed / the baseline's, by each measure that both rows have."""
    ours, theirs, found_ = arm.figures, plain.figures, list[Figure]()
    if "throughput" in ours and "throughput" in theirs:
        found_.append(ours["throughput"] / theirs["throughput"])
    found_ += [theirs[name] / ours[name] for name in ("tpot",) if name in ours and name in theirs]
    lengths = (ours.get("tokens"), theirs.get("tokens"))
    if "latency" in ours and "latency" in theirs and lengths[0] == lengths[1]:
        found_.append(theirs["latency"] / ours["latency"])
    return found_


def _shares(arm: Arm) -> list[Figure]:
    accepted, drafted = arm.figures.get("accepted"), arm.figures.get("drafted")
    return [accepted / drafted] if accepted and drafted and drafted.value else []


def _by_forwards(arm: Arm) -> list[Figure]:
    tokens = arm.figures.get("tokens")
    forwards, calls = arm.figures.get("target_forwards"), arm.figures.get("calls_per_token")
    by_count = [tokens / forwards] if tokens and forwards and forwards.value else []
    return by_count + ([exactly(1) / calls] if calls and calls.value else [])


def _by_rounds(arm: Arm) -> list[Figure]:
    """Return tokens per round, with the bonus and without."""
    rounds, tokens, accepted = (arm.figures.get(n) for n in ("rounds", "tokens", "accepted"))
    if not rounds or not rounds.value or not (tokens or accepted):
        return []
    with_bonus = tokens / rounds if tokens else exactly(0)
    without = accepted / rounds if accepted else with_bonus - exactly(1)
    return [with_bonus if tokens else without + exactly(1), without]


_QUOTIENTS: dict[str, Parts] = {
    "accept_frac": _shares,
    "tokens_per_forward": _by_forwards,
    "length": _by_rounds,
}
INCONSISTENT = (
    below_zero,
    counts_not_as_printed,
    reached_below_drafted,
    survival_mean_disagrees,
    latency_without_its_parts,
    speedup_not_as_timed,
)
