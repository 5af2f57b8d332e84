"""Cost rules name the term that is off, and leave a healthy run's costs alone."""

import msgspec
import numpy as np
import pytest

import captures
from specprof import registry
from specprof.analysis.columns import Columns
from specprof.analysis.evidence import Evidence
from specprof.diagnosis import diagnose
from specprof.extend import Rule
from specprof.findings import Clear, Found, Unknown
from specprof.records import Plain, Round, Span

LONG = {"stops": 8, "max_new_tokens": 160, "context": 4000}
NAMES = (
    "verification-expensive",
    "draft-step-slow",
    "depth-change-slow",
    "cache-holds-too-much",
    "plain-rounds-slow",
    "drafting-given-up",
    "round-too-cheap",
    "host-gap-large",
)
replace = msgspec.structs.replace


def evidence_on(events):
    columns = Columns()
    columns.feed(events)
    return Evidence(columns)


def judged(name, events):
    rule = registry.load(Rule, registry.members("rule")[name])()
    return rule.judge(evidence_on(events))


def slower(one, name, ns):
    """Add to a span of a round; negative takes away."""
    spans = [
        Span(s.name, s.parent, s.start_ns, s.ns + ns) if s.name == name else s for s in one.spans
    ]
    return replace(one, spans=spans, wall_ns=one.wall_ns + ns)


def each_round(events, change):
    return captures.agreeing([change(e) if isinstance(e, Round) else e for e in events])


def shallower(events, depth_of):
    """Have the i-th round draft `depth_of(i)` tokens only."""
    numbered = {id(e): i for i, e in enumerate(e for e in events if isinstance(e, Round))}

    def cut(one):
        depth = depth_of(numbered[id(one)])
        return replace(
            one,
            drafted=one.drafted[:depth],
            depth_asked=depth,
            accepted=min(one.accepted, depth),
            emitted=one.emitted[: min(one.accepted, depth) + 1],
        )

    return each_round(events, cut)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    "settings", [{}, {"batch": 3}, {"shape": "static-tree"}, {"cache": "sink-window"}]
)
def test_a_healthy_run_has_no_costs_out_of_the_way(seed, settings):
    """Five seeds of four kinds: none of the rules fires."""
    evidence = evidence_on(captures.events(**LONG, **settings, seed=seed))
    found = {verdict.rule for verdict in diagnose(evidence).found}
    assert not found & set(NAMES)


def test_a_step_in_the_verify_pass_is_told_from_a_line():
    """40 ms for any width beyond 2; or a plain step for every token."""
    events = captures.events(**LONG)
    cliff = judged(
        "verification-expensive", each_round(events, lambda e: slower(e, "verify", 40_000_000))
    )
    assert cliff.finding.suspects[0] == "perf/verify-kernel-cliff"
    assert "costs 1" in cliff.finding.message
    union = each_round(events, lambda e: slower(e, "verify", 4 * 4_000_000))
    assert judged("verification-expensive", union).finding.suspects[0] == "perf/moe-expert-union"
    batch = each_round(captures.events(**LONG, batch=3), lambda e: slower(e, "verify", 40_000_000))
    assert judged("verification-expensive", batch).finding.suspects[0] == "perf/batch-saturation"


def test_a_draft_of_few_layers_should_not_cost_a_target_step():
    """Two layers of twelve at twice a target step; as many layers at that price are no news."""
    finding = judged("draft-step-slow", captures.events("slow-draft", **LONG)).finding
    assert finding.suspects[0] == "perf/draft-eager"
    header, *rest = captures.events("slow-draft", **LONG)
    large = [replace(header, draft=replace(header.draft, layers=24)), *rest]
    assert isinstance(judged("draft-step-slow", large), Clear)


def test_a_round_that_waits_for_a_new_shape_is_seen():
    """Only the rounds whose K changed; the same waits dealt at random are not."""
    random = np.random.default_rng(0)
    depths = [3 if random.random() < 0.7 else 4 for _ in range(5000)]
    events = shallower(captures.events(**LONG, depth_policy="confidence"), depths.__getitem__)
    assert isinstance(judged("depth-change-slow", events), Clear)
    last = {}

    def waits(one):
        before = last.get(one.burst)
        last[one.burst] = len(one.drafted)
        return slower(one, "verify", 9_000_000 if before not in (None, len(one.drafted)) else 0)

    finding = judged("depth-change-slow", each_round(events, waits)).finding
    assert finding.suspects == ("perf/graph-reset-by-shape",)
    dealt = each_round(
        events, lambda e: slower(e, "verify", 9_000_000 if random.random() < 0.4 else 0)
    )
    assert isinstance(judged("depth-change-slow", dealt), Clear)


