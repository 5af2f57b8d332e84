"""The sentence says how much is mismatch, how much is a bug, and which."""

import re

import pytest

import captures
from specprof.analysis.columns import Columns
from specprof.analysis.evidence import Evidence
from specprof.diagnosis import diagnose

LONG = {"stops": 8, "max_new_tokens": 160, "context": 4000}


def told(fault="none", **settings):
    columns = Columns()
    columns.feed(captures.events(fault, **(LONG | settings)))
    return diagnose(Evidence(columns)).sentence


def test_the_product_is_one_sentence():
    """Points of mismatch, points of bug, and the bug by name."""
    assert re.match(
        r"\d\d\.\d% of reached drafts were rejected: \d\d\.\d points \(\d\d\.\d to \d\d\.\d\) are "
        r"distribution mismatch and \d\d\.\d \(\d+\.\d to \d\d\.\d\) are an implementation bug: "
        r"the draft cache gets 2 tokens short after every rejection",
        told("draft-cache-short"),
    )


def test_points_add_up():
    """Mismatch and bug make the rejections, to the noise of the brackets that are 0."""
    told_ = re.sub(r"\(.*?\)", "", told("draft-state"))
    rejected, mismatch, bug = map(float, re.findall(r"\d+\.\d", told_)[:3])
    assert mismatch + bug == pytest.approx(rejected, abs=2)


def test_a_lenient_rule_lets_drafts_through():
    """Negative points are said in words."""
    sentence = told("always-accept")
    assert sentence.startswith("0.0% of reached drafts were rejected where")
    assert re.search(r"an implementation bug lets \d\d\.\d points through", sentence)


def test_health_is_said_with_its_limits():
    """All rechecked: no bug shows. Not all: the rest may hold one. None: said outright."""
    assert "no implementation bug shows" in told(context=2000)
    assert re.search(r"the \d\d\.\d% that were not rechecked", told(context=8000, stops=8))
    assert "nothing was rechecked" in told(recheck_context=0)


def test_a_bug_outside_the_chain_is_still_said():
    """Bookkeeping and corrections have no points, and are no less broken."""
    assert "but the implementation is broken: the bonus" in told("no-bonus")
    assert "corrections" in told("residual-not-subtracted", temperature=1.0)


def test_causes_of_mismatch_and_cost_follow():
    """What kind of mismatch, and what it does to speed."""
    assert "The mismatch: acceptance falls" in told(context=20_000, stops=40, max_new_tokens=60)
    assert "Speed: " in told("slow-draft")


def test_without_probabilities_nothing_is_attributed():
    """Counts alone can't tell a mismatch from a bug."""
    assert "can't be said, because no probabilities" in told(detail="rounds")


def test_trees_are_told_by_level():
    """Siblings pass a level together: what is rejected is a level, not each of its tokens."""
    opening = r"\d\d\.\d% of reached levels were rejected; apart from noise, all"
    assert re.match(opening, told(shape="static-tree"))


def test_known_text_is_told_by_its_perplexity():
    """With its interval and the number of tokens."""
    sentence = told(workload="ppl", context=900)
    assert re.match(r"Perplexity [\d.]+ over 899 tokens of known text \(95% interval", sentence)
