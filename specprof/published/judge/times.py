"""Times, memory and quality that seldom mean what their names say (theory 5, 6, 9)."""

from itertools import pairwise

from specprof.errors import MissingEvidence
from specprof.findings import Clear, Measure, Outcome, Unknown
from specprof.published.judge.telling import measure, report_finding, rows_of
from specprof.published.read.figures import Figure, exactly
from specprof.published.read.results import Arm, Results

MIN_UNPAID_RATIO = 0.97
"""Plain step / round from which a round is too fast to include the draft's and verify's costs."""
MAX_CLOCK_ERROR = 0.05
"""Relative difference that noise may leave between two measured times."""
MIN_SERVED_TOKENS = 1.5
"""Throughput x time per token from which parallel requests of a server explain it best."""
LOOKUP_WORDS = ("lookup", "look-up", "ngram", "n-gram", "pld", "suffix", "retriev", "rest", "sam")
STREAMING_WORDS = ("stream", "sink", "window", "swa")


def draft_cost_unpaid(results: Results) -> Outcome:
    """A drafting round takes as long as a plain step: the draft's cost was not counted.

    speed-up x target forwards per token = plain step / round (theory 1.3, 5.3).
    """
    arms = results.rows_with("speedup", "tokens_per_forward")
    free = []
    for arm in arms:
        speedup, tokens = arm.get("speedup"), arm.get("tokens_per_forward")
        deep = tokens and tokens.low > 1 + MAX_CLOCK_ERROR and not _looks_up(arm)
        if (
            speedup
            and tokens
            and deep
            and MIN_UNPAID_RATIO <= (speedup / tokens).value <= 1 + MAX_CLOCK_ERROR
        ):
            free.append((arm, speedup, tokens))
    if not free:
        return Clear(detectable=f"speed-up x target forwards per token from {MIN_UNPAID_RATIO} up")
    arm, speedup, tokens = free[0]
    return report_finding(
        f"speed-up x target forwards per token = {speedup} / {tokens} = {speedup / tokens} in "
        f"{rows_of([each[0] for each in free])}: drafting and the wider verify pass would have "
        "cost nothing",
        [measure(f"plain step / round, {a}", s / t) for a, s, t in free],
        "time whole rounds, draft included, with the device synchronised at both ends",
        suspects=("meas/no-device-sync", "meas/simulated-acceptance"),
    )


def _looks_up(arm: Arm) -> bool:
    """Whether drafts are looked up in the text, which costs almost nothing."""
    text = f"{arm.label} {arm.texts.get('draft', '')} {arm.texts.get('structure', '')}".lower()
    return any(word in text for word in LOOKUP_WORDS)


def time_proportional_to_length(results: Results) -> Outcome:
    """Without a cache time grows with the square of the length, and here it doesn't."""
    arms = [
        arm for arm in results.rows_with("tokens", "latency", drafting=False) if _is_uncached(arm)
    ]
    if not arms:
        raise MissingEvidence("no row says that it ran without a cache", "add a column: cache")
    arms.sort(key=lambda arm: arm.figures["tokens"].value)
    for first, last in pairwise(arms):
        longer = last.figures["tokens"] / first.figures["tokens"]
        slower = last.figures["latency"] / first.figures["latency"]
        if longer.value > 1.5 and slower.meets(longer, 0.02):  # noqa: PLR2004 - a real step
            return report_finding(
                f"without a cache {longer} times the tokens took {slower} times as long "
                f"({first}, {last}): recomputing all of them each step would take the square",
                [measure("tokens, ratio", longer), measure("time, ratio", slower)],
                "make sure that the cache is off, and that the lengths are those that ran",
                suspects=("meas/relabelled-length",),
            )
    if len(arms) < 2:  # noqa: PLR2004
        return Unknown(reason="only one length ran without a cache")
    return Clear(detectable=f"time within 2% of proportional over {len(arms)} lengths")


def _is_uncached(arm: Arm) -> bool:
    return arm.texts.get("cache", "").lower() in ("none", "no", "off", "false", "no cache", "0")


