"""The committed text, held against the clean law alone."""

import itertools

import msgspec
import numpy as np
import pytest

from judging import judged
from laws import Sound, events
from specprof.findings import Clear


class Tempered(Sound):
    """A target at another temperature in every part of the accept step."""

    power = 1.0

    def stands(self, target, draft, token, index, coin):
        return super().stands(self._law(target), draft, token, index, coin)

    def correction(self, target, draft, token, coin):
        return super().correction(self._law(target), draft, token, coin)

    def bonus(self, target, draft):
        return super().bonus(self._law(target), draft)

    def _law(self, target):
        return target**self.power / (target**self.power).sum()


@pytest.mark.parametrize(("power", "way"), [(1.4, "more likely"), (0.7, "less likely")])
def test_text_at_another_temperature_is_told(power, way):
    """From the text alone: nothing the run acted on is looked at."""
    step = Tempered(0)
    step.power = power
    finding = judged("output-law-differs", events(step, rounds=400)).finding
    assert way in finding.message
    slots = [one for one in finding.measures if one.name.startswith("that sum at slot")]
    assert np.sign([one.value for one in slots[:2]]).tolist() == [np.sign(power - 1)] * 2


def test_a_token_outside_the_filter_is_proof_only_where_the_state_is_clean():
    """A row that differs from its clean copy may have kept another token at its edge."""
    made = events(Sound(0), keep=6)
    assert isinstance(judged("output-law-differs", made), Clear)

    def odd(gap):
        return [_impossible(each, gap) for each in made]

    finding = judged("output-law-differs", odd(0.0)).finding
    assert finding.suspects == ("accept/target-not-filtered",)
    assert isinstance(judged("output-law-differs", odd(1e-3)), Clear)


def _impossible(event, gap):
    """Rule out the accepted drafts that come first: those of one round alone may be altered."""
    if not getattr(event, "emitted", None) or not hasattr(event, "places"):
        return event
    tokens = event.emitted
    inner = [a.round == b.round and not a.slot for a, b in itertools.pairwise(tokens)]
    odd = [
        msgspec.structs.replace(each, target_prob=0.0, target_gap=gap) if wrong else each
        for each, wrong in zip(tokens, [*inner, False], strict=True)
    ]
    return msgspec.structs.replace(event, emitted=odd)
