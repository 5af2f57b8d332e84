"""Every number on the screen is the analysis' own."""

import numpy as np
import pytest
from msgspec.structs import replace

from captures import events
from dashboards import WALK, diagnosis
from specprof.analysis import timing
from specprof.analysis.acceptance import index_profile, rates
from specprof.analysis.columns import Columns
from specprof.analysis.perplexity import perplexity
from specprof.tui.panels import DRAWINGS
from specprof.tui.panels.context import draw_context, group_by_context
from specprof.tui.panels.draft_index import draw_draft_index
from specprof.tui.panels.memory import draw_memory
from specprof.tui.panels.scale import Scale
from specprof.tui.panels.times import phases_of
from specprof.tui.panels.tokens import mark_round
from specprof.tui.panels.trust import draw_trust
from specprof.tui.sheet import Sheet
from specprof.tui.snapshot import Snapshot


@pytest.fixture(scope="module")
def columns():
    fed = Columns()
    fed.feed(events(**WALK))
    return fed


def test_the_headline_rates_are_those_of_analysis(columns):
    """tau, alpha_cond, accept_frac and tokens per target forward equal analysis.rates."""
    snapshot, analysed = Snapshot(columns=columns), rates(columns)
    for name in ("tau", "alpha_cond", "accept_frac", "tokens_per_target_forward"):
        assert getattr(snapshot, name) == pytest.approx(getattr(analysed, name).value)


def test_the_phases_are_those_of_analysis_and_sum_to_the_wall_time(columns):
    """Spans and gap, to the nanosecond."""
    shown = {name: int(ns.sum()) for name, ns in phases_of(Snapshot(columns=columns)).items()}
    assert shown == {phase.name: phase.total_ns for phase in timing.phases(columns)}
    assert sum(shown.values()) == columns.rounds.wall_ns.sum()


def test_the_index_profile_is_that_of_analysis(columns):
    """The c_i and S_i drawn are analysis' own, to the digits drawn."""
    sheet = Sheet(80, 12)
    draw_draft_index(sheet, Snapshot(columns=columns))
    text = "\n".join(sheet.lines())
    for rate in index_profile(columns):
        assert f"{rate.conditional.value:.3f}" in text
        assert f"{rate.survival.value:.3f}" in text


def test_context_buckets_lose_no_place(columns):
    """Reached places and acceptances summed over buckets are those of the run."""
    buckets = group_by_context(columns.places, Scale.of(columns.places))
    assert buckets.reached.sum() == len(columns.places)
    accepted = (buckets.reached * buckets.alpha_cond).sum()
    assert accepted == pytest.approx(columns.places.accepted.sum())
    assert (buckets.low <= buckets.alpha_cond).all()
    assert (buckets.alpha_cond <= buckets.high).all()


