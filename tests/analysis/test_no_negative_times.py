"""No time is negative, whatever clocks say: in phases, factors, remedies, reports and exports."""

import re

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import captures
from specprof.analysis import cost_model, timing
from specprof.analysis.columns import Columns
from specprof.analysis.evidence import Evidence
from specprof.analysis.remedies import prospects
from specprof.analysis.verify_cost import _fit_terms, verify_cost
from specprof.diagnosis import diagnose
from specprof.diagnosis.report import lines
from specprof.errors import MissingEvidence
from specprof.exporters._slices import self_ns, timeline
from specprof.exporters.csv import COLUMNS
from specprof.records import Burst, Plain, Round, Span
from specprof.tui.panels.times import draw_times
from specprof.tui.sheet import Sheet
from specprof.tui.snapshot import Snapshot

replace = msgspec.structs.replace
NEGATIVE_TIME = re.compile(r"(?<![\w.-])-\d[\d.,]*(e[-+]?\d+)? ?(ms|ns|us|s|plain steps)\b")
SHORT, LONG = {"stops": 2, "max_new_tokens": 30}, {"stops": 3, "max_new_tokens": 90}
FACTORS = st.lists(st.floats(0.0, 3.0) | st.floats(0.9, 1.4), min_size=8, max_size=8)
MANY = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def shaken(walls, spans, steps, **chosen):
    """Return a run's events with each time multiplied by a factor; each list is used in turn."""
    made, number = [], 0
    for event in captures.events(**(SHORT | chosen)):
        match event:
            case Round():
                number += 1
                wall = int(event.wall_ns * walls[number % 8])
                parts = [
                    Span(s.name, s.parent, s.start_ns, int(s.ns * spans[(number + i) % 8]))
                    for i, s in enumerate(event.spans)
                ]
                made.append(replace(event, wall_ns=wall, spans=parts))
            case Plain():
                ns = [int(each * steps[i % 8]) for i, each in enumerate(event.steps_ns)]
                made.append(replace(event, steps_ns=ns))
            case Burst():
                made.append(replace(event, wall_ns=int(event.wall_ns * walls[0])))
            case _:
                made.append(event)
    return made


def evidence_on(events, beside=()):
    columns = Columns()
    columns.feed(events)
    return Evidence(columns, beside=beside)


def asked(evidence, question):
    try:
        return evidence.ask(question)
    except MissingEvidence:
        return None


def numbers(struct):
    return [getattr(struct, name) for name in type(struct).__slots__]


def test_the_pattern_knows_a_negative_time():
    """And no range, no exponent, no name."""
    for text in ("takes -3.1 ms", "plus -1e-05 ms", "-2 us", "seen -0.1 plain steps"):
        assert NEGATIVE_TIME.search(text)
    for text in ("3-4 ms", "1e-05 ms", "run-2 s", "2.5 ms"):
        assert not NEGATIVE_TIME.search(text)


def test_parts_of_overlapping_clocks_sum_to_the_round():
    """A device's spans that outlast the host's rounds by a third leave no gap and no more time."""
    evidence = evidence_on(shaken([1.0] * 8, [1.4] * 8, [1.0] * 8))
    cost = evidence.ask(cost_model.costs)
    assert evidence.columns.gap_ns.mean() < 0
    assert cost.gap_ns == 0
    whole = evidence.columns.rounds.wall_ns[evidence.rounds.drafted > 0].mean()
    assert abs(cost.round_ns - whole) < 1e-6 * whole
    assert min(factor.times for factor in evidence.ask(cost_model.waterfall)) > 0


def test_a_line_that_outliers_tilt_below_zero_is_cut():
    """Ten slow rounds at the deep end of a baseline: at the shallow end the line says -20 ms."""
    made, rounds = [], 0
    for event in captures.events(stops=4, max_new_tokens=30, drafter="none", draft=None, depth=0):
        if isinstance(event, Round):
            rounds += 1
            event = replace(event, wall_ns=event.wall_ns * (9 if rounds > 90 else 1), spans=[])  # noqa: PLW2901
        made.append(event)
    plain = Columns()
    plain.feed(captures.agreeing(made))
    times, at = plain.rounds.wall_ns, plain.rounds.context
    low = np.polyval(np.polyfit(at.astype(float), times.astype(float), 1), at.min())
    assert low < times.min()
    events = captures.events(stops=4, max_new_tokens=30, plain_steps=0)
    found = evidence_on(events, beside=[plain]).ask(cost_model.yardstick)
    assert found.round_ns.min() >= times.min() > 0


