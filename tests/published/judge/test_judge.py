"""Printed results: the impossible is found, the correct never accused, the rest left open."""

import numpy as np
import pytest

import captures
from specprof.diagnosis import report
from specprof.findings import Clear, Crashed, Found, Unknown
from specprof.published.judge import checks, diagnose_results
from specprof.published.judge.impossible import IMPOSSIBLE
from specprof.published.read import inference
from specprof.published.read.results import understand_sheet
from specprof.published.read.sheets import Sheet

NEVER = {check.__name__.replace("_", "-") for check in IMPOSSIBLE}


def table(headings, *rows):
    return understand_sheet(
        Sheet("results.md", headings, [[str(cell) for cell in row] for row in rows])
    )


def judged(headings, *rows):
    diagnosis = diagnose_results(table(headings, *rows))
    assert not any(isinstance(each.outcome, Crashed) for each in diagnosis.verdicts)
    return {each.rule: each.outcome for each in diagnosis.verdicts}, diagnosis


def fired(headings, *rows):
    outcomes, _ = judged(headings, *rows)
    return {name for name, outcome in outcomes.items() if isinstance(outcome, Found)}


def test_llama_cpps_own_log_is_consistent():
    """167 of 259, 87 rounds, S = (.805, .632, .483): 1 + 167/87 = 2.920 = 1 + sum S."""
    outcomes, _ = judged(
        ["accepted", "drafted", "rounds", "accept", "S_1", "S_2", "S_3", "tau"],
        (167, 259, 87, "64.5%", ".805", ".632", ".483", 2.920),
    )
    assert not any(isinstance(outcome, Found) for outcome in outcomes.values())
    for name in ("accepted-above-drafted", "survival-rising", "survival-disagrees"):
        assert isinstance(outcomes[name], Clear)


def test_vllm_v0s_log_counts_accepts_beyond_the_prefix():
    """8547 of 13311 at K = 3, 10616 emitted: 6179 accepts fit, a share of .464 and not .642."""
    headings = ["accepted", "drafted", "tokens", "K", "acceptance rate"]
    outcomes, _ = judged(headings, (8547, 13311, 10616, 3, 0.642))
    message = outcomes["accepts-beyond-prefix"].finding.message
    assert "leave 6,179" in message
    assert "0.464" in message
    rates = judged(["acceptance rate", "system efficiency", "K"], (0.642, 0.598, 3))[0]
    assert "0.464" in rates["accepts-beyond-prefix"].finding.message


def printed(share, depth, way, digits):
    """A row as an engine that works that way would print it, at independent drafts."""
    alpha = inference.independent_alpha(share, depth)
    full, tokens = alpha**depth, 1 + share * depth
    made = {
        inference.ONE_FORWARD: tokens,
        inference.TWO_FORWARDS: tokens / 2,
        inference.THREE_FORWARDS: tokens / 3,
        inference.REPLAYED: tokens / (2 - full),
        inference.NO_BONUS: tokens - full,
    }[way]
    return f"{share:.{digits}f}", f"{made:.{digits}f}", f"{full:.{digits}f}"


SHARES = (0.823, 0.412, 0.655, 0.217)


@pytest.mark.parametrize("depth", [2, 3, 4, 5, 8, 16])
@pytest.mark.parametrize(
    "way", [inference.ONE_FORWARD, inference.TWO_FORWARDS, inference.THREE_FORWARDS]
)
def test_planted_depth_and_forwards_are_recovered(depth, way):
    """K and f together, from four rows of three decimals, neither of them told."""
    rows = [printed(share, depth, way, 3)[:2] for share in SHARES]
    seen = inference.find_fits(
        table(["accept rate", "tokens per target forward"], *rows), "tokens_per_forward"
    )
    assert [(fit.way, fit.depth) for fit in seen.found if fit.exact] == [(way, depth)]


@pytest.mark.parametrize("way", [inference.REPLAYED, inference.NO_BONUS])
def test_what_happens_only_in_some_rounds_is_recovered_too(way):
    """With S_K printed it is exact; without, it rests on independence and says so."""
    rows = [printed(share, 4, way, 3) for share in SHARES]
    told = [(a, 4, f, s) for a, f, s in rows]
    headings = ["accept rate", "K", "tokens per target forward", "S_4"]
    (fit,) = inference.find_fits(table(headings, *told), "tokens_per_forward").found
    assert (fit.way, fit.exact) == (way, True)
    loose = inference.find_fits(
        table(headings[:3], *(row[:3] for row in told)), "tokens_per_forward"
    )
    assert way in loose.ways
    assert not any(fit.exact for fit in loose.found)


