"""Captures of a live vLLM engine: one with a real bug of its own, two that are sound.

They are the first bursts of runs of vLLM 0.32 on a CPU over the pocket pair (vllm-project/vllm
issue 55005): at temperature 1 the rows that judge drafts are divided by memory that nobody wrote.
"""

from pathlib import Path

from specprof.analysis.evidence import Evidence
from specprof.analysis.recorded import read_columns
from specprof.diagnosis import diagnose
from specprof.findings import Unknown

ENGINES = Path(__file__).parents[1] / "data/engines"


def diagnosed(name):
    return diagnose(Evidence(read_columns(ENGINES / f"vllm-{name}.jsonl").columns))


def test_a_temperature_that_is_never_applied_is_a_fault_of_the_targets_law():
    """The law in force is told before anything that follows from it."""
    found = diagnosed("temperature-1-broken")
    assert found.leading.rule == "accept-rule-unfair"
    message = found.leading.finding.message
    assert message.startswith("the accept step uses another target law than the declared one")
    assert (
        "token 0 follows the drafts that stand in 18 rounds, as a row of NaN leaves it" in message
    )
    assert found.leading.finding.suspects == ("accept/target-not-filtered",)
    assert message in found.sentence


def test_what_follows_from_another_target_law_names_no_other_cause():
    """A nearly even law looks like a softmax over the residual, which this engine does not have."""
    found = diagnosed("temperature-1-broken")
    told = {each.rule: each.consequence.message for each in found.explained(found.leading)}
    assert "follow the law that the accept step judges by" in told["final-law-differs"]
    assert not any("softmax" in each for each in told.values())


def test_garbled_text_is_no_fault_of_the_draft():
    """No draft can know a text that the target would not have written."""
    found = diagnosed("temperature-1-broken")
    (constant,) = (each for each in found.verdicts if each.rule == "worse-than-constant")
    assert isinstance(constant.outcome, Unknown)
    assert "not the target's own" in constant.outcome.reason
    assert {each.family for each in found.found} <= {"bug", "measurement"}


def test_the_mended_engine_and_the_greedy_one_have_no_bug():
    """The one with that function replaced, and the one that never used it."""
    for name in ("temperature-1-mended", "greedy"):
        found = diagnosed(name)
        assert "no implementation bug shows" in found.sentence
        assert {each.family for each in found.found} <= {"measurement"}


def test_the_experiment_is_one_in_the_users_own_loop():
    """A command would run specprof's engine, and show nothing of another."""
    for name in ("temperature-1-broken", "greedy"):
        said = [each for one in diagnosed(name).found for each in one.finding.confirm]
        assert said
        assert not [each for each in said if each.startswith("specprof run")]
    leading = diagnosed("temperature-1-broken").leading.finding
    assert leading.confirm == ("record your loop again at temperature 0",)
