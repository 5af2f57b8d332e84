"""Numbers that no correct engine and no correct counter can print together (theory 1.2, 1.3).

Every comparison is between the intervals of the printed digits: rounding alone never makes a
finding. A clock's noise is allowed 5%. A ratio of counts is allowed 3%, because some engines count
a prefill's token or forward and others don't.
"""

from itertools import pairwise

from specprof.errors import MissingEvidence
from specprof.findings import Clear, Outcome
from specprof.published.judge.telling import measure, report_finding, rows_of
from specprof.published.read import inference
from specprof.published.read.figures import Figure, exactly
from specprof.published.read.results import Arm, Results

MAX_CLOCK_ERROR = 0.05
"""Relative difference that noise may leave between two measured times."""
MAX_COUNT_SHIFT = 0.03
"""Relative change of a count by one token or forward per request outside any round."""
FLOAT_ERROR = 1e-9
SHARES = ("accept_frac", "alpha_cond", "accept_per_node", "efficiency")


def share_above_one(results: Results) -> Outcome:
    """A share of drafted tokens is above 1: it counts tokens that were never drafted."""
    shares = [(arm, name) for arm in results.arms for name in SHARES if arm.get(name)]
    if not shares:
        raise MissingEvidence("no column is a share", "add a column like accept_frac")
    over = [(a, n, f) for a, n in shares if (f := a.get(n)) and f.low > 1 + FLOAT_ERROR]
    if not over:
        return Clear(detectable=f"any of {len(shares)} shares above 1")
    arm, name, figure = over[0]
    return report_finding(
        f"{name.replace('_', ' ')} = {figure} in {arm}: no share can be above 1",
        [measure(f"{name}, {a}", f) for a, name, f in over],
        "count accepted drafted tokens only, without the target's own token, over drafted tokens",
        suspects=("meas/bonus-in-rate", "meas/non-prefix-accepts-counted"),
    )


def accepted_above_drafted(results: Results) -> Outcome:
    """More drafted tokens were accepted than drafted."""
    arms = results.rows_with("accepted", "drafted")
    over = [arm for arm in arms if arm.figures["accepted"].low > arm.figures["drafted"].high]
    if not over:
        return Clear(detectable="one accepted token too many in any row")
    arm = over[0]
    accepted, drafted = arm.figures["accepted"], arm.figures["drafted"]
    return report_finding(
        f"accepted = {accepted} > drafted = {drafted} in {arm}",
        [measure("accepted", accepted), measure("drafted", drafted)],
        "count each accepted draft once, and none after a stop",
        suspects=("meas/bonus-in-rate", "meas/post-eos-counted"),
    )


def accepts_beyond_prefix(results: Results) -> Outcome:
    """More drafts are counted as accepted than the emitted tokens allow: A > N - R."""
    arms = [a for a in results.arms if a.get("accepted") and a.get("tokens") and _rounds_of(a)]
    if not arms:
        return _by_efficiency(results)
    over = []
    for arm in arms:
        rounds, tokens, accepted = _rounds_of(arm), arm.figures["tokens"], arm.figures["accepted"]
        if rounds and accepted.low > tokens.high - rounds.low + _count_cut_off(arm) + FLOAT_ERROR:
            over.append((arm, rounds))
    if not over:
        return Clear(detectable="more accepted tokens than tokens less rounds, less what stops cut")
    arm, rounds = over[0]
    tokens, drafted = arm.figures["tokens"], arm.get("drafted")
    room = tokens - rounds
    own = f"; a prefix count gives {room.value / drafted.value:.3f}" if drafted else ""
    return report_finding(
        f"accepted = {arm.figures['accepted']}, but {tokens} tokens - {rounds} rounds leave {room} "
        f"in {arm}{own}: the count includes drafts after the first rejection",
        [measure("accepted", arm.figures["accepted"]), measure("tokens - rounds", room)],
        "count the leading run of accepted drafts of each round only",
        suspects=("meas/non-prefix-accepts-counted", "meas/post-eos-counted"),
    )


def _by_efficiency(results: Results) -> Outcome:
    """Compare accepted/drafted with the prefix' own share, (e (K + 1) - 1) / K.

    The system efficiency e is N / (R (K + 1)).
    """
    arms = results.rows_with("accept_frac", "efficiency", "depth")
    for arm in arms:
        share, efficiency, depth = (
            arm.get(name) or exactly(0) for name in ("accept_frac", "efficiency", "depth")
        )
        prefix = (efficiency * (depth + exactly(1)) - exactly(1)) / depth
        if share.low > prefix.high * (1 + MAX_COUNT_SHIFT):
            return report_finding(
                f"accepted/drafted = {share}, but ({efficiency} x ({depth} + 1) - 1) / {depth} = "
                f"{prefix} of the drafts were emitted in {arm}: the share counts drafts after the "
                "first rejection",
                [measure("accepted/drafted", share), measure("by the emitted tokens", prefix)],
                "count the leading run of accepted drafts of each round only",
                suspects=("meas/non-prefix-accepts-counted",),
            )
    return Clear(
        detectable=f"a share {MAX_COUNT_SHIFT:.0%} above what system efficiency leaves room for"
    )


