"""Loops that people write, and that are sound, are not accused of a bug; broken ones are.

`python benchmarks/sound_loops.py` plays all kinds by several seeds; here each is played once.
"""

import pytest

from recorded_loops import broken
from recorded_loops.kinds import sound_loops
from specprof.analysis.evidence import Evidence
from specprof.analysis.recorded import read_columns
from specprof.diagnosis import diagnose

BURSTS = 4
MANY_BURSTS = 12
"""Enough rows differ then, whatever text the Python release at hand gives the pocket pair."""
KINDS = (
    *("padded", "feeds-last-draft", "one-longer", "one-shorter", "lengths-before", "as-functions"),
    *("grammar-mask", "narrow-mask", "presence-penalty", "repetition-penalty", "min-p", "softcap"),
    *("stop-judging", "stop-inside", "sampled-as-certain", "draft-top-k", "draft-top-k-as-laws"),
    *("half-penalty", "bfloat16-penalty", "bfloat16-mask", "bfloat16-softcap", "as-laws"),
    *("penalty-as-functions", "padded-lookup"),
    *("verifies-twice", "replays", "replays-unsaid", "replays-every-rejection"),
    *("replays-correction", "replays-as-laws"),
    *("divided-rows", "warped-rows", "warped-target", "warped-penalty", "warped-rows-of-names"),
    *("declared-cooler-draft", "declared-first-choices", "drawn-draft-at-zero", "plain-laws"),
    *("divided-in-some-rounds", "tightly-warped-rows", "divided-cooler-draft"),
    *("batch-of-two", "batch-of-three-one-early"),
    *("logit-bias", "no-repeated-pairs", "grammar-as-laws", "penalty-as-laws"),
    *("shared-noise", "small-vocabulary-as-laws", "watermark", "bfloat16-watermark", "stop-words"),
    *("alternates", "jumps-in-rounds"),
)


def bugs(loop, path):
    """Record a loop and return the rules that find a bug in it."""
    loop.play(path, bursts=BURSTS)
    found = diagnose(Evidence(read_columns(path).columns, name=str(path))).found
    return [each.rule for each in found if each.family == "bug"]


@pytest.mark.parametrize(
    ("kind", "temperature"),
    [(kind, each) for kind in KINDS for each in sound_loops()[kind].temperatures if each < 1],
)
def test_a_sound_loop_is_not_accused(kind, temperature, tmp_path):
    """Whatever its way of drafting, feeding and reporting."""
    assert bugs(sound_loops()[kind](temperature, 0), tmp_path / "loop.jsonl") == []


def test_one_prompt_again_says_nothing_of_vocabularies(tmp_path):
    """At temperature 0 each answer has the rejections of the first: they count once."""
    loop, path = sound_loops()["one-prompt"](0.0, 0), tmp_path / "loop.jsonl"
    loop.play(path, bursts=6)
    found = diagnose(Evidence(read_columns(path).columns)).found
    assert "vocabularies-differ" not in {each.rule for each in found}


BROKEN = {
    name: kind
    for name, kind in vars(broken).items()
    if isinstance(kind, type) and hasattr(kind, "expected") and kind is not broken.GreedyBroken
}


@pytest.mark.parametrize("looping", [False, True])
@pytest.mark.parametrize("kind", [each for each in BROKEN.values() if hasattr(each, "told")])
def test_rows_that_are_not_their_own_are_named(kind, looping, tmp_path):
    """The leading finding says which rows they are, and the accept step is not accused as well."""
    path = tmp_path / "loop.jsonl"
    kind(0.0, 1, looping=looping).play(path, bursts=MANY_BURSTS)
    made = diagnose(Evidence(read_columns(path).columns))
    assert made.leading.rule in kind.expected
    assert made.leading.finding.message.startswith(kind.told)
    assert "accept-rule-unfair" not in {each.rule for each in made.found}
    assert " the ratio" not in made.sentence


@pytest.mark.parametrize(
    ("name", "temperature"),
    [(name, each) for name, kind in BROKEN.items() for each in kind.temperatures if each < 1],
)
def test_a_broken_loop_is_still_accused(name, temperature, tmp_path):
    """By a rule that is meant for its bug, whatever the loop does to its rows."""
    kind = BROKEN[name]
    found = bugs(kind(temperature, 0), tmp_path / "loop.jsonl")
    assert kind.expected.intersection(found)
    assert not getattr(kind, "only", False) or kind.expected.issuperset(found)
