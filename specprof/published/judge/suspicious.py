"""Counts that are possible, but seldom mean what their names say (theory 1.3, 2, 9)."""

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise

from specprof.errors import MissingEvidence
from specprof.findings import Clear, Measure, Outcome, Unknown
from specprof.published.judge.incomparable import CONDITIONS
from specprof.published.judge.telling import measure, report_finding, rows_of
from specprof.published.read import inference
from specprof.published.read.figures import Figure, exactly
from specprof.published.read.inference import Fits, find_fits
from specprof.published.read.results import Arm, Results

MIN_SELF_ACCEPTANCE = {"fp32": 0.98, "float32": 0.98, "f32": 0.98}
MIN_SELF_ACCEPTANCE_ROUNDED = 0.95
"""Least acceptance per reached token of a model that drafts for itself, greedily (theory S13). Near
ties separate the two in two tokens of a hundred where logits are rounded to bfloat16 (theory
4.1)."""
MAX_CHANCE = 1e-4
"""Chance that unrelated figures fit a way of counting; above it a fit proves nothing."""
MAX_NOISE = 0.1
"""Relative difference allowed between two runs of one configuration without a stated spread."""
FULL_SHARE = 0.9995
PARTIAL_DRAFT_WORDS = (
    *("eagle", "medusa", "hydra", "mtp", "head", "layer", "skip", "exit", "early", "kangaroo"),
    *(
        "swift",
        "lookahead",
        "jacobi",
        "verify",
        "quant",
        "int4",
        "int8",
        "4bit",
        "8bit",
        "fp8",
        "w4",
        "w8",
        "q4",
        "q8",
        "awq",
        "gptq",
        "nf4",
    ),
    *("stream", "sparse", "window", "sink", "prun", "magic", "triforce"),
)
"""Words of methods that draft with a part of the target, or with a coarser copy of it."""
METHOD_COLUMNS = ("rule", "structure", "dtype", "engine", "attention")
"""Columns beside the label where such a word may stand."""
MAX_COMPARED_ROWS = 20
"""Later rows of one configuration that each row is compared with."""


def extra_target_forwards(results: Results) -> Outcome:
    """The target runs more than once a round, or its forwards are counted twice."""
    seen = find_fits(results, "tokens_per_forward")
    if not seen.found:
        return Unknown(
            reason=f"no K up to {inference.MAX_DEPTH} and no way of counting fits all "
            f"{len(seen.arms)} rows: the rows ran at different K, or their figures come from "
            "different runs; add the column K"
        )
    if inference.ONE_FORWARD in seen.ways:
        others = [way for way in seen.ways if way != inference.ONE_FORWARD]
        if others:
            return Unknown(
                reason=f"the rows fit {describe_ways(seen)}; add the column K, or more digits"
            )
        return Clear(
            detectable=f"a second forward in {len(seen.arms)} rows; one fits{_at_depth(seen)}"
        )
    if inference.NO_BONUS in seen.ways:
        return Unknown(reason=f"the rows fit {describe_ways(seen)}")
    if seen.by_chance > MAX_CHANCE:
        return Unknown(
            reason=f"the rows fit {describe_ways(seen)}, but so few digits or rows fit some way by "
            f"chance in {seen.by_chance:.0%} of tables; add the mean K drafted as a column, or rows"
        )
    return _report_extra(seen)


def _report_extra(seen: Fits) -> Outcome:
    ratios = [(arm, _forwards(arm, seen)) for arm in seen.arms]
    arm, forwards = next((arm, ratio) for arm, ratio in ratios if ratio)
    share, depth = arm.get("accept_frac"), inference.own_depth(arm, seen.depth)
    quotient = f"(1 + {share} x {depth}) / {arm.get('tokens_per_forward')} = {forwards}"
    settled, suspects = _settle_by_time(seen), ("perf/two-target-forwards",)
    return report_finding(
        f"{describe_ways(seen)}: in {arm} {quotient} target forwards a round, and so in all "
        f"{len(seen.arms)} rows; {settled}",
        [measure(f"target forwards a round, {arm}", ratio) for arm, ratio in ratios if ratio],
        "take the correction or bonus from the verify pass's own logits and feed it with the next "
        "drafts; or mend the counter",
        suspects=suspects,
        confirm=("specprof run --draft <the target> --temperature 0",),
    )


