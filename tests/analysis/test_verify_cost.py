"""The curve of the verify pass is recovered from the times it was made of, and no further."""

import msgspec
import numpy as np
import pytest

import captures
from specprof.analysis.columns import Columns
from specprof.analysis.cost_model import costs
from specprof.analysis.evidence import Evidence
from specprof.analysis.remedies import BANDWIDTH_FACT, prospects, roofline
from specprof.analysis.verify_cost import verify_cost
from specprof.errors import MissingEvidence
from specprof.records import Header, Plain, Round, Span

LONG = {"stops": 8, "max_new_tokens": 160, "context": 4000}
replace = msgspec.structs.replace
V0, V1, V2, V3 = 3e6, 2e5, 400.0, 30.0


def evidence_on(events):
    columns = Columns()
    columns.feed(events)
    return Evidence(columns)


def verified(one, ns):
    """Give a round's verify span another length; what follows moves with it."""
    (old,) = [span.ns for span in one.spans if span.name == "verify"]
    spans = [
        Span(s.name, s.parent, s.start_ns, ns if s.name == "verify" else s.ns) for s in one.spans
    ]
    return replace(one, spans=spans, wall_ns=one.wall_ns + ns - old)


def timed(events, cost_ns):
    """Let forwards of n tokens at context L take `cost_ns(n, L)`, plain steps included."""
    random, made = np.random.default_rng(3), []
    for event in events:
        match event:
            case Round():
                width = 1 + int(random.integers(1, len(event.drafted) + 1))
                event = replace(event, drafted=event.drafted[: width - 1])  # noqa: PLW2901
                ns = cost_ns(width, event.context) * (1 + 0.02 * random.standard_normal())
                event = verified(event, int(ns))  # noqa: PLW2901
            case Plain():
                ns = [int(cost_ns(1, event.context)) for _ in event.steps_ns]
                event = replace(event, steps_ns=ns)  # noqa: PLW2901
        made.append(event)
    return captures.agreeing(made)


def test_every_term_that_was_varied_is_recovered():
    """v0 + v1 n + v2 L + v3 n L at 2% noise, within 10%."""
    events = timed(
        captures.events(**LONG, depth=6), lambda n, at: V0 + V1 * n + V2 * at + V3 * n * at
    )
    curve = evidence_on(events).ask(verify_cost)
    assert curve.fixed_ns == pytest.approx(V0, rel=0.1)
    assert curve.token_ns == pytest.approx(V1, rel=0.1)
    assert curve.context_ns == pytest.approx(V2, rel=0.1)
    assert curve.token_context_ns == pytest.approx(V3, rel=0.1)
    assert [each.tokens for each in curve.widths] == [1, 2, 3, 4, 5, 6, 7]


def test_a_context_that_costs_nothing_is_not_told():
    """No term out of noise; none where the context hardly varied."""
    flat = evidence_on(timed(captures.events(**LONG, depth=6), lambda n, _: V0 + V1 * n))
    assert flat.ask(verify_cost).context_ns is None
    assert flat.ask(verify_cost).token_context_ns is None
    one = evidence_on(captures.events(stops=1, max_new_tokens=200, context=2000))
    assert one.ask(verify_cost).context_ns is None


def test_without_plain_steps_there_is_no_curve():
    """A verify pass alone doesn't tell what a plain step costs."""
    with pytest.raises(MissingEvidence, match="no baseline"):
        evidence_on(captures.events(plain_steps=0)).ask(verify_cost)


def test_remedies_add_up_to_what_they_take_away():
    """Each takes its own term out of the round; perfect drafts emit K + 1."""
    evidence = evidence_on(captures.events(**LONG))
    cost, found = evidence.ask(costs), prospects(evidence)
    speeds = {each.name: each.tokens_per_second for each in found.remedies}
    ran = 1e9 * cost.tau / cost.round_ns
    assert speeds["as it ran"] == pytest.approx(ran)
    assert speeds["every draft accepted"] == pytest.approx(1e9 * 5 / cost.round_ns)
    free = cost.round_ns - cost.depth * cost.draft_step_ns
    assert speeds["a draft that costs nothing"] == pytest.approx(1e9 * cost.tau / free)
    assert found.remedies[0].gain == 1
    assert 0 < found.break_even < 1
    assert any("bandwidth" in each for each in found.unknown)
    assert found.roof is None


def test_the_roof_is_the_time_to_read_weights_and_cache():
    """Bytes over bandwidth, and how many times as long a plain step took."""
    header, *rest = captures.events(**LONG)
    assert isinstance(header, Header)
    target = replace(header.target, weight_bytes=10_000_000)
    told = replace(header, target=target, machine={BANDWIDTH_FACT: 10**10})
    evidence = evidence_on([told, *rest])
    roof = roofline(evidence)
    held = float(evidence.speculative.target_kv_bytes.mean())
    assert roof.floor_ns == pytest.approx((10_000_000 + held) / 10)
    assert roof.distance == pytest.approx(evidence.ask(costs).plain_step_ns / roof.floor_ns)


def test_without_plain_steps_the_rest_is_still_told():
    """What is unknown is named; speeds are there."""
    found = prospects(evidence_on(captures.events(plain_steps=0)))
    assert found.verify is None
    assert found.break_even is None
    assert "plain decoding" not in {each.name for each in found.remedies}
    assert len(found.unknown) == 2
