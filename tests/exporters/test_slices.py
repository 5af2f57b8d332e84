"""The one tree of times, and that every export sums to it."""

import json
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from captures import events, in_memory
from formats import check_chrome, check_speedscope, chrome_events, collapsed_stacks
from specprof.analysis.columns import Columns
from specprof.analysis.timing import GAP, phases
from specprof.capture import Capture
from specprof.exporters._slices import HOST_GAP, Slice, self_ns, timeline
from specprof.exporters.chrome import Chrome
from specprof.exporters.collapsed import Collapsed
from specprof.exporters.speedscope import Speedscope
from specprof.records import Prefill, Round, Span

TIMES = st.integers(0, 10**9)
PHASES = st.sampled_from(["draft", "verify", "accept", "rollback"])
PHASE = st.builds(Span, PHASES, st.none(), TIMES, TIMES)
NAMES = st.sampled_from(["step", "layer"])
STEP = st.builds(Span, NAMES, st.just("nowhere") | PHASES | NAMES, TIMES, TIMES)
SPANS = st.lists(PHASE | STEP, max_size=8)
ROUNDS = st.lists(st.tuples(TIMES, TIMES, SPANS), max_size=6)


def capture(rounds) -> Capture:
    header = events()[0]
    made = [
        Round(index=i, context=1, depth_asked=0, accepted=0, emitted=[1], start_ns=at, wall_ns=ns,
              spans=spans)
        for i, (at, ns, spans) in enumerate(rounds)
    ]  # fmt: skip
    return in_memory([header, *made])


def recorded_phases(capture: Capture) -> Counter:
    """The phases' sums straight from the records."""
    sums = Counter()
    for event in capture.events:
        if isinstance(event, (Round, Prefill)):
            for span in event.spans:
                sums[span.name] += span.ns if span.parent is None else 0
    return +sums


def written(exporter, capture: Capture, folder) -> str:
    path = folder / f"out{exporter.suffix}"
    exporter().write(capture, path)
    return path.read_text(encoding="utf-8")


def speedscope_phases(text: str) -> tuple[Counter, Counter]:
    """Sums by phase (the frame below a round or prefill) of the aggregate and of the timeline."""
    document = json.loads(text)
    check_speedscope(document)
    names = [frame["name"] for frame in document["shared"]["frames"]]
    aggregate, timeline = document["profiles"]
    summed, timed, opened = Counter(), Counter(), []
    for stack, weight in zip(aggregate["samples"], aggregate["weights"], strict=True):
        if len(stack) > 2:
            summed[names[stack[2]]] += weight
    for event in timeline["events"]:
        if event["type"] == "O":
            opened.append(event["at"])
        elif len(opened) == 3:
            timed[names[event["frame"]]] += event["at"] - opened.pop()
        else:
            opened.pop()
    return summed, timed


def chrome_phases(text: str) -> Counter:
    found = chrome_events(text)
    check_chrome(found)
    phases_ = Counter()
    for event in found:
        if event["ph"] == "X" and event["name"] not in ("run", "round", "prefill", "step", "layer"):
            phases_[event["name"]] += event["dur"]
    return phases_


def collapsed_phases(text: str) -> Counter:
    sums = Counter()
    for stack, ns in collapsed_stacks(text).items():
        if len(stack) > 2:
            sums[stack[2]] += ns
    return sums


@settings(max_examples=60, deadline=None)
@given(ROUNDS)
def test_phases_keep_their_length_and_never_overlap(rounds):
    """Whatever two clocks recorded, slices nest, are in order, and a phase's time is kept."""
    whole = timeline(capture(rounds)).lanes[0]
    end, sums = 0, Counter()
    for one in whole:
        assert one.start_ns >= end
        end = one.end_ns
        assert self_ns(one) == 0
        sums += Counter(_phase_times(one))
    recorded = recorded_phases(capture(rounds))
    assert {name: ns for name, ns in sums.items() if name != HOST_GAP} == dict(recorded)


