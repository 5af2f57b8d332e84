"""The chain sums exactly, and each planted cause moves its own bracket only (theory V5)."""

import msgspec
import pytest

import captures
from specprof.analysis import attribution
from specprof.analysis.columns import Columns
from specprof.analysis.evidence import Evidence
from specprof.errors import MissingEvidence
from specprof.records import Header, Recheck, Round


def evidence(fault="none", events=None, **settings):
    asked = {"stops": 8, "max_new_tokens": 160, "context": 2000, "temperature": 1.0, **settings}
    columns = Columns()
    columns.feed(events or captures.events(fault, **asked))
    return Evidence(columns)


def guilty(chain, alpha=0.002):
    return {part.name for part in chain.brackets if part.p_value <= alpha}


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("fault", ["none", "always-accept", "draft-state", "greedy-draft-soft-law"])
def test_the_parts_sum_to_the_rejections(fault, temperature):
    """The chain is an identity, bug or no bug."""
    chain = attribution.attribute(evidence(fault, temperature=temperature))
    parts = chain.mismatch.frac.value + sum(part.frac.value for part in chain.brackets)
    assert parts == pytest.approx(chain.rejected.frac.value, abs=1e-9)
    assert chain.rechecked_frac == 1.0


@pytest.mark.parametrize(
    ("fault", "bracket"),
    [
        ("always-accept", "accept rule"),
        ("too-strict", "accept rule"),
        ("greedy-draft-soft-law", "draft law"),
        ("draft-state", "state"),
        ("target-keeps-rejected", "state"),
    ],
)
def test_each_cause_moves_its_own_bracket(fault, bracket):
    """One planted bug, one guilty bracket, and the mismatch stays what it was."""
    chain = attribution.attribute(evidence(fault, max_new_tokens=400))
    healthy = attribution.attribute(evidence(max_new_tokens=400))
    assert guilty(chain) == {bracket}
    assert guilty(healthy) == set()
    assert chain.mismatch.frac.value == pytest.approx(healthy.mismatch.frac.value, abs=0.06)


def test_a_weak_draft_is_all_mismatch():
    """However bad the draft: no bracket moves (theory V5, last row)."""
    chain = attribution.attribute(evidence(context=40_000, recheck_context=40_000))
    assert guilty(chain) == set()
    assert chain.mismatch.frac.value > 0.4


def test_without_a_recheck_the_state_is_not_known():
    """It is None, not 0."""
    chain = attribution.attribute(evidence(recheck_context=0))
    assert chain.state is None
    assert chain.rechecked_frac == 0


def test_a_partial_recheck_says_how_much_it_saw():
    """Some of the bursts are shallow enough."""
    chain = attribution.attribute(evidence(recheck_context=1000))
    assert 0.3 < chain.rechecked_frac < 0.8


def with_dtype(events, dtype):
    header = events[0]
    assert isinstance(header, Header)
    facts = msgspec.structs.replace(header.target, dtype=dtype)
    return [msgspec.structs.replace(header, target=facts), *events[1:]]


def shifted(events, by):
    """Move every rechecked target probability, as rounding in another kernel would."""
    replace = msgspec.structs.replace
    return [
        replace(e, places=[replace(one, target_prob=one.target_prob + by) for one in e.places])
        if isinstance(e, Recheck)
        else e
        for e in events
    ]


@pytest.mark.parametrize(("dtype", "astray"), [("torch.bfloat16", False), ("float32", True)])
def test_rounding_is_excused_by_the_data_type(dtype, astray):
    """A shift of 0.05 is a tie's worth in bfloat16 and a wrong state in float32."""
    events = with_dtype(shifted(captures.events(context=2000), 0.05), dtype)
    drift = attribution.drift(evidence(events=events))
    assert (drift.target_p_value < 0.002) is astray


def test_a_greedy_flip_at_a_tie_is_excused():
    """A draft that should have stood, but whose place is a near tie, accuses nobody."""
    events = captures.events("too-strict", context=2000, temperature=0.0, max_new_tokens=200)
    assert len(attribution.coins(evidence(events=events)).rejected_wrongly)
    replace = msgspec.structs.replace
    tied = [
        replace(e, places=[replace(one, margin=1e-9) for one in e.places])
        if isinstance(e, Recheck)
        else e
        for e in events
    ]
    assert not len(attribution.coins(evidence(events=tied)).rejected_wrongly)


def test_an_evicting_cache_has_no_full_recompute_for_a_reference():
    """Its difference from a full pass is its policy, not a bug (theory 6.3)."""
    with pytest.raises(MissingEvidence, match="by design"):
        attribution.drift(evidence(cache="window"))
    assert attribution.attribute(evidence(cache="window")).state is None


def test_ranks_see_a_wrong_law_that_acceptance_does_not():
    """A greedy draft under a soft law fares about as promised; its rank gives it away at once."""
    draws = attribution.draws(evidence("greedy-draft-soft-law", max_new_tokens=30))
    assert draws.ranks.p_value < 1e-6
    assert draws.ranks.mean < 0
    assert draws.p_value < 0.002 < draws.trial.p_value
    healthy = attribution.draws(evidence(max_new_tokens=400))
    assert healthy.ranks.p_value > 0.01


def test_captures_without_ranks_are_judged_by_acceptance_alone():
    """An older capture holds none: no trial, no accusation."""
    replace = msgspec.structs.replace
    events = [
        replace(e, drafted=[_without_rank(d) for d in e.drafted]) if isinstance(e, Round) else e
        for e in captures.events(context=2000)
    ]
    draws = attribution.draws(evidence(events=events))
    assert draws.ranks.n == 0
    assert draws.p_value > 0.002


def _without_rank(one):
    seen = one.seen and msgspec.structs.replace(one.seen, draft_rank=None)
    return msgspec.structs.replace(one, seen=seen)
