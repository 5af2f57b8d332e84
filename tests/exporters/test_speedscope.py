"""The speedscope export."""

import json

import jsonschema
import pytest

from captures import events, in_memory
from formats import SPEEDSCOPE, check_speedscope
from specprof.exporters.speedscope import Speedscope


@pytest.fixture
def document(tmp_path):
    Speedscope().write(in_memory(events()), tmp_path / "a.speedscope.json")
    return json.loads((tmp_path / "a.speedscope.json").read_text())


def test_the_aggregate_comes_first_and_is_shown(document):
    """One opens the file and sees the sum over all rounds; the timeline is the second profile."""
    check_speedscope(document)
    assert document["activeProfileIndex"] == 0
    assert [profile["type"] for profile in document["profiles"]] == ["sampled", "evented"]


def test_frames_go_from_run_to_step(document):
    """The deepest stack reads run, round, draft, step."""
    names = [frame["name"] for frame in document["shared"]["frames"]]
    stacks = {tuple(names[i] for i in stack) for stack in document["profiles"][0]["samples"]}
    assert ("run", "round", "draft", "step") in stacks
    assert ("run", "round", "host gap") in stacks
    assert ("run", "prefill", "prefill-target") in stacks


def test_both_profiles_are_as_long_as_the_run(document):
    """The aggregate's weights and the timeline both cover the run's whole wall time."""
    aggregate, timeline = document["profiles"]
    assert aggregate["endValue"] == timeline["endValue"] == events()[-1].wall_ns


@pytest.mark.parametrize(
    "spoil",
    [
        lambda d: d["profiles"][0].update(unit="fortnights"),
        lambda d: d["profiles"][1].pop("endValue"),
        lambda d: d["profiles"][1]["events"].pop(),
        lambda d: d["profiles"][1]["events"].reverse(),
        lambda d: d["profiles"][0]["weights"].pop(),
        lambda d: d["shared"]["frames"].pop(),
        lambda d: d.update(activeProfileIndex=2),
    ],
)
def test_the_check_itself_catches_what_speedscope_refuses(document, spoil):
    """A spoilt document fails the check, so the check can fail."""
    spoil(document)
    with pytest.raises((AssertionError, jsonschema.ValidationError)):
        check_speedscope(document)


def test_the_schema_is_a_schema():
    """Our restatement of the published schema is itself valid."""
    jsonschema.Draft7Validator.check_schema(SPEEDSCOPE)


def test_a_batch_has_a_timeline_a_sequence(tmp_path):
    """All as long as the run; the sum counts a step's time once."""
    recorded = events(batch=3)
    Speedscope().write(in_memory(recorded), tmp_path / "a.speedscope.json")
    made = json.loads((tmp_path / "a.speedscope.json").read_text())
    check_speedscope(made)
    aggregate, *timelines = made["profiles"]
    assert [each["name"] for each in timelines] == [
        f"timeline of sequence {sequence}" for sequence in range(3)
    ]
    assert {each["endValue"] for each in made["profiles"]} == {recorded[-1].wall_ns}
    assert min(aggregate["weights"]) >= 0