def test_a_walk_over_many_doublings_is_drawn_by_doublings(columns):
    """Then powers of two are labelled; a short stretch of context is drawn evenly from 0."""
    places = columns.places
    wide = Scale.of(places)
    assert wide.doublings == (places.context.max() >= 16 * places.context.min())
    late = Scale.of(places.where(places.context > places.context.max() // 2))
    assert (late.doublings, late.low) == (False, 0.0)
    assert Scale(doublings=True, low=6.0, high=14.0).label(11.0) == "2,048"
    assert Scale(doublings=True, low=6.0, high=14.0).label(11.5) == ""


def test_the_tokens_of_a_round_are_told_apart(columns):
    """Accepted, rejected, corrected and bonus tokens number what the round's counts say."""
    snapshot = Snapshot(columns=columns)
    for row in range(snapshot.rounds):
        accepted, drafted = columns.rounds.accepted[row], columns.rounds.drafted[row]
        inks = [ink for _, _, ink in mark_round(snapshot, row)]
        emitted = columns.rounds.emitted[row]
        assert inks.count("accepted") == min(accepted, emitted)
        assert inks.count("rejected") == (accepted < drafted)
        # A burst's last round may be cut short of its final token.
        last = "bonus" if accepted == drafted else "corrected"
        assert inks.count(last) == emitted - min(accepted, emitted)


def test_an_earlier_look_is_unchanged_by_later_feeding(columns):
    """A snapshot of the first rounds stays what it was while the recording goes on."""
    fed, recorded = Columns(), events(**WALK)
    fed.feed(recorded[:60])
    early = Snapshot(columns=fed.first(20))
    before = (early.rounds, early.tau, early.columns.places.round[-1])
    fed.feed(recorded[60:])
    again = Snapshot(columns=early.columns)
    assert (again.rounds, again.tau, again.columns.places.round[-1]) == before
    assert Snapshot(columns=fed.first(20)).tau == early.tau


def test_the_filter_keeps_findings_that_hold_the_text(columns):
    """By rule name or message, whatever the case."""
    told = diagnosis(columns)
    assert len(Snapshot(diagnosis=told, needle="CACHE").found) == 1
    assert not Snapshot(diagnosis=told, needle="zebra").found


def test_nothing_recorded_is_not_known_rather_than_zero():
    """Without rounds every rate is None."""
    empty = Snapshot()
    assert (empty.tau, empty.alpha_cond, empty.accept_frac, empty.recorder_share) == (None,) * 4


def fed(recorded):
    columns = Columns()
    columns.feed(recorded)
    return Snapshot(columns=columns)


def drawn(draw, snapshot, size=(90, 12)):
    sheet = Sheet(*size)
    draw(sheet, snapshot)
    return "\n".join(sheet.lines())


def test_trees_are_drawn_by_level():
    """The rates are analysis' own, by level; the siblings a correction came after are shown."""
    snapshot = fed(events(**WALK, shape="static-tree"))
    analysed = rates(snapshot.columns)
    assert snapshot.alpha_cond == pytest.approx(analysed.alpha_cond.value)
    assert snapshot.depth == 4
    assert "accepted/reached level" in drawn(draw_trust, snapshot)
    assert "acc/reached level" in drawn(draw_context, snapshot)
    text = drawn(draw_draft_index, snapshot)
    for rate in index_profile(snapshot.columns):
        assert f"{rate.conditional.value:.3f}" in text
    table = snapshot.columns.rounds
    row = int(np.flatnonzero((table.reached - table.reached_levels > 0) & (table.accepted == 0))[0])
    inks = [ink for _, _, ink in mark_round(snapshot, row)]
    assert inks == ["rejected"] * int(table.reached[row]) + ["corrected"]


def test_scored_text_is_drawn_where_acceptance_would_be():
    """Its perplexity stands above the curve; what its cache dropped is told; nothing breaks."""
    snapshot = fed(events(workload="ppl", context=900, cache="sink-window", window=256, block=8))
    found = perplexity(snapshot.columns)
    assert f"{found.value:.2f} ({found.low:.2f} to {found.high:.2f})" in drawn(
        draw_context, snapshot
    )
    told = drawn(draw_memory, snapshot)
    assert "target KV" in told
    assert "632 dropped, 79 cuts" in told
    assert "899 tokens scored" in drawn(draw_trust, snapshot)
    for drawing in DRAWINGS.values():
        for size in ((90, 12), (20, 3), (1, 1)):
            drawn(drawing.draw, snapshot, size)


def test_how_forwards_were_computed_is_told():
    """Of both models where they differ; a peer's or a made-up run says nothing of it."""
    header, *rest = events(**WALK)
    assert "forwards" not in drawn(draw_trust, fed([header, *rest]))
    target = replace(header.target, path="flat")
    for draft, told in (("flat", "flat forwards"), ("modules", "flat, modules forwards")):
        ours = replace(header, target=target, draft=replace(header.draft, path=draft))
        assert told in drawn(draw_trust, fed([ours, *rest]))
    replayed = replace(header, target=replace(target, graphs=True), draft=None)
    assert "flat replayed forwards" in drawn(draw_trust, fed([replayed, *rest]))


def test_a_batchs_tokens_name_their_sequence():
    """Rounds of several texts take turns: each opens with whose it is."""
    snapshot = fed(events(**WALK, batch=3))
    sequences = snapshot.columns.rounds.sequence
    for row in range(6):
        text, sign, ink = mark_round(snapshot, row)[0]
        assert (text, sign, ink) == (str(sequences[row]), "#", "dim")