def _phase_times(one: Slice) -> dict[str, int]:
    times, at = Counter(), one.start_ns
    for phase in one.children:
        assert phase.start_ns == at
        at = phase.end_ns
        times[phase.name] += phase.ns
        inner = phase.start_ns
        for step in phase.children:
            assert inner <= step.start_ns <= step.end_ns <= phase.end_ns
            inner = step.end_ns
    assert at == one.end_ns
    return times


@settings(max_examples=25, deadline=None)
@given(rounds=st.none() | ROUNDS, seed=st.integers(0, 2**32 - 1), depth=st.integers(0, 6))
def test_every_time_export_sums_to_the_capture_to_the_nanosecond(
    tmp_path_factory, rounds, seed, depth
):
    """Capture, speedscope (twice), Chrome and collapsed agree on every phase of any capture."""
    folder = tmp_path_factory.mktemp("sums")
    made = capture(rounds) if rounds is not None else in_memory(events(seed=seed, depth=depth))
    summed, timed = speedscope_phases(written(Speedscope, made, folder))
    found = [summed, timed, chrome_phases(written(Chrome, made, folder))]
    found.append(collapsed_phases(written(Collapsed, made, folder)))
    gaps = {sums.pop(HOST_GAP, 0) for sums in found}
    assert len(gaps) == 1
    assert all(+sums == recorded_phases(made) for sums in found)


def test_the_host_gap_is_the_one_the_analysis_derives():
    """On a capture whose clocks agree, the flame graph and the screens show the same phases."""
    made = in_memory(events())
    columns = Columns()
    columns.feed(made.events)
    analysed = {phase.name: phase.total_ns for phase in phases(columns)}
    analysed[HOST_GAP] = analysed.pop(GAP)
    sums = Counter()
    for one in timeline(made).lanes[0]:
        if isinstance(one.event, Round):
            sums += Counter({phase.name: phase.ns for phase in one.children})
    assert sums == {name: ns for name, ns in analysed.items() if ns}


def test_steps_lie_in_their_phase():
    """A draft's steps are below it, as many and as long as were recorded."""
    made = in_memory(events(depth=3))
    one = next(each for each in timeline(made).lanes[0] if isinstance(each.event, Round))
    draft = one.children[0]
    steps = [span for span in one.event.spans if span.parent == "draft"]
    assert draft.name == "draft"
    assert [step.ns for step in draft.children] == [span.ns for span in steps]
    assert len(steps) == 3


def test_spans_nest_as_deep_as_they_were_measured():
    """Each layer's parts lie in that layer, whatever else of their name there is; no overlaps."""
    spans = [
        Span("draft", None, 0, 100),
        Span("step", "draft", 0, 50),
        Span("layer 0", "step", 0, 50),
        Span("attention", "layer 0", 10, 30),
        Span("step", "draft", 50, 50),
        Span("layer 0", "step", 50, 40),
        Span("attention", "layer 0", 50, 30),
    ]
    ((draft,),) = ([one.children for one in timeline(capture([(1000, 100, spans)])).lanes[0]],)
    first, second = draft[0].children
    assert [each.name for each in (first, second)] == ["step", "step"]
    for step, at, ns in ((first, 1010, 30), (second, 1050, 30)):
        ((layer,),) = (step.children,)
        assert layer.children == (Slice("attention", at, ns),)
    assert self_ns(second) == 10


def test_no_chain_of_spans_is_too_long():
    """A foreign capture may claim thousands of levels: what lies too deep is left out."""
    names = ["draft", *map(str, range(3000))]
    spans = [Span(name, parent, 0, 10) for name, parent in zip(names, [None, *names], strict=False)]
    ((found,), depth) = (timeline(capture([(0, 10, spans)])).lanes[0], 0)
    while found.children:
        (found,), depth = found.children, depth + 1
    assert 4 <= depth < 20


def test_the_run_lasts_to_its_closing_line():
    """Time after the last round belongs to the run, and to nothing in it."""
    made = in_memory(events())
    found = timeline(made)
    assert found.ns == made.end.wall_ns > max(one.end_ns for one in found.lanes[0])
