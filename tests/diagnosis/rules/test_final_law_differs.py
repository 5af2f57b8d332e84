"""Corrections and bonuses from other laws are seen in 300 rounds, and the law is named."""

import numpy as np
import pytest

from judging import judged, suspected
from laws import Sound, events, residual
from specprof.findings import Clear, Found


class FromTarget(Sound):
    def correction(self, target, draft, token, coin):
        return self.draw(target)


class FromDraft(Sound):
    def correction(self, target, draft, token, coin):
        return self.draw(draft)


class Softmaxed(Sound):
    def correction(self, target, draft, token, coin):
        return self.draw(np.exp(np.maximum(target - draft, 0)))


class BonusFromDraft(Sound):
    def bonus(self, target, draft):
        return self.draw(draft)


class CoinReused(Sound):
    def correction(self, target, draft, token, coin):
        left = residual(target, draft)
        at = np.searchsorted(left.cumsum(), coin * left.sum())
        return int(at.clip(max=len(left) - 1))


NAMED = {
    FromTarget: "accept/residual-not-subtracted",
    FromDraft: "accept/residual-not-subtracted",
    Softmaxed: "accept/residual-softmaxed",
    BonusFromDraft: "accept/bonus-from-draft",
    CoinReused: "rng/accept-uniform-reused",
}


@pytest.mark.parametrize("step", NAMED)
def test_the_law_of_the_finals_is_named(step):
    """By the likelihood of the tokens under each law that is known to be drawn from by mistake."""
    for seed in range(3):
        assert suspected(events(step(seed))) == ("final-law-differs", (NAMED[step],))


def test_a_reused_coin_leaves_every_correction_supported():
    """Only its order in the residual shows rng/accept-uniform-reused: 0.67 in the mean, not 0.5."""
    made = events(CoinReused(1))
    assert isinstance(judged("residual-unsupported", made), Clear)
    measures = judged("final-law-differs", made).finding.measures
    order = next(one for one in measures if one.name == "order in the law due per correction")
    assert order.value == pytest.approx(0.67, abs=0.05)


def test_an_unsupported_correction_is_pointed_at():
    """At the first round that holds one."""
    made = events(FromTarget(0))
    finding = judged("residual-unsupported", made).finding
    assert finding.where.round == finding.rounds[0]
    assert isinstance(judged("final-law-differs", made), Found)


def test_a_bonus_outside_the_targets_law_is_proof():
    """Two are enough, as one may be a changed digit; the first is where the finding points."""

    class TwiceOutside(Sound):
        done = 0

        def bonus(self, target, draft):
            if self.done < 2:
                self.done += 1
                return int(target.argmin())
            return super().bonus(target, draft)

    finding = judged("final-law-differs", events(TwiceOutside(0), keep=6)).finding
    assert len(finding.rounds) == 2
    assert finding.where.used == 0


def test_no_share_is_stated_of_what_never_came():
    """A step that rejects every draft leaves no bonus."""

    class NeverSoftmaxed(Sound):
        def stands(self, target, draft, token, index, coin):
            return False

        def correction(self, target, draft, token, coin):
            return self.draw(np.ones_like(target))

    finding = judged("final-law-differs", events(NeverSoftmaxed(0))).finding
    assert all(each.n for each in finding.measures)
    assert not any("bonus" in each.name for each in finding.measures)
