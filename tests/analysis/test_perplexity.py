"""Perplexity of scored text: exact on known likelihoods, covered on drawn ones, paired by token."""

import math

import msgspec
import numpy as np
import pytest

from captures import events
from specprof.analysis.columns import Columns
from specprof.analysis.evidence import Evidence
from specprof.analysis.perplexity import by_depth, log_ratio, perplexity
from specprof.diagnosis.diagnose import diagnose
from specprof.records import Header, Scored


def scored(nll, *, step=64, text="known text", target="pocket/target"):
    """Return columns of a PPL run over tokens of these likelihoods, from the second token on."""
    header = next(event for event in events() if isinstance(event, Header))
    settings = msgspec.structs.replace(header.spec.settings, target=target, workload="ppl")
    spec = msgspec.structs.replace(header.spec, settings=settings)
    columns = Columns()
    columns.feed([msgspec.structs.replace(header, spec=spec, text=text)])
    columns.feed(
        [
            Scored(
                context=1 + start,
                nll=[float(each) for each in nll[start : start + step]],
                start_ns=start,
                wall_ns=step,
                target_length=start + step,
            )
            for start in range(0, len(nll), step)
        ]
    )
    return columns


def test_perplexity_is_the_exponential_of_the_mean():
    """A fair guess among v tokens has perplexity v; a mixture has the geometric mean."""
    even = perplexity(scored(np.full(500, math.log(17))))
    assert (even.value, even.low, even.high) == pytest.approx((17, 17, 17))
    assert even.n == 500
    mixed = perplexity(scored([math.log(2), math.log(8)] * 50))
    assert mixed.value == pytest.approx(4)


def test_nothing_scored_is_not_known():
    """No tokens, no perplexity: never 0 or 1."""
    assert perplexity(Columns()) is None
    assert by_depth(Columns()) == []
    assert log_ratio(Columns(), Columns()) is None


@pytest.mark.parametrize("nats", [150.0, 1e6])
def test_what_is_beyond_all_measure_has_no_perplexity(nats):
    """No infinity is shown; the sentence tells the nats, and what can be measured stays."""
    columns = scored([1.0] * 127 + [nats] * 400)
    assert perplexity(columns) is None
    assert [(one.low, one.high) for one in by_depth(columns)] == [(0, 128)]
    told = diagnose(Evidence(columns)).sentence
    assert "nats a token" in told
    assert "inf" not in told


def test_buckets_of_depth_hold_every_token_once():
    """Each token falls in the one bucket its depth lies in; their means make up the whole."""
    nll = np.concatenate([np.full(127, 1.0), np.full(128, 2.0), np.full(45, 3.0)])
    columns = scored(nll)
    found = by_depth(columns)
    assert [(one.low, one.high, one.perplexity.n) for one in found] == [
        (0, 128, 127), (128, 256, 128), (256, 512, 45),
    ]  # fmt: skip
    assert [math.log(one.perplexity.value) for one in found] == pytest.approx([1, 2, 3])
    whole = sum(math.log(one.perplexity.value) * one.perplexity.n for one in found) / len(nll)
    assert math.log(perplexity(columns).value) == pytest.approx(whole)


def test_the_interval_covers_though_neighbours_resemble_each_other():
    """Of 60 autocorrelated texts the 95% interval misses the true mean at most 9 times.

    An interval that took tokens for independent would miss it in about half of them.
    """
    missed = 0
    for seed in range(60):
        random = np.random.default_rng(seed)
        drift = np.zeros(2000)
        for i in range(1, len(drift)):
            drift[i] = 0.8 * drift[i - 1] + 0.3 * random.standard_normal()
        found = perplexity(scored(3 + drift))
        missed += not found.low <= math.exp(3) <= found.high
    assert missed <= 9


def test_two_runs_over_one_text_are_paired_token_by_token():
    """A small constant gap shows exactly, however uneven the text itself is."""
    text = np.random.default_rng(0).gamma(2.0, 2.0, 3000)
    dense, streaming = scored(text), scored(text + 0.01, step=1)
    gap = log_ratio(streaming, dense)
    assert (gap.value, gap.low, gap.high) == pytest.approx((0.01, 0.01, 0.01))
    assert gap.n == 3000
    wide = perplexity(dense)
    assert wide.low < perplexity(streaming).value < wide.high


def test_runs_are_paired_where_both_scored_and_only_over_one_text():
    """A shorter run is compared over its own tokens; another text or target not at all."""
    text = np.random.default_rng(1).gamma(2.0, 2.0, 1000)
    assert log_ratio(scored(text), scored(text[:300] + 0.5)).n == 300
    assert log_ratio(scored(text), scored(text, text="another")) is None
    assert log_ratio(scored(text), scored(text, target="pocket/draft")) is None


def test_a_cut_holds_the_passes_that_had_ended():
    """Scored tokens go with the pass they came from."""
    columns = scored(np.ones(256))
    assert len(columns.passes) == 4
    assert columns.passes.context.tolist() == [65, 129, 193, 257]
    assert len(columns.first(0).scored) == 256, "no rounds: all of them are shown"
