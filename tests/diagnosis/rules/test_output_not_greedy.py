"""Greedy text that is not the target's, and near ties that excuse it."""

import msgspec
import numpy as np
import pytest

from judging import bugs, judged
from laws import Sound, events
from specprof.findings import Clear, Found


class BonusFromDraft(Sound):
    def bonus(self, target, draft):
        return int((target != target.max()).argmax())


class CorrectionAgain(Sound):
    def correction(self, target, draft, token, coin):
        return token


GREEDY = {"temperature": 0.0}


@pytest.mark.parametrize(
    ("step", "case"),
    [
        (BonusFromDraft, "accept/bonus-from-draft"),
        (CorrectionAgain, "accept/residual-not-subtracted"),
    ],
)
def test_the_kind_of_slot_that_is_off_is_told(step, case):
    """Correction or bonus: each has its own case. A final token has no draft index."""
    finding = judged("output-not-greedy", events(step(0), **GREEDY)).finding
    assert finding.suspects == (case,)
    assert finding.where.index is None


def test_what_the_run_acted_on_is_enough():
    """Without any rescored text the final tokens still tell."""
    made = [each for each in events(BonusFromDraft(0), **GREEDY) if not hasattr(each, "places")]
    assert judged("output-not-greedy", made).finding.suspects == ("accept/bonus-from-draft",)


@pytest.mark.parametrize(("shortfall", "gap"), [(0.05, 0.01), (0.3, 0.05)])
def test_ties_inside_the_measured_noise_are_no_bug(shortfall, gap):
    """The wider clean and used rows part, the more is excused; nothing of it is a bug."""
    made = [_tied(each, shortfall, gap) for each in events(Sound(0), **GREEDY)]
    made = [_in_bfloat16(each) for each in made]
    finding = judged("near-ties-flipped", made).finding
    assert finding.suspects == ("num/verify-vs-decode-kernel-ties",)
    assert bugs(made) == []


def test_a_shortfall_beyond_the_noise_is_no_tie():
    """What rounding can't explain is a wrong output."""
    made = [_tied(each, 3.0, 1e-6) for each in events(Sound(0), **GREEDY)]
    assert isinstance(judged("near-ties-flipped", made), Clear)
    assert isinstance(judged("output-not-greedy", made), Found)


def test_the_first_divergence_is_measured():
    """After how many tokens, and how far apart the choices are there; later ones don't count."""
    made = [_tied(each, 0.05, 0.01) for each in events(Sound(0), **GREEDY)]
    finding = judged("near-ties-flipped", [_in_bfloat16(each) for each in made]).finding
    told = {each.name: (each.value, each.n) for each in finding.measures}
    assert told["texts that diverge per text"] == (1, 1)
    assert told["tokens before the first divergence, fewest"] == (0, 1)
    assert told["shortfall at the first divergence, largest"] == (pytest.approx(0.05), 1)
    made = [_tied(each, 3.0, 1e-6) for each in events(Sound(0), **GREEDY)]
    finding = judged("output-not-greedy", made).finding
    told = {each.name: each.value for each in finding.measures}
    assert told["shortfall at the first divergence, largest"] == 3


def test_a_sound_greedy_run_has_neither():
    """No flipped tie and no other choice."""
    made = events(Sound(0), **GREEDY)
    assert isinstance(judged("near-ties-flipped", made), Clear)
    assert isinstance(judged("output-not-greedy", made), Clear)


def _tied(event, shortfall, gap):
    """Every fiftieth token falls short; every row is off by a little more or less than `gap`."""
    if not hasattr(event, "places"):
        return event
    noise = np.random.default_rng(0).uniform(0.5, 1.0, len(event.emitted))
    emitted = [
        msgspec.structs.replace(
            one,
            shortfall=0.0 if i % 50 else shortfall,
            target_gap=float(gap * noise[i]),
        )
        for i, one in enumerate(event.emitted)
    ]
    return msgspec.structs.replace(event, emitted=emitted)


def _in_bfloat16(event):
    if not hasattr(event, "acceptance"):
        return event
    target = msgspec.structs.replace(event.target, dtype="bfloat16")
    return msgspec.structs.replace(event, target=target)