def test_too_few_digits_leave_it_open():
    """One row of one decimal fits much; nothing is claimed."""
    outcomes, _ = judged(["accept rate", "tokens per target forward"], ("0.5", "2.0"))
    assert isinstance(outcomes["extra-target-forwards"], Unknown)


def test_time_settles_whether_a_second_forward_is_real():
    """A round's time against one forward and the drafts, or two."""
    headings = [
        "K",
        "accept rate",
        "tokens per target forward",
        "target step (ms)",
        "draft step (ms)",
    ]
    for whole, verdict in ((24.0, "the forward is real"), (14.1, "the counter is wrong")):
        outcomes, _ = judged(
            [*headings, "round time (ms)"],
            (4, "0.412", "1.324", "10.0", "1.0", whole),
            (4, "0.655", "1.810", "10.0", "1.0", whole),
        )
        finding = outcomes["extra-target-forwards"].finding
        assert verdict in finding.message
        assert finding.suspects == ("perf/two-target-forwards",)


def healthy(seed):
    """A table a correct engine and an honest clock could have printed: any K, 2 to 4 digits."""
    random = np.random.default_rng(seed)
    digits, rows = int(random.integers(2, 5)), []
    for number in range(int(random.integers(1, 6))):
        deepest, alpha = int(random.integers(1, 17)), random.uniform(0.02, 0.99)
        depths = (
            random.integers(1, deepest + 1, 400) if random.random() < 0.3 else np.full(400, deepest)
        )
        runs = random.random((400, deepest)) < alpha
        accepted = np.minimum(np.cumprod(runs, axis=1).sum(axis=1), depths)
        rounds, tokens = len(depths), int(accepted.sum()) + len(depths)
        step, draft = 10.0, random.uniform(0.1, 9)
        spent = float((step * random.uniform(1, 2) + draft * depths).sum())
        mean_depth = depths.mean()
        rows.append(
            (
                f"run {number}",
                f"{mean_depth:.{digits}f}" if depths.std() else deepest,
                f"{accepted.sum() / depths.sum():.{digits}f}",
                f"{tokens / rounds:.{digits}f}",
                f"{(accepted.sum() / rounds) + random.integers(0, 2):.{digits}f}",
                int(accepted.sum()),
                int(depths.sum()),
                tokens,
                rounds,
                *(f"{(accepted >= i).mean():.{digits}f}" for i in (1, 2)),
                f"{tokens * step / spent:.{digits}f}",
                f"{1 + random.exponential(8):.{digits}f}",
            )
        )
    headings = ["name", "K", "accept rate", "tokens per target forward", "tau", "accepted"]
    return [*headings, "drafted", "tokens", "rounds", "S_1", "S_2", "speedup", "ppl"], rows


def test_a_correct_engines_table_is_never_called_impossible():
    """300 tables: none of the checks of the impossible fires, nor is a bug named, in any."""
    for seed in range(300):
        headings, rows = healthy(seed)
        outcomes, diagnosis = judged(headings, *rows)
        found = {name for name, outcome in outcomes.items() if isinstance(outcome, Found)}
        assert not found & NEVER, (seed, found)
        assert not any(each.family == "bug" for each in diagnosis.found), (seed, found)


