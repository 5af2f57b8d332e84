"""The real engine, on tiny checkpoints, is accused of nothing either."""

import re

import pytest

import tiny
from specprof.analysis.columns import Columns
from specprof.analysis.evidence import Evidence
from specprof.backends.native import Native
from specprof.diagnosis import diagnose
from specprof.findings import Clear, Crashed, Unknown
from specprof.settings import RunSpec, Settings


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("models")
    (made / "text.txt").write_text("the quick brown fox jumps over the lazy dog; " * 60)
    tiny.checkpoint(made / "target", seed=1)
    tiny.checkpoint(made / "draft", seed=1, num_hidden_layers=2)
    return made


OTHERWISE = {
    "a tree": {"shape": "static-tree", "widths": "3,2"},
    "a pruned tree": {"shape": "dynamic-tree"},
    "lookups": {"drafter": "ngram", "draft": None},
    "three sequences": {"batch": 3},
    "a window": {"cache": "sink-window", "window": 64},
    "8 bits": {"cache": "quantised"},
    "exact match": {"acceptance": "exact-match"},
    "a tree by exact match": {"acceptance": "exact-match", "shape": "static-tree"},
    "varying K": {"depth_policy": "confidence", "depth": 8},
    "itself": {"drafter": "self", "draft": None},
}


def judged(folder, **changes):
    """Return the diagnosis of a run on tiny checkpoints."""
    chosen = {
        "target": str(folder / "target"),
        "draft": str(folder / "draft"),
        "text": str(folder / "text.txt"),
        "device": "cpu",
        "threads": 1,
        "context": 300,
        "stops": 3,
        "max_new_tokens": 40,
        "temperature": 1.0,
        "ignore_eos": True,
    }
    spec = RunSpec(id="x", profile="t", settings=Settings(**(chosen | changes)))
    columns = Columns()
    columns.feed(list(Native().run(spec, [])))
    return diagnose(Evidence(columns, live=True))


@pytest.mark.parametrize("how", OTHERWISE)
def test_other_ways_to_draft_and_keep_are_not_accused_either(folder, how):
    """Nothing is called a bug, no rule breaks, and the parts of the chain sum to the rejections."""
    diagnosis = judged(folder, **OTHERWISE[how])
    assert not [each.rule for each in diagnosis.found if each.family == "bug"]
    assert not [each for each in diagnosis.verdicts if isinstance(each.outcome, Crashed)]
    chain = diagnosis.attribution
    parts = chain.mismatch.frac.value + sum(part.frac.value for part in chain.brackets)
    assert parts == pytest.approx(chain.rejected.frac.value, abs=1e-9)
    assert chain.counted == ("reached level" if "tree" in how else "reached token")


@pytest.mark.parametrize("rule", ["block", "typical"])
def test_rules_without_owed_drafts_are_told_as_such(folder, rule):
    """No chain is made up; the reason stands in the sentence, and the state is still judged."""
    diagnosis = judged(folder, acceptance=rule)
    assert diagnosis.attribution is None
    assert not [each.rule for each in diagnosis.found if each.family == "bug"]
    outcomes = {each.rule: each.outcome for each in diagnosis.verdicts}
    for name in ("accept-rule-unfair", "draft-law-differs", "residual-unsupported"):
        assert isinstance(outcomes[name], Unknown)
    assert isinstance(outcomes["target-state-drifts"], Clear)
    reason = "decides a round's drafts together" if rule == "block" else "gives up the target's law"
    assert reason in diagnosis.sentence


def test_known_text_is_diagnosed_by_its_perplexity(folder):
    """No round was decoded: nothing is accused, and the sentence is the perplexity."""
    diagnosis = judged(folder, workload="ppl", drafter="none", draft=None)
    assert re.match(r"Perplexity [\d.,]+ over 29\d tokens of known text", diagnosis.sentence)
    assert {each.rule for each in diagnosis.found} <= {"run-contended"}  # as busy as the machine is
    assert not [each for each in diagnosis.verdicts if isinstance(each.outcome, Crashed)]


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("draft", ["draft", "target"])
def test_a_sound_engine_is_accused_of_no_bug(folder, draft, temperature):
    """Seeded; the statistical tests together accuse 1 in 100 such runs at most."""
    settings = Settings(
        target=str(folder / "target"),
        draft=str(folder / draft),
        text=str(folder / "text.txt"),
        device="cpu",
        threads=1,
        context=300,
        stops=6,
        max_new_tokens=40,
        temperature=temperature,
        ignore_eos=True,
    )
    columns = Columns()
    columns.feed(list(Native().run(RunSpec(id="x", profile="t", settings=settings), [])))
    diagnosis = diagnose(Evidence(columns, live=True))
    assert not [each.rule for each in diagnosis.found if each.family == "bug"]
    assert "no implementation bug shows" in diagnosis.sentence
    assert diagnosis.attribution.state.frac.value == pytest.approx(0, abs=1e-3)
    if draft == "target":
        assert diagnosis.attribution.rejected.frac.value == 0