def fewer_tokens_than_forwards(results: Results) -> Outcome:
    """Less than one token per target forward: a forward always yields one (theory I3)."""
    arms = results.rows_with("tokens_per_forward", drafting=False)
    low = [
        (a, f) for a in arms if (f := a.get("tokens_per_forward")) and f.high < 1 - MAX_COUNT_SHIFT
    ]
    if not low:
        return Clear(
            detectable=f"less than {1 - MAX_COUNT_SHIFT} tokens a forward in {len(arms)} rows"
        )
    figure = low[0][1]
    return report_finding(
        f"{figure} tokens per target forward in {rows_of([a for a, _ in low])}: every verify pass "
        "commits at least one, so the target runs more than once a round, or forwards are "
        "miscounted",
        [measure(f"tokens per target forward, {a}", f) for a, f in low],
        "count one target forward a round; if the time says that there are two, feed the pending "
        "token with the drafts",
        suspects=("perf/two-target-forwards",),
        confirm=("specprof run --draft <the same pair>",),
    )


def tokens_above_depth(results: Results) -> Outcome:
    """A round yields more tokens than its drafts and one more: N/F or tau > K + 1."""
    names = ("tokens_per_forward", "length", "accepted_per_round")
    counted = [
        (arm, name)
        for arm in results.arms
        if arm.drafts and (depth := arm.get("depth")) and depth.value
        for name in names
        if arm.get(name)
    ]
    if not counted:
        raise MissingEvidence("no row has K and the tokens of a round", "add the column K")
    over = []
    for arm, name in counted:
        depth, figure = arm.get("depth"), arm.get(name)
        most = (depth or exactly(0)) + exactly(0 if name == "accepted_per_round" else 1)
        if figure and figure.low > most.high * (1 + MAX_COUNT_SHIFT):
            over.append((arm, name, figure, most))
    if not over:
        return Clear(detectable=f"more than K + 1 tokens a round in any of {len(counted)} figures")
    arm, name, figure, most = over[0]
    return report_finding(
        f"{name.replace('_', ' ')} = {figure} in {arm}, but a round yields {most} at most",
        [measure(f"{name}, {a}", f) for a, name, f, _ in over],
        "count the bonus token once; check whether K is the depth of a tree or its nodes",
        suspects=("meas/length-plus-one", "meas/alpha-vs-tree-length"),
    )


def survival_rising(results: Results) -> Outcome:
    """A later index was accepted in more rounds than the one before it (theory I1)."""
    arms = [arm for arm in results.arms if len(arm.survival) > 1]
    if not arms:
        if any(len(arm.positions) > 1 for arm in results.arms):
            title = "the rates by draft index don't say whether per round or per reached token"
            raise MissingEvidence(title, "name them S_1, S_2 ... (per round) or c_1, c_2 ...")
        raise MissingEvidence("no column is a rate by draft index", "add columns S_1, S_2 ...")
    for arm in arms:
        for (before, first), (index, later) in pairwise(sorted(arm.survival.items())):
            if later.low > first.high + FLOAT_ERROR:
                return report_finding(
                    f"S_{index} = {later} > S_{before} = {first} in {arm}: a draft is accepted "
                    "only if all drafts before it are",
                    [measure(f"S_{before}", first), measure(f"S_{index}", later)],
                    "count the leading run only, over all rounds; rates over reached tokens are c",
                    suspects=("meas/non-prefix-accepts-counted",),
                )
    return Clear(detectable=f"any rise in {len(arms)} rows")


def counts_disagree(results: Results) -> Outcome:
    """Fewer tokens were verified than accepted: f = (1 + a K) / (N/F) < 1 (theory 1.3)."""
    ratios, problems = [], 0
    for arm in results.rows_with("accept_frac", "tokens_per_forward", "depth"):
        share, depth = arm.get("accept_frac"), arm.get("depth")
        printed = arm.get("tokens_per_forward")
        if share and depth and printed and depth.value and not arm.tree:
            problems += 1
            forwards = (exactly(1) + share * depth) / printed
            if forwards.high < 1 - MAX_COUNT_SHIFT:
                ratios.append((arm, forwards, share, depth, printed))
    if not ratios:
        least = 1 - MAX_COUNT_SHIFT
        return Clear(detectable=f"f = (1 + a K) / (N/F) below {least} in any of {problems} rows")
    arm, forwards, share, depth, printed = ratios[0]
    return report_finding(
        f"(1 + {share} x {depth}) / {printed} = {forwards} target forwards a round in "
        f"{rows_of([each[0] for each in ratios])}: a round has one at least, so the figures don't "
        "belong together",
        [measure(f"target forwards a round, {each[0]}", each[1]) for each in ratios],
        "take both from the same run; with drafts of varying length, give the mean K drafted",
        suspects=("meas/rate-with-adaptive-k", "meas/length-plus-one"),
    )