@pytest.mark.parametrize(
    "ns_of",
    [
        lambda n, at: 9e6 - 7e5 * n,
        lambda n, at: 3e6 * n - 2e6,
        lambda n, at: 5e6 - 900 * at + 400 * n * at,
        lambda n, at: 1e6 + 2e5 * n + 300 * at - 90 * n * at,
    ],
)
def test_no_part_of_a_fitted_forward_is_negative(ns_of):
    """Noise may tilt the curve: a further token costs nothing then, and not less."""
    random = np.random.default_rng(0)
    tokens = random.integers(1, 6, 400).astype(float)
    context = random.integers(100, 4000, 400).astype(float)
    ns = ns_of(tokens, context) * (1 + 0.02 * random.standard_normal(400))
    terms = [each for each in _fit_terms(tokens, context, ns) if each is not None]
    assert min(terms) >= 0
    assert max(terms) > 0


@MANY
@given(FACTORS, FACTORS, FACTORS)
def test_costs_factors_and_remedies_are_never_negative(walls, spans, steps):
    """Spans may outlast their rounds, and plain steps may take longer than either."""
    evidence = evidence_on(shaken(walls, spans, steps))
    if (cost := asked(evidence, cost_model.costs)) is None:
        return
    assert min(numbers(cost)) >= 0
    whole = evidence.columns.rounds.wall_ns[evidence.rounds.drafted > 0].mean()
    assert cost.round_ns <= whole * (1 + 1e-9)
    for factor in asked(evidence, cost_model.waterfall) or ():
        assert min(factor.times, factor.speedup, factor.ns_per_token) >= 0
    found = asked(evidence, prospects)
    for remedy in found.remedies if found else ():
        assert min(remedy.tokens_per_second, remedy.gain) >= 0
    if curve := asked(evidence, verify_cost):
        terms = (curve.fixed_ns, curve.token_ns, curve.context_ns, curve.token_context_ns)
        assert min(each for each in terms if each is not None) >= 0
        assert min(curve.marginal, curve.inflation.low) >= 0


@MANY
@given(FACTORS, FACTORS)
def test_a_baselines_fit_stays_between_its_own_times(walls, steps):
    """A straight line through outliers may fall below 0."""
    plain = Columns()
    plain.feed(shaken(walls, walls, steps, drafter="none", depth=0, draft=None))
    evidence = evidence_on(captures.events(**SHORT, plain_steps=0), beside=[plain])
    if (found := asked(evidence, cost_model.yardstick)) is None:
        return
    times = plain.rounds.wall_ns
    assert times.min() <= found.round_ns.min() <= found.round_ns.max() <= times.max()
    assert found.step_ns >= 0


@MANY
@given(FACTORS, FACTORS)
def test_phases_requests_slices_and_tables_hold_no_negative_time(walls, spans):
    """The host gap, the tail, a slice outside its children, a cell of the table."""
    events = shaken(walls, spans, walls)
    columns = Columns()
    columns.feed(events)
    for phase in timing.phases(columns):
        assert min(phase.total_ns, phase.wall_frac, phase.ns_per_round, phase.ns_per_emitted) >= 0
    for request in timing.requests(columns):
        assert min(numbers(request)) >= 0
    for lane in timeline(captures.in_memory(events)).lanes.values():
        waiting = list(lane)
        while waiting:
            one = waiting.pop()
            assert min(one.start_ns, one.ns, self_ns(one)) >= 0
            waiting += one.children
    for one in events:
        if isinstance(one, Round):
            assert COLUMNS["host_gap_ns"](one) >= 0


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(FACTORS, FACTORS, FACTORS)
def test_reports_and_panels_print_no_negative_time(walls, spans, steps):
    """Every line of a diagnosis, and the dashboard's panel of times."""
    evidence = evidence_on(shaken(walls, spans, steps, **LONG))
    for line in lines(diagnose(evidence)):
        assert not NEGATIVE_TIME.search(line.text), line.text
    sheet = Sheet(60, 16)
    draw_times(sheet, Snapshot(columns=evidence.columns))
    assert not re.search(r"(?<!\w)-\d", sheet_text(sheet))


def sheet_text(sheet):
    return "\n".join("".join(row) for row in sheet.glyphs)
