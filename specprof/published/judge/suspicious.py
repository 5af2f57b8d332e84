"""Numbers that can be, but are seldom what they are taken for: counts (theory 1.3, 2, 9)."""

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise

from specprof.errors import MissingEvidence
from specprof.findings import Clear, Measure, Outcome, Unknown
from specprof.published.judge.incomparable import CONDITIONS
from specprof.published.judge.telling import found, measure, rows_of
from specprof.published.read import inference
from specprof.published.read.figures import Figure, exactly
from specprof.published.read.inference import Fits, fits
from specprof.published.read.results import Arm, Results

SELF = {"fp32": 0.98, "float32": 0.98, "f32": 0.98}
SELF_ROUNDED = 0.95
"""Least acceptance per reached token of a model that drafts for itself, greedily (theory S13): near
ties part the two, in two tokens of a hundred where logits are rounded to bfloat16 (theory 4.1)."""
CHANCE = 1e-4
"""Chance that figures of no common K fit a way of counting, above which a fit says nothing."""
NOISE = 0.1
"""What two runs of one configuration may differ by where the table states no spread."""
ALL = 0.9995
PARTS = (
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
"""Words of methods that draft with a part of the target, or a coarser copy of it."""
SAYING = ("rule", "structure", "dtype", "engine", "attention")
"""Columns beside the label where such a word may stand."""
NEXT = 20
"""Later rows of one configuration that each is held against."""


def extra_target_forwards(results: Results) -> Outcome:
    """The target runs more than once a round, or its forwards are counted twice."""
    seen = fits(results, "tokens_per_forward")
    if not seen.found:
        return Unknown(
            reason=f"no K up to {inference.DEEPEST} and no way of counting fits all "
            f"{len(seen.arms)} rows: they ran at different K, or their figures come from "
            "different runs; add the column K"
        )
    if inference.ONE in seen.ways:
        others = [way for way in seen.ways if way != inference.ONE]
        if others:
            return Unknown(reason=f"the rows fit {either(seen)}; add the column K, or more digits")
        return Clear(detectable=f"a second forward in {len(seen.arms)} rows; one fits{_at(seen)}")
    if inference.NO_BONUS in seen.ways:
        return Unknown(reason=f"the rows fit {either(seen)}")
    if seen.by_chance > CHANCE:
        return Unknown(
            reason=f"the rows fit {either(seen)}, but so few digits or rows fit some way by chance "
            f"in {seen.by_chance:.0%} of tables; add the column K, as drafted in the mean, or rows"
        )
    return _extra(seen)


def _extra(seen: Fits) -> Outcome:
    ratios = [(arm, _forwards(arm, seen)) for arm in seen.arms]
    arm, forwards = next((arm, ratio) for arm, ratio in ratios if ratio)
    share, depth = arm.get("accept_frac"), inference.own_depth(arm, seen.depth)
    told = f"(1 + {share} x {depth}) / {arm.get('tokens_per_forward')} = {forwards}"
    settled, suspects = _by_time(seen), ("perf/two-target-forwards",)
    return found(
        f"{either(seen)}: in {arm} {told} target forwards a round, and so in all "
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


def _by_time(seen: Fits) -> str:
    """Settle by the time of a round, where it is told, whether the forward is real."""
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
    return "target step, draft step and round time would tell a real forward from a counter's"


def either(seen: Fits) -> str:
    """Say which ways are left, each with its K."""
    told = list[str]()
    for way in seen.ways:
        depths = [fit.depth for fit in seen.found if fit.way == way and fit.depth]
        least = f"K = {', '.join(map(str, depths[:4]))}" if depths else "the K told"
        told.append(f"{way} at {least}")
    loose = "" if seen.found[0].exact else " (as if drafts stood independently)"
    return " or ".join(told) + loose


def _at(seen: Fits) -> str:
    return f" at K = {seen.depth}" if seen.depth else " at the K told"


def length_convention(results: Results) -> Outcome:
    """The acceptance length can't be what accepted/drafted and K make it, bonus in or out."""
    seen = fits(results, "length")
    own = any(arm.get("depth") for arm in seen.arms)
    if seen.found and (own or len(seen.found) == 1):
        return Clear(detectable=f"a length that fits no convention; {either(seen)}")
    if seen.found:
        return Unknown(reason=f"{len(seen.arms)} rows fit {either(seen)}; add the column K")
    if not own:
        return Unknown(reason=f"no K up to {inference.DEEPEST} fits all rows; add the column K")
    arm = next((each for each in seen.arms if not inference.fits_any(each, "length")), seen.arms[0])
    share, depth, length = (arm.get(name) for name in ("accept_frac", "depth", "length"))
    expected = (share or exactly(0)) * (depth or exactly(0))
    return found(
        f"length {length} in {arm}, where accepted/drafted x K = {share} x {depth} = {expected}: "
        "neither that nor one more",
        [measure("length", length or exactly(0)), measure("accepted/drafted x K", expected)],
        "give the mean K really drafted where it varies; say whether the bonus token is counted",
        suspects=("meas/length-plus-one", "meas/rate-with-adaptive-k"),
    )


def acceptance_clamped(results: Results) -> Outcome:
    """Everything is accepted, row for row: a clamp hides what was counted too often."""
    arms = results.having("accept_frac")
    full = [arm for arm in arms if (share := arm.get("accept_frac")) and share.value >= ALL]
    honest = [arm for arm in full if _as_deep(arm)]
    left = [arm for arm in full if arm not in honest]
    if not left:
        return Clear(detectable=f"100% in any of {len(arms)} rows that doesn't emit K + 1 a round")
    if len(left) < 2 and not any(arm.get("tokens_per_forward") for arm in left):  # noqa: PLR2004
        return Unknown(reason=f"{left[0]} accepts all; tokens per forward would tell whether so")
    return found(
        f"accepted/drafted is 100% in {rows_of(left)}, without K + 1 tokens a forward to show "
        "for it: a clamp, or hardly anything is drafted",
        [measure(f"accepted/drafted, {arm}", arm.get("accept_frac") or exactly(0)) for arm in left],
        "print accepted and drafted themselves, unclamped, and tokens per target forward",
        suspects=("meas/bonus-in-rate", "meas/rate-without-volume"),
    )


def _as_deep(arm: Arm) -> bool:
    depth, tokens = arm.get("depth"), arm.get("tokens_per_forward") or arm.get("length")
    return bool(depth and tokens and tokens.meets(depth + exactly(1), 0.03))


def self_draft_rejected(results: Results) -> Outcome:
    """A model that drafts for itself greedily has drafts rejected."""
    arms = [arm for arm in results.having("accept_frac", "draft", "target") if _is_target(arm)]
    if not arms:
        raise MissingEvidence("no row's draft is its target", "add such a run: a cheap control")
    greedy = [arm for arm in arms if (heat := arm.get("temperature")) and not heat.value]
    if not greedy:
        return Unknown(
            reason="the self-draft's temperature isn't told, or above 0: sampled by "
            "matching it owes less than 1"
        )
    dense = [arm for arm in greedy if arm.texts.get("cache", "dense").lower() in ("dense", "full")]
    told = [(arm, reached) for arm in dense if (reached := _per_reached(arm))]
    if not told:
        return Unknown(reason="accepted/drafted falls with K by itself; add the column K")
    low = [(arm, reached) for arm, reached in told if reached.high < _least(arm)]
    if not low:
        limit = min(_least(arm) for arm, _ in told)
        return Clear(detectable=f"a greedy self-draft below {limit:.0%} per reached token")
    arm, reached = low[0]
    return found(
        f"a greedy draft that is its own target stands {reached.value:.1%} of the times it is "
        f"reached in {arm}: of the same weights only near ties can part them, and they are fewer "
        f"than {1 - _least(arm):.0%}",
        [measure(f"accepted/reached, as if independent, {a}", r) for a, r in low],
        "check that both are of the same weights and type; then look at the draft's cache and "
        "positions after each rejection and each full acceptance",
        confirm=("specprof run --drafter self --temperature 0", "specprof run --dtype float32"),
    )


def _per_reached(arm: Arm) -> Figure | None:
    """Return accepted/reached: as printed, or from accepted/drafted at K by theory I7."""
    share, depth = arm.get("accept_frac"), arm.get("depth")
    if arm.get("alpha_cond") or share is None or depth is None or depth.value < 1:
        return arm.get("alpha_cond")
    low, value, high = (
        inference.independent(min(each, 1.0), math.ceil(depth.value))
        for each in (share.low, share.value, share.high)
    )
    return Figure(value, low, high)


def _least(arm: Arm) -> float:
    return SELF.get(arm.texts.get("dtype", "").lower(), SELF_ROUNDED)


def _is_target(arm: Arm) -> bool:
    """Whether the whole target drafts: `self` may as well be its first layers, or its heads."""
    draft, target = (arm.texts[name].lower() for name in ("draft", "target"))
    told = " ".join([arm.label, *(arm.texts.get(name, "") for name in SAYING)]).lower()
    return draft in (target, "draft=target") and not any(word in told for word in PARTS)


def loops_suspected(results: Results) -> Outcome:
    """Acceptance nears 1 while N ln PPL stands still as N grows: the text repeats itself."""
    arms = sorted(
        results.having("tokens", "ppl", "accept_frac"), key=lambda arm: arm.figures["tokens"].value
    )
    if len({arm.figures["tokens"].value for arm in arms}) < 2:  # noqa: PLR2004
        return Unknown(reason="perplexity and acceptance are told at one length only")
    for before, after in pairwise(arms):
        shares = [arm.get("accept_frac") or exactly(0) for arm in (before, after)]
        nats = [_nats(arm) for arm in (before, after)]
        longer = after.figures["tokens"].value > 1.2 * before.figures["tokens"].value
        if longer and shares[1].value > max(0.9, shares[0].value) and nats[1] < 1.1 * nats[0]:
            return found(
                f"from {before} to {after} the text grows to {after.figures['tokens']} tokens and "
                f"N ln PPL from {nats[0]:.4g} to {nats[1]:.4g} nats only, while acceptance "
                f"reaches {shares[1].value:.1%}: the text loops, and says nothing of the pair",
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
    pairs = list(_repeats(results.arms))
    if not pairs:
        raise MissingEvidence("no configuration is told twice", "repeat a run: it shows the noise")
    for one, other in pairs:
        for name in compared:
            first, second = one.get(name), other.get(name)
            if first and second and not first.meets(second, _noise(one, other, name)):
                return found(
                    f"{one} and {other} are of one configuration, and their {name} is {first} and "
                    f"{second}",
                    [measure(f"{name}, {one}", first), measure(f"{name}, {other}", second)],
                    "run each several times, in turn; give the spread; say what differs",
                    suspects=("meas/too-few-samples", "meas/state-carried-between-arms"),
                )
    return Clear(detectable=f"{NOISE:.0%}, or twice the stated spread, between {len(pairs)} pairs")


def _repeats(arms: Sequence[Arm]) -> Iterator[tuple[Arm, Arm]]:
    """Yield each row with the next ones of its configuration."""
    alike: dict[object, list[Arm]] = {}
    for arm in arms:
        if (told := _configuration(arm)) is not None:
            alike.setdefault(told, []).append(arm)
    for those in alike.values():
        for first in range(len(those) - 1):
            yield from ((those[first], other) for other in those[first + 1 : first + 1 + NEXT])


def _configuration(arm: Arm) -> object:
    """Return all that's told of how a row ran; None where that is nothing."""
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
    told = tuple((str(arm.figures.get(key) or ""), arm.texts.get(key, "")) for key in keys)
    return (arm.label, told) if any(map(any, told)) else None


def _noise(one: Arm, other: Arm, name: str) -> float:
    spreads = [arm.spreads[name] for arm in (one, other) if name in arm.spreads]
    return 2 * max(spreads) if spreads else NOISE


COUNTS = (
    length_convention,
    acceptance_clamped,
    self_draft_rejected,
    loops_suspected,
    identical_configs_differ,
)