@pytest.mark.parametrize(
    ("name", "headings", "rows"),
    [
        ("share-above-one", ["K", "accept rate"], [(4, 1.25)]),
        ("accepted-above-drafted", ["accepted", "drafted"], [(120, 100)]),
        ("fewer-tokens-than-forwards", ["tokens per target forward", "K"], [(0.81, 4)]),
        ("tokens-above-depth", ["K", "tau"], [(3, 4.6)]),
        ("survival-rising", ["S_1", "S_2"], [(0.61, 0.64)]),
        ("counts-disagree", ["K", "accept rate", "tokens per target forward"], [(3, 0.50, 3.1)]),
        ("survival-disagrees", ["K", "S_1", "S_2", "tau"], [(2, 0.8, 0.6, 2.1)]),
        ("speedup-above-tokens", ["speedup", "tokens per target forward"], [(3.4, 2.5)]),
        ("perplexity-below-one", ["ppl"], [(0.7,)]),
        ("length-convention", ["K", "accept rate", "tau"], [(4, "0.500", "2.400")]),
        (
            "acceptance-clamped",
            ["name", "accept rate", "K", "tokens per forward"],
            [("a", "100%", 4, 2.7), ("b", "100%", 4, 3.1)],
        ),
        (
            "self-draft-rejected",
            ["draft", "target", "temperature", "K", "accept rate"],
            [("m-7b", "m-7b", 0, 4, 0.83)],
        ),
        (
            "loops-suspected",
            ["tokens", "ppl", "accept rate"],
            [(1000, 4.0, 0.7), (5000, 1.32, 0.99)],
        ),
        (
            "identical-configs-differ",
            ["name", "K", "speedup", "accept rate"],
            [("a", 4, 1.9, 0.7), ("a", 4, 1.3, 0.7)],
        ),
        (
            "arms-unequal",
            ["name", "dtype", "batch", "tok/s", "accept rate"],
            [("baseline", "fp32", 1, 30, ""), ("eagle", "bf16", 1, 70, 0.7)],
        ),
        ("rates-of-different-depths", ["K", "accept rate"], [(1, 0.8), (4, 0.59)]),
        ("chains-beside-trees", ["structure", "tau"], [("chain", 2.4), ("tree", 3.4)]),
        ("lossy-beside-lossless", ["rule", "tau"], [("typical", 3.4), ("rejection", 2.4)]),
        ("draft-cost-unpaid", ["speedup", "tokens per target forward"], [(2.50, 2.52)]),
        (
            "time-proportional-to-length",
            ["cache", "tokens", "latency (s)"],
            [("none", 1000, "10.00"), ("none", 4000, "40.00")],
        ),
        ("throughput-times-latency", ["tok/s", "latency (s)", "tokens"], [(40, 10.0, 100)]),
        ("mean-of-rates", ["tok/s", "tpot (ms)"], [(60.0, 25.0)]),
        (
            "window-saves-too-little",
            ["cache", "context", "window", "sinks", "kv memory (GiB)"],
            [("dense", 20000, "", "", 2.44), ("stream", 20000, 1020, 4, 2.40)],
        ),
        ("perplexity-of-own-text", ["text", "ppl"], [("generated", 1.21)]),
        (
            "dense-better-beyond-training",
            ["cache", "context", "trained context", "ppl"],
            [("dense", 20000, 2048, 6.1), ("stream", 20000, 2048, 8.4)],
        ),
        ("cost-of-rounds", ["speedup", "tokens per target forward"], [(0.81, 2.5)]),
        ("below-zero", ["K", "accept rate", "tau"], [(4, "-0.2", 1.8)]),
        ("counts-not-as-printed", ["accepted", "drafted", "accept rate"], [(378, 520, "82.69%")]),
        ("counts-not-as-printed", ["tokens", "target forwards", "n/f"], [(512, 180, 3.84)]),
        ("reached-below-drafted", ["accept rate", "alpha"], [(0.61, 0.55)]),
        (
            "survival-mean-disagrees",
            ["K", "accept rate", "S_1", "S_2", "S_3"],
            [(3, "58.3%", "0.70", "0.45", "0.30")],
        ),
        (
            "latency-without-its-parts",
            ["ttft (ms)", "tpot (ms)", "latency (s)", "tokens"],
            [(46, 7.71, 1.31, 256)],
        ),
        ("latency-without-its-parts", ["ttft (ms)", "latency (ms)"], [(910, 640)]),
        (
            "speedup-not-as-timed",
            ["method", "tok/s", "speedup"],
            [("Vanilla", 36.8, "1.00x"), ("EAGLE", 77.3, "2.90x")],
        ),
        ("speedup-above-tokens", ["method", "tau", "speedup"], [("EAGLE", 3.98, "5.37x")]),
    ],
)
def test_a_planted_fault_is_found(name, headings, rows):
    """Each check by a table that only it, or it among others, must object to."""
    assert name in fired(headings, *rows)


def test_every_check_has_been_planted():
    """But the one the recoveries above show."""
    (mark,) = test_a_planted_fault_is_found.pytestmark
    assert {case[0] for case in mark.args[1]} == checks().keys() - {
        "accepts-beyond-prefix",
        "extra-target-forwards",
    }


def test_explained_differences_are_no_finding():
    """A batch explains a throughput; a like baseline, a speed-up; one K, a rate."""
    assert not fired(["tok/s", "latency (s)", "tokens", "batch"], (40, 10.0, 100, 4))
    assert not fired(
        ["name", "dtype", "tok/s", "accept rate"],
        ("plain", "bf16", 30, ""),
        ("eagle", "bf16", 70, 0.7),
    )
    assert not fired(["K", "accept rate"], (4, 0.6), (4, 0.59))


def test_hostile_tables_steer_no_terminal():
    """Headings, labels and file names are foreign text."""
    sheet = Sheet(
        captures.HOSTILE, [captures.HOSTILE, "K", "tau"], [[captures.HOSTILE, "3", "9.9"]]
    )
    told = report.lines(diagnose_results(understand_sheet(sheet)))
    assert all(sign.isprintable() for line in told for sign in line.text)
    assert any("\\x1b" in line.text for line in told)