def test_a_cache_twice_its_size_is_seen():
    """Exact by the formula, whichever model's."""
    events = captures.events(**LONG)
    assert isinstance(judged("cache-holds-too-much", events), Clear)
    twice = each_round(events, lambda e: replace(e, draft_kv_bytes=2 * e.draft_kv_bytes))
    finding = judged("cache-holds-too-much", twice).finding
    assert "the draft's 2.00" in finding.message
    assert finding.suspects == ("perf/kv-memory-growth",)


def test_turning_drafting_off_should_be_free():
    """Every third round drafts nothing: well at a plain step's time, not with a draft's."""
    plain_ns = np.median(
        [ns for e in captures.events(**LONG) if isinstance(e, Plain) for ns in e.steps_ns]
    )

    def idle(extra_ns):
        made = shallower(captures.events(**LONG), lambda i: 4 if i % 3 else 0)
        return each_round(
            made,
            lambda e: e if e.drafted else replace(e, spans=[], wall_ns=int(plain_ns) + extra_ns),
        )

    assert isinstance(judged("plain-rounds-slow", idle(0)), Clear)
    finding = judged("plain-rounds-slow", idle(2_000_000)).finding
    assert finding.suspects == ("perf/disabled-path-not-free",)


def test_giving_up_on_one_round_is_seen():
    """After 2 rounds for good; not after 60, and not where the depth is fixed."""
    events = captures.events(**LONG, depth_policy="survival")
    early = judged("drafting-given-up", shallower(events, lambda i: 4 if i < 2 else 0))
    assert early.finding.suspects[0] == "perf/adaptive-k-small-sample"
    assert isinstance(
        judged("drafting-given-up", shallower(events, lambda i: 4 if i < 60 else 0)), Clear
    )
    assert isinstance(judged("drafting-given-up", captures.events(**LONG)), Unknown)


def test_one_draft_a_round_for_good_is_giving_up_where_it_stands():
    """Not where hardly any stands: then K = 1 is what a policy should come to."""

    def single(events):
        return shallower(events, lambda i: 4 if i < 2 else 1)

    well = captures.events(**LONG, depth_policy="survival", temperature=0.0)
    assert isinstance(judged("drafting-given-up", single(well)), Found)
    poor = [
        replace(e, accepted=0, drafted=[replace(one, accepted=False) for one in e.drafted])
        if isinstance(e, Round)
        else e
        for e in single(well)
    ]
    assert isinstance(judged("drafting-given-up", poor), Clear)


def test_a_round_cheaper_than_a_plain_step_is_a_mistake():
    """Plain steps timed three times too long."""
    events = [
        replace(e, steps_ns=[4 * ns for ns in e.steps_ns]) if isinstance(e, Plain) else e
        for e in captures.events(**LONG)
    ]
    finding = judged("round-too-cheap", events).finding
    assert finding.suspects[0] == "meas/unequal-arms"
    assert isinstance(judged("round-too-cheap", captures.events(**LONG)), Clear)


@pytest.mark.parametrize(
    ("depth", "suspect"), [(4, "perf/draft-cost-ratio"), (16, "perf/over-drafting-or-gating")]
)
def test_too_deep_is_told_from_too_dear(depth, suspect):
    """Plain decoding is best: a dear draft at K = 4; at 16 most drafts are never reached."""
    events = captures.events("slow-draft", **LONG, depth=depth)
    finding = judged("depth-too-deep", events).finding
    assert finding.suspects == (suspect,)


def test_host_work_is_named():
    """A gap of most of the round."""
    outcome = judged("host-gap-large", captures.events("host-gap", **LONG))
    assert isinstance(outcome, Found)
    assert outcome.finding.suspects == ("perf/host-sync-and-bookkeeping",)
