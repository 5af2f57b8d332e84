"""A draft is held against drafts that know nothing, on the same places."""

import numpy as np
import pytest

import captures
from astray import LONG, judged, replace
from specprof.findings import Clear
from specprof.records import Recheck

RULE = "worse-than-constant"


def knowing(nats, **settings):
    """Return a run's events whose draft gives every committed token so many nats."""
    return [
        replace(e, emitted=[replace(one, draft_nll=nats) for one in e.emitted])
        if isinstance(e, Recheck)
        else e
        for e in captures.events(**(LONG | settings))
    ]


def test_a_draft_near_uniform_was_never_loaded():
    """The logarithm of the vocabulary is what random weights make of a token."""
    evenly = float(np.log(captures.events(**LONG)[0].draft.vocabulary))
    finding = judged(RULE, knowing(evenly + 0.1)).finding
    assert finding.suspects == ("draft/weights-not-loaded",)
    confident = judged(RULE, knowing(2 * evenly)).finding
    assert confident.suspects[0] == "vocab/different-tokenizer"


@pytest.mark.parametrize("temperature", [0.7, 1.0, 1.5])
def test_a_weak_draft_is_not_accused(temperature):
    """It beats the table, if not by much; hot text is no case at all."""
    nats = 3.0 if temperature <= 1 else 20.0
    assert isinstance(judged(RULE, knowing(nats, temperature=temperature)), Clear)