def _forwards(arm: Arm, seen: Fits) -> Figure | None:
    share, printed = arm.get("accept_frac"), arm.get("tokens_per_forward")
    depth = inference.own_depth(arm, seen.depth)
    return (exactly(1) + share * depth) / printed if share and printed and depth else None


def _settle_by_time(seen: Fits) -> str:
    """Say by the time of a round, where it is printed, whether the forward is real."""
    for arm in seen.arms:
        step, drafting, whole = (arm.get(n) for n in ("target_step", "draft_step", "round_time"))
        depth = inference.own_depth(arm, seen.depth)
        if step and drafting and whole and depth:
            one, two = (exactly(f) * step + depth * drafting for f in (1, 2))
            nearer = abs(whole.value - one.value) < abs(whole.value - two.value)
            verdict = "the counter is wrong" if nearer else "the forward is real"
            return (
                f"a round takes {whole.value * 1e3:.4g} ms, one forward and the drafts "
                f"{one.value * 1e3:.4g} ms, two {two.value * 1e3:.4g} ms: {verdict}"
            )
    return "target step, draft step and round time would show whether the forward is real"


def describe_ways(seen: Fits) -> str:
    """Return the possible ways of counting in words, each with its K."""
    ways = list[str]()
    for way in seen.ways:
        depths = [fit.depth for fit in seen.found if fit.way == way and fit.depth]
        least = f"K = {', '.join(map(str, depths[:4]))}" if depths else "the printed K"
        ways.append(f"{way} at {least}")
    loose = "" if seen.found[0].exact else " (as if drafts were accepted independently)"
    return " or ".join(ways) + loose


def _at_depth(seen: Fits) -> str:
    return f" at K = {seen.depth}" if seen.depth else " at the printed K"


def length_convention(results: Results) -> Outcome:
    """The acceptance length doesn't follow from accepted/drafted and K, with or without bonus."""
    seen = find_fits(results, "length")
    own = any(arm.get("depth") for arm in seen.arms)
    if seen.found and (own or len(seen.found) == 1):
        return Clear(detectable=f"a length that fits no convention; {describe_ways(seen)}")
    if seen.found:
        return Unknown(reason=f"{len(seen.arms)} rows fit {describe_ways(seen)}; add the column K")
    if not own:
        return Unknown(reason=f"no K up to {inference.MAX_DEPTH} fits all rows; add the column K")
    arm = next((each for each in seen.arms if not inference.fits_any(each, "length")), seen.arms[0])
    share, depth, length = (arm.get(name) for name in ("accept_frac", "depth", "length"))
    expected = (share or exactly(0)) * (depth or exactly(0))
    return report_finding(
        f"length {length} in {arm}, where accepted/drafted x K = {share} x {depth} = {expected}: "
        "neither that nor one more",
        [measure("length", length or exactly(0)), measure("accepted/drafted x K", expected)],
        "give the mean K really drafted where it varies; say whether the bonus token is counted",
        suspects=("meas/length-plus-one", "meas/rate-with-adaptive-k"),
    )


def acceptance_clamped(results: Results) -> Outcome:
    """Everything is accepted in every row: a clamp hides tokens that were counted too often."""
    arms = results.rows_with("accept_frac")
    full = [arm for arm in arms if (share := arm.get("accept_frac")) and share.value >= FULL_SHARE]
    honest = [arm for arm in full if _emits_all(arm)]
    left = [arm for arm in full if arm not in honest]
    if not left:
        return Clear(detectable=f"100% in any of {len(arms)} rows that doesn't emit K + 1 a round")
    if len(left) < 2 and not any(arm.get("tokens_per_forward") for arm in left):  # noqa: PLR2004
        return Unknown(reason=f"{left[0]} accepts all; add tokens per forward to check it")
    return report_finding(
        f"accepted/drafted is 100% in {rows_of(left)}, without K + 1 tokens a forward: the share "
        "was clamped, or hardly anything is drafted",
        [measure(f"accepted/drafted, {arm}", arm.get("accept_frac") or exactly(0)) for arm in left],
        "print accepted and drafted themselves, unclamped, and tokens per target forward",
        suspects=("meas/bonus-in-rate", "meas/rate-without-volume"),
    )


