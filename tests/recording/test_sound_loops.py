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
KINDS = (
    *("padded", "feeds-last-draft", "one-longer", "one-shorter", "lengths-before", "as-functions"),
    *("grammar-mask", "narrow-mask", "presence-penalty", "repetition-penalty", "min-p", "softcap"),
    *("stop-judging", "stop-inside", "sampled-as-certain", "draft-top-k", "draft-top-k-as-laws"),
    *("half-penalty", "bfloat16-penalty", "bfloat16-mask", "bfloat16-softcap", "as-laws"),
    *("penalty-as-functions", "padded-lookup"),
    *("divided-rows", "warped-rows", "warped-target", "warped-penalty", "warped-rows-of-names"),
    *("declared-cooler-draft", "declared-first-choices", "drawn-draft-at-zero", "plain-laws"),
    *("divided-in-some-rounds", "tightly-warped-rows", "divided-cooler-draft"),
    *("logit-bias", "no-repeated-pairs", "grammar-as-laws", "penalty-as-laws"),
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


BROKEN = {
    name: kind
    for name, kind in vars(broken).items()
    if isinstance(kind, type) and hasattr(kind, "expected")
}


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
