"""Each wrong way to let drafts stand is seen in 300 rounds, and named."""

import pytest

from judging import bugs, judged, suspected
from laws import Sound, events


class Always(Sound):
    def stands(self, target, draft, token, index, coin):
        return True


class FirstUnchecked(Sound):
    def stands(self, target, draft, token, index, coin):
        return index == 0 or super().stands(target, draft, token, index, coin)


class LaterByOtherRows(Sound):
    def stands(self, target, draft, token, index, coin):
        row = target if index == 0 else target[::-1]
        return super().stands(row, draft, token, index, coin)


class Inverted(Sound):
    def stands(self, target, draft, token, index, coin):
        return coin * target[token] < draft[token]


class ShareOfTheLikeliest(Sound):
    def stands(self, target, draft, token, index, coin):
        return coin * target.max() < target[token]


class Never(Sound):
    def stands(self, target, draft, token, index, coin):
        return False

    def correction(self, target, draft, token, coin):
        return int(target.argmax())


class Threshold(Sound):
    def stands(self, target, draft, token, index, coin):
        return target[token] > 0.1


class SameCoin(Sound):
    def stands(self, target, draft, token, index, coin):
        return super().stands(target, draft, token, index, 0.5)


NAMED = {
    Always: "accept/always-accept",
    FirstUnchecked: "verify/first-draft-unchecked",
    LaterByOtherRows: "verify/rows-swapped-topk-args",
    Inverted: "accept/wrong-ratio",
    ShareOfTheLikeliest: "accept/wrong-ratio",
    Threshold: "accept/wrong-ratio",
}


@pytest.mark.parametrize("step", NAMED)
def test_the_rule_in_force_is_named(step):
    """It leads whatever else the wrong text makes fire."""
    for seed in range(2):
        assert suspected(events(step(seed))) == ("accept-rule-unfair", (NAMED[step],))


@pytest.mark.parametrize(
    ("step", "best"),
    [(Inverted, "inverted ratio"), (ShareOfTheLikeliest, "share of the likeliest")],
)
def test_the_law_that_explains_the_coins_best_is_told(step, best):
    """In the message, where the catalogue has one case for many laws."""
    assert f"'{best}'" in judged("accept-rule-unfair", events(step(0))).finding.message


@pytest.mark.parametrize("step", [FirstUnchecked, LaterByOtherRows, Always])
def test_greedy_outcomes_are_certain_and_tell_as_much(step):
    """The first wrong outcome is pointed at."""
    made = events(step(0), temperature=0.0)
    assert suspected(made) == ("accept-rule-unfair", (NAMED[step],))
    where = judged("accept-rule-unfair", made).finding.where
    one = next(each for each in made if getattr(each, "index", None) == where.round)
    assert one.drafted[where.index].accepted == bool(where.used)
    assert one.drafted[where.index].seen.accept_owed == where.clean != where.used


def test_a_target_without_its_filter_is_told_from_an_accept_step_without_coins():
    """Both let filtered tokens stand; only the first emits them of its own accord."""

    class Unfiltered(Sound):
        """The target keeps all its tokens: some mass lies on each that the filter drops."""

        def stands(self, target, draft, token, index, coin):
            return super().stands(_spread(target), draft, token, index, coin)

        def correction(self, target, draft, token, coin):
            return super().correction(_spread(target), draft, token, coin)

        def bonus(self, target, draft):
            return super().bonus(_spread(target), draft)

    assert suspected(events(Unfiltered(0), keep=6))[1] == ("accept/target-not-filtered",)
    assert suspected(events(Always(0), keep=6))[1] == ("accept/always-accept",)


def _spread(law):
    return 0.8 * law + 0.2 / len(law)


HEALTHY = {
    "as it is": {},
    "filtered": {"keep": 6},
    "greedy": {"temperature": 0.0},
    "one draft a round": {"depth": 1},
    "nearly the target": {"mismatch": 0.2},
    "a weak draft": {"mismatch": 2.5},
}


@pytest.mark.parametrize("how", HEALTHY)
def test_a_sound_step_is_accused_of_nothing(how):
    """Ten seeds: with a family error of 1% all six cases pass in 54 of 100 choices of seeds.

    These seeds are fixed; what is measured over a thousand runs is benchmarks/detection.
    """
    for seed in range(6):
        assert bugs(events(Sound(seed), rounds=200, **HEALTHY[how])) == []


@pytest.mark.parametrize("step", [Inverted, Never])
def test_no_law_of_coins_is_named_where_none_is_flipped(step):
    """At temperature 0 each outcome is certain, so a share of a ratio explains nothing."""
    finding = judged("accept-rule-unfair", events(step(0), temperature=0.0)).finding
    assert "the law that explains" not in finding.message
    assert "ratio" not in finding.message