def _emits_all(arm: Arm) -> bool:
    depth, tokens = arm.get("depth"), arm.get("tokens_per_forward") or arm.get("length")
    return bool(depth and tokens and tokens.meets(depth + exactly(1), 0.03))


def self_draft_rejected(results: Results) -> Outcome:
    """A model that drafts for itself greedily has drafts rejected."""
    arms = [arm for arm in results.rows_with("accept_frac", "draft", "target") if _is_target(arm)]
    if not arms:
        raise MissingEvidence("no row's draft is its target", "add such a run: a cheap control")
    greedy = [arm for arm in arms if (heat := arm.get("temperature")) and not heat.value]
    if not greedy:
        return Unknown(
            reason="the self-draft's temperature is missing or above 0: sampled drafts may be "
            "rejected; add a run at temperature 0"
        )
    dense = [arm for arm in greedy if arm.texts.get("cache", "dense").lower() in ("dense", "full")]
    compared = [(arm, reached) for arm in dense if (reached := _per_reached(arm))]
    if not compared:
        return Unknown(reason="accepted/drafted falls with K by itself; add the column K")
    low = [(arm, reached) for arm, reached in compared if reached.high < _least_acceptance(arm)]
    if not low:
        limit = min(_least_acceptance(arm) for arm, _ in compared)
        return Clear(detectable=f"a greedy self-draft below {limit:.0%} per reached token")
    arm, reached = low[0]
    return report_finding(
        f"a greedy draft that is its own target is accepted {reached.value:.1%} of the times it is "
        f"reached in {arm}: with equal weights only near ties make the two differ, in fewer than "
        f"{1 - _least_acceptance(arm):.0%} of tokens",
        [measure(f"accepted/reached, as if independent, {a}", r) for a, r in low],
        "check that both have the same weights and data type; then check the draft's cache and "
        "positions after each rejection and each full acceptance",
        confirm=("specprof run --drafter self --temperature 0", "specprof run --dtype float32"),
    )


def _per_reached(arm: Arm) -> Figure | None:
    """Return accepted/reached: as printed, or computed from accepted/drafted at K (theory I7)."""
    share, depth = arm.get("accept_frac"), arm.get("depth")
    if arm.get("alpha_cond") or share is None or depth is None or depth.value < 1:
        return arm.get("alpha_cond")
    low, value, high = (
        inference.independent_alpha(min(each, 1.0), math.ceil(depth.value))
        for each in (share.low, share.value, share.high)
    )
    return Figure(value, low, high)


def _least_acceptance(arm: Arm) -> float:
    return MIN_SELF_ACCEPTANCE.get(arm.texts.get("dtype", "").lower(), MIN_SELF_ACCEPTANCE_ROUNDED)


def _is_target(arm: Arm) -> bool:
    """Whether the whole target drafts: `self` may also mean its first layers, or its heads."""
    draft, target = (arm.texts[name].lower() for name in ("draft", "target"))
    text = " ".join([arm.label, *(arm.texts.get(name, "") for name in METHOD_COLUMNS)]).lower()
    return draft in (target, "draft=target") and not any(
        word in text for word in PARTIAL_DRAFT_WORDS
    )