def throughput_times_latency(results: Results) -> Outcome:
    """Throughput times latency is not the number of tokens."""
    off, arms = [], results.rows_with("throughput", "latency", "tokens", drafting=False)
    for arm in arms:
        speed, time, tokens = (arm.figures[name] for name in ("throughput", "latency", "tokens"))
        made = speed * time
        spans = [made] + ([speed * (time - arm.figures["ttft"])] if "ttft" in arm.figures else [])
        counts = [tokens, tokens - exactly(1)] + [
            tokens * arm.figures[name] for name in ("batch", "samples") if name in arm.figures
        ]
        if not any(span.meets(count, MAX_CLOCK_ERROR) for span in spans for count in counts):
            off.append((arm, made, tokens))
    if not off:
        return Clear(
            detectable=f"{MAX_CLOCK_ERROR:.0%} between throughput x latency and the printed tokens"
        )
    arm, made, tokens = off[0]
    return report_finding(
        f"throughput x latency = {arm.figures['throughput']} x {arm.figures['latency']} = {made} "
        f"and the tokens are {tokens} in {rows_of([each[0] for each in off])}: "
        f"{(made / tokens).value:.3g} times as many",
        [measure(f"throughput x latency / tokens, {a}", m / t) for a, m, t in off],
        "say whether the throughput is the batch's or one request's, and what the latency covers",
        suspects=("meas/prefill-mixed-in", "meas/unequal-arms"),
    )


def mean_of_rates(results: Results) -> Outcome:
    """The mean of tokens per second is above 1 / (time per token): a mean of rates, not a rate."""
    over, served = list[tuple[Arm, Figure]](), list[tuple[Arm, Figure]]()
    for arm in results.rows_with("throughput", "tpot", drafting=False):
        batch = arm.figures.get("batch", exactly(1))
        if not batch.value:
            continue
        ratio = arm.figures["throughput"] * arm.figures["tpot"] / batch
        if ratio.low > 1 + MAX_CLOCK_ERROR:
            many = "batch" not in arm.figures and ratio.low > MIN_SERVED_TOKENS
            (served if many else over).append((arm, ratio))
    if served and not over:
        return Unknown(
            reason=f"in {served[0][0]} throughput x TPOT = {served[0][1]}: parallel requests would "
            "explain it; add the batch or concurrency"
        )
    if not over:
        return Clear(
            detectable=f"a throughput {MAX_CLOCK_ERROR:.0%} above 1 / TPOT, the batch allowed for"
        )
    arm, ratio = over[0]
    return report_finding(
        f"throughput x TPOT = {ratio} in {rows_of([each[0] for each in over])}: a mean of each "
        "request's tokens per second lies above total tokens / total time wherever times vary, or "
        "a batch is missing",
        [measure(f"throughput x time per token, {a}", r) for a, r in over],
        "give total tokens / total time; give the batch",
        suspects=("meas/mean-hides-classes", "meas/burst-latency"),
    )


def window_saves_too_little(results: Results) -> Outcome:
    """A window's memory isn't (S + W) / L of the dense cache's, as its number of tokens is."""
    arms = results.rows_with("kv_memory", "context", drafting=False)
    windowed = [arm for arm in arms if arm.get("window")]
    dense = [arm for arm in arms if not arm.get("window") and not _streams(arm)]
    off = []
    for arm in windowed:
        held, length = _held_tokens(arm), arm.figures["context"]
        like = [a for a in dense if a.figures["context"].meets(length, 0.01)]
        if like and held.high < length.low:
            share = arm.figures["kv_memory"] / like[0].figures["kv_memory"]
            if not share.meets(held / length, 0.15):
                off.append((arm, share, held / length))
    if not windowed or not dense:
        raise MissingEvidence(
            "no context has both a window's and a dense cache", "add window, sinks, kv_memory"
        )
    if not off:
        return Clear(detectable="a window's memory 15% from (S + W) / L of the dense cache's")
    arm, share, expected = off[0]
    return report_finding(
        f"{arm} keeps {share} of the dense cache's memory, and (S + W) / L = {expected} of the "
        "tokens: it isn't evicting, or this isn't the cache's memory",
        [measure("window's memory / dense", share), measure("(S + W) / L", expected)],
        "read the cache's own bytes, not the process's; check its length after each eviction",
    )