def survival_disagrees(results: Results) -> Outcome:
    """The length is not 1 + the sum of the S_i, with the bonus or without (theory I5)."""
    arms = [arm for arm in results.rows_with("length") if inference.length_by_survival(arm)]
    if not arms:
        raise MissingEvidence("no row has a length and every S_i", "add columns S_1 to S_K")
    off = []
    for arm in arms:
        summed, printed = inference.length_by_survival(arm), arm.get("length")
        if summed and printed and not _adds_up(arm, summed, printed):
            off.append((arm, summed, printed))
    if not off:
        return Clear(detectable="a length 0.5% from 1 + the sum of S_i, with the bonus or without")
    arm, summed, printed = off[0]
    return report_finding(
        f"1 + the sum of S_i = {summed} and the length is {printed} in {arm}",
        [measure("1 + sum of S_i", summed), measure("length", printed)],
        "count both over all rounds that drafted; say whether the bonus token is in",
        suspects=("meas/length-plus-one", "meas/non-prefix-accepts-counted"),
    )


def _adds_up(arm: Arm, summed: Figure, printed: Figure) -> bool:
    """Whether the length may be the sum, with or without the bonus.

    Where K is missing there may be further indices, so the length only must not be below the sum.
    """
    depth, without = arm.get("depth"), summed - exactly(1)
    if depth and depth.low == depth.high == len(arm.survival):
        return printed.meets(summed, 0.005) or printed.meets(without, 0.005)
    return printed.high * 1.005 >= without.low


def speedup_above_tokens(results: Results) -> Outcome:
    """The speed-up exceeds tokens per target forward: drafting would cost less than nothing."""
    over, compared = [], 0
    for arm in results.arms:
        speedup, tokens = arm.get("speedup"), _most_tokens(arm)
        if speedup and tokens and arm.drafts:
            compared += 1
            if speedup.low > tokens.high * (1 + MAX_CLOCK_ERROR):
                over.append((arm, speedup, tokens))
    if not compared:
        raise MissingEvidence("no row has a speed-up and tokens per round", "add the columns")
    if not over:
        return Clear(
            detectable=f"a speed-up {MAX_CLOCK_ERROR:.0%} above N/F in any of {compared} rows"
        )
    arm, speedup, tokens = over[0]
    return report_finding(
        f"a speed-up of {speedup} at {tokens} or fewer tokens per target forward in "
        f"{rows_of([each[0] for each in over])}: a round would cost less than a plain step",
        [measure(f"speed-up / tokens per forward, {a}", s / t) for a, s, t in over],
        "time the baseline with the same engine, type, cache and context as the drafting run",
        suspects=("meas/unequal-arms", "meas/no-warm-up"),
    )


def _most_tokens(arm: Arm) -> Figure | None:
    """Return N/F, or an upper bound from a length that may leave the bonus token out."""
    length = arm.get("length")
    return arm.get("tokens_per_forward") or (length + exactly(1) if length else None)


def perplexity_below_one(results: Results) -> Outcome:
    """A perplexity is below 1: that is a probability above 1."""
    arms = results.rows_with("ppl", drafting=False)
    low = [arm for arm in arms if arm.figures["ppl"].high < 1 - FLOAT_ERROR]
    if not low:
        return Clear(detectable=f"a perplexity below 1 in any of {len(arms)} rows")
    return report_finding(
        f"perplexity {low[0].figures['ppl']} in {rows_of(low)}: below 1",
        [measure(f"perplexity, {arm}", arm.figures["ppl"]) for arm in low],
        "logits[t] score token t + 1; sum the loss in fp32 over the tokens really scored",
        suspects=("meas/perplexity-alignment",),
    )


def _rounds_of(arm: Arm) -> Figure | None:
    """Return the rounds: as printed, or drafted / K as if every round drafted K."""
    rounds, drafted, depth = (arm.get(name) for name in ("rounds", "drafted", "depth"))
    return rounds or (drafted / depth if drafted and depth and depth.value else None)


def _count_cut_off(arm: Arm) -> float:
    """Return how many accepted drafts stops may have cut off: K per request (theory I2)."""
    depth, requests = arm.get("depth") or exactly(1), arm.get("samples")
    if requests:
        return depth.high * requests.high
    return max(depth.high, MAX_COUNT_SHIFT * arm.figures["tokens"].high)


IMPOSSIBLE = (
    share_above_one,
    accepted_above_drafted,
    accepts_beyond_prefix,
    fewer_tokens_than_forwards,
    tokens_above_depth,
    survival_rising,
    counts_disagree,
    survival_disagrees,
    speedup_above_tokens,
    perplexity_below_one,
)