def loops_suspected(results: Results) -> Outcome:
    """Acceptance nears 1 while N grows and N ln PPL does not: the text repeats itself."""
    arms = sorted(
        results.rows_with("tokens", "ppl", "accept_frac"),
        key=lambda arm: arm.figures["tokens"].value,
    )
    if len({arm.figures["tokens"].value for arm in arms}) < 2:  # noqa: PLR2004
        return Unknown(reason="perplexity and acceptance are printed at one length only")
    for before, after in pairwise(arms):
        shares = [arm.get("accept_frac") or exactly(0) for arm in (before, after)]
        nats = [_nats(arm) for arm in (before, after)]
        longer = after.figures["tokens"].value > 1.2 * before.figures["tokens"].value
        if longer and shares[1].value > max(0.9, shares[0].value) and nats[1] < 1.1 * nats[0]:
            return report_finding(
                f"from {before} to {after} the text grows to {after.figures['tokens']} tokens and "
                f"N ln PPL only from {nats[0]:.4g} to {nats[1]:.4g} nats, while acceptance reaches "
                f"{shares[1].value:.1%}: the text loops, and its acceptance proves nothing",
                [
                    measure("accepted/drafted", shares[1]),
                    Measure(name="N ln PPL, shorter", value=nats[0], unit="nats"),
                    Measure(name="N ln PPL, longer", value=nats[1], unit="nats"),
                ],
                "let it stop at its end token, or feed known text; split off the rounds in a loop",
                suspects=("meas/degenerate-repetition", "meas/ignore-eos"),
            )
    return Clear(detectable="acceptance above 90% with N ln PPL flat as N grows")


def _nats(arm: Arm) -> float:
    """Return N ln PPL: the nats of the whole text."""
    return arm.figures["tokens"].value * math.log(max(arm.figures["ppl"].value, 1.0))


def identical_configs_differ(results: Results) -> Outcome:
    """Two rows of one configuration differ by more than their noise."""
    compared = ("speedup", "throughput", "latency", "accept_frac", "length", "tpot", "ppl")
    pairs = list(_pair_repeats(results.arms))
    if not pairs:
        raise MissingEvidence("no configuration ran twice", "repeat a run: it shows the noise")
    for one, other in pairs:
        for name in compared:
            first, second = one.get(name), other.get(name)
            if first and second and not first.meets(second, _noise(one, other, name)):
                return report_finding(
                    f"{one} and {other} have one configuration, and their {name} is {first} and "
                    f"{second}",
                    [measure(f"{name}, {one}", first), measure(f"{name}, {other}", second)],
                    "run each several times, in turn; give the spread; say what differs",
                    suspects=("meas/too-few-samples", "meas/state-carried-between-arms"),
                )
    return Clear(
        detectable=f"{MAX_NOISE:.0%}, or twice the stated spread, between {len(pairs)} pairs"
    )


def _pair_repeats(arms: Sequence[Arm]) -> Iterator[tuple[Arm, Arm]]:
    """Yield pairs of each row and the next rows of its configuration."""
    alike: dict[object, list[Arm]] = {}
    for arm in arms:
        if (configuration := _configuration(arm)) is not None:
            alike.setdefault(configuration, []).append(arm)
    for those in alike.values():
        for first in range(len(those) - 1):
            yield from (
                (those[first], other) for other in those[first + 1 : first + 1 + MAX_COMPARED_ROWS]
            )


def _configuration(arm: Arm) -> object:
    """Return the row's known settings; None where the table gives none."""
    keys = (
        *CONDITIONS,
        "draft",
        "depth",
        "nodes",
        "structure",
        "rule",
        "window",
        "sinks",
        "tokens",
    )
    known = tuple((str(arm.figures.get(key) or ""), arm.texts.get(key, "")) for key in keys)
    return (arm.label, known) if any(map(any, known)) else None


def _noise(one: Arm, other: Arm, name: str) -> float:
    spreads = [arm.spreads[name] for arm in (one, other) if name in arm.spreads]
    return 2 * max(spreads) if spreads else MAX_NOISE


COUNTS = (
    length_convention,
    acceptance_clamped,
    self_draft_rejected,
    loops_suspected,
    identical_configs_differ,
)
