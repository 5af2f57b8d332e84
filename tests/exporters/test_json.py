"""The summary document."""

import json

import msgspec

from captures import events, in_memory, truncated
from specprof.analysis.acceptance import rates
from specprof.analysis.columns import Columns
from specprof.analysis.perplexity import perplexity
from specprof.capture import read_capture
from specprof.exporters.json import Json, summary
from specprof.records import Header, Round


def export(recorded, folder) -> dict:
    Json().write(in_memory(recorded), folder / "a.json")
    return json.loads((folder / "a.json").read_text(), parse_constant=_refuse)


def _refuse(name: str) -> None:
    raise AssertionError(f"{name} is no JSON")


def test_the_totals_are_the_rounds_sums(tmp_path):
    """Every total can be counted again from the capture."""
    document = export(events(), tmp_path)
    rounds = [event for event in events() if isinstance(event, Round)]
    assert document["schema"] == "specprof.summary/1"
    assert document["totals"]["rounds"] == len(rounds)
    assert document["totals"]["accepted_tokens"] == sum(one.accepted for one in rounds)
    assert document["totals"]["drafted_tokens"] == sum(len(one.drafted) for one in rounds)
    assert document["totals"]["emitted_tokens"] == sum(len(one.emitted) for one in rounds)


def test_rates_are_the_analysis_own(tmp_path):
    """The document and the screens read the same numbers."""
    columns = Columns()
    columns.feed(events())
    document = export(events(), tmp_path)
    assert document["acceptance"] == msgspec.to_builtins(rates(columns))
    totals, found = document["totals"], document["acceptance"]
    assert found["alpha_cond"]["value"] == totals["accepted_tokens"] / totals["reached_tokens"]
    assert found["accept_frac"]["value"] == totals["accepted_tokens"] / totals["drafted_tokens"]


def test_the_phases_sum_to_the_rounds_wall_time(tmp_path):
    """Nothing of the rounds' time is missing from the list of phases."""
    document = export(events(), tmp_path)
    assert (
        sum(phase["total_ns"] for phase in document["phases"])
        == document["totals"]["rounds_wall_ns"]
    )


def test_the_header_reads_back(tmp_path):
    """What ran is in the document whole."""
    document = export(events(), tmp_path)
    assert msgspec.convert(document["header"], Header) == events()[0]


def test_a_baseline_has_no_acceptance_rates(tmp_path):
    """What has no denominator is null; tau is still one token a round."""
    document = export(events(depth=0, drafter="none"), tmp_path)
    assert document["acceptance"]["accept_frac"] is None
    assert document["acceptance"]["alpha_cond"] is None
    assert document["acceptance"]["tau"]["value"] == 1
    assert document["by_draft_index"] == []


def test_a_killed_run_says_so(tmp_path):
    """The document of a torn capture states what is missing."""
    document = summary(read_capture(truncated(tmp_path / "run.jsonl")))
    assert document["capture"]["state"] == "INCOMPLETE"
    assert document["capture"]["torn"] is True
    assert document["end"] is None


def test_trees_and_scored_text_are_summed_up(tmp_path):
    """Levels beside tokens; a perplexity with its interval, null where nothing was scored."""
    totals = export(events(shape="static-tree"), tmp_path)["totals"]
    assert totals["drafted_tokens"] == 7 * totals["drafted_levels"]
    assert totals["reached_tokens"] > totals["reached_levels"] >= totals["accepted_tokens"]
    columns, recorded = Columns(), events(workload="ppl", context=700)
    columns.feed(recorded)
    document = export(recorded, tmp_path)
    assert document["totals"]["scored_tokens"] == 699
    assert document["perplexity"] == msgspec.to_builtins(perplexity(columns))
    assert [one["low"] for one in document["perplexity_by_depth"]] == [0, 128, 256, 512]
    assert export(events(), tmp_path)["perplexity"] is None


def test_what_rests_on_a_contradiction_is_not_told():
    """Rounds told twice give no rates and no times; the damage and the doubt are named."""
    made = events()
    twice = [each for event in made for each in [event] * (1 + isinstance(event, Round))]
    told = summary(in_memory(twice))
    assert "recorded more than once" in told["contradictions"][0].told
    withheld = ("acceptance", "by_draft_index", "by_context", "phases", "bursts")
    assert [told[key] for key in withheld] == [None] * len(withheld)
    assert told["totals"]["rounds"] == 2 * sum(isinstance(each, Round) for each in made)
