"""Drafts from another law than the declared one are seen, and the way they differ is told."""

import numpy as np
import pytest

from judging import judged, suspected
from laws import Sound, events
from specprof.findings import Clear

SOFT = ("accept/q-unfiltered-tokens-filtered",)


class FirstChoices(Sound):
    def draft(self, target, draft):
        return int(draft.argmax())


class AmongFew(Sound):
    def draft(self, target, draft):
        return self.draw(np.where(draft >= np.sort(draft)[-5], draft, 0))


class Colder(Sound):
    def draft(self, target, draft):
        return self.draw(draft**1.4)


class Hotter(Sound):
    def draft(self, target, draft):
        return self.draw(draft**0.7)


class SeldomAny(Sound):
    """One draft in ten is any token at all."""

    def draft(self, target, draft):
        stray = self.random.random() < 0.1
        return self.draw(np.ones_like(draft) if stray else draft)


@pytest.mark.parametrize(
    ("step", "suspects", "told"),
    [
        (FirstChoices, ("accept/greedy-draft-soft-q",), "each is that law's first choice"),
        (AmongFew, SOFT, "all are among its likeliest tokens"),
        (Colder, SOFT, "likelier than draws from it"),
        (Hotter, SOFT, "unlikelier than draws from it"),
    ],
)
def test_the_way_drafts_differ_is_told(step, suspects, told):
    """Which case, and in words which way the tokens lie in the declared law."""
    for seed in range(2):
        made = events(step(seed))
        assert suspected(made) == ("draft-law-differs", suspects)
        assert told in judged("draft-law-differs", made).finding.message


def test_at_temperature_0_a_draft_that_is_no_first_choice_is_proof():
    """A sampler without probabilities left gives the lowest id."""

    class Lowest(Sound):
        def draft(self, target, draft):
            return 0

    finding = judged("draft-law-differs", events(Lowest(0), temperature=0.0)).finding
    assert finding.suspects == ("draft/temp-zero-sampler-degenerate",)
    assert finding.where.used == 0


def test_a_few_drafts_from_far_down_the_law_are_seen():
    """They hardly move the mean rank; five seeds of each, a healthy one is accused in 1 of 500."""
    for seed in range(5):
        made = events(SeldomAny(seed))
        finding = judged("draft-law-differs", made).finding
        assert finding.suspects == SOFT
        assert "farther down" in finding.message
        assert isinstance(judged("draft-law-differs", events(Sound(seed))), Clear)