def _held_tokens(arm: Arm) -> Figure:
    return arm.figures["window"] + arm.figures.get("sinks", exactly(0))


def perplexity_of_own_text(results: Results) -> Outcome:
    """The perplexity is of text that the model wrote itself: it is low at any quality."""
    arms = results.rows_with("ppl", drafting=False)
    words = ("own", "generated", "self-generated", "model output", "greedy output")
    own = [arm for arm in arms if arm.texts.get("text", "").lower().startswith(words)]
    if own:
        return report_finding(
            f"{rows_of(own)}: perplexity {own[0].figures['ppl']} is of the model's own text, which "
            "greedy decoding makes likely by construction",
            [measure(f"perplexity, {arm}", arm.figures["ppl"]) for arm in own],
            "score known text, a token at a time under the cache policy",
            suspects=("meas/perplexity-alignment", "meas/degenerate-repetition"),
        )
    if not any("text" in arm.texts for arm in arms):
        return Unknown(reason="no row names the text of its perplexity; add a column: text")
    return Clear(detectable="rows that call their text their own")


def dense_better_beyond_training(results: Results) -> Outcome:
    """Far past the trained length a dense cache has a lower perplexity than a window."""
    arms = results.rows_with("ppl", "context", "trained_context", drafting=False)
    far = [a for a in arms if a.figures["context"].low > 2 * a.figures["trained_context"].high]
    pairs = [
        (dense, window)
        for dense in far
        for window in far
        if _streams(window)
        and not _streams(dense)
        and dense.figures["context"].value == window.figures["context"].value
    ]
    if not pairs:
        title = "no dense and windowed perplexity at one context past twice the trained length"
        raise MissingEvidence(title, "add them")
    better = [(d, w) for d, w in pairs if d.figures["ppl"].high < w.figures["ppl"].low]
    if not better:
        return Clear(detectable=f"a dense cache ahead in any of {len(pairs)} pairs")
    dense, window = better[0]
    return report_finding(
        f"at {dense.figures['context']} tokens, past the trained "
        f"{dense.figures['trained_context']}, {dense} has perplexity {dense.figures['ppl']} and "
        f"{window} {window.figures['ppl']}: dense attention over unseen positions should be worse",
        [measure("dense", dense.figures["ppl"]), measure("window", window.figures["ppl"])],
        "check the trained length, and that the dense cache is dense: its own length at the end",
        suspects=("pos/streaming-keys-not-reindexed",),
        confirm=("specprof run --workload ppl --cache dense",),
    )


def _streams(arm: Arm) -> bool:
    text = f"{arm.texts.get('cache', '')} {arm.label}".lower()
    return bool(arm.get("window")) or any(word in text for word in STREAMING_WORDS)


def cost_of_rounds(results: Results) -> Outcome:
    """By speed-up and tokens per forward, a round costs too many plain steps to pay."""
    arms = results.rows_with("speedup", "tokens_per_forward")
    compared = [
        (arm, tokens / speedup)
        for arm in arms
        if (speedup := arm.get("speedup")) and (tokens := arm.get("tokens_per_forward"))
        if speedup.low
    ]
    slow = [
        (arm, cost)
        for arm, cost in compared
        if cost.low > 1 and (arm.get("speedup") or cost).high < 1
    ]
    if not slow:
        return Clear(detectable=f"a speed-up below 1 in any of {len(arms)} rows")
    arm, cost = slow[0]
    return report_finding(
        f"{rows_of([each[0] for each in slow])}: slower than plain decoding; a round costs "
        f"{cost} plain steps and yields {arm.get('tokens_per_forward')} tokens",
        [
            *(measure(f"plain steps a round, {a}", c) for a, c in slow),
            Measure(name="rows slower than plain", value=len(slow), n=len(compared)),
        ],
        "cut draft steps or their cost; record rounds: a table can't say which term is off",
        suspects=("perf/draft-cost-ratio",),
        confirm=("specprof run --depth 1",),
    )


TIMES = (
    draft_cost_unpaid,
    time_proportional_to_length,
    throughput_times_latency,
    mean_of_rates,
    window_saves_too_little,
    perplexity_of_own_text,
    dense_better_beyond_training,
    cost_of_rounds,
)
