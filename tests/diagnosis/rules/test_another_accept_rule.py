"""Equality with the target's own draw is a rule, not a bug, said or not."""

import msgspec

from judging import bugs, judged, suspected
from laws import Sound, events
from specprof.findings import Clear


class Equality(Sound):
    """Draws the target's token first, and lets a draft stand that equals it."""

    def stands(self, target, draft, token, index, coin):
        self.drawn = self.draw(target)
        return self.drawn == token

    def correction(self, target, draft, token, coin):
        return self.drawn


class Picked(Equality):
    def draft(self, target, draft):
        return int(draft.argmax())


class Biased(Equality):
    """Equality that throws away the draw it rejected by, and draws from the draft."""

    def correction(self, target, draft, token, coin):
        return self.draw(draft)


def test_sample_and_match_under_another_name_is_a_configuration():
    """It emits the target's law at a price, so nothing is broken."""
    for seed in range(3):
        made = events(Equality(seed))
        assert suspected(made) == ("another-accept-rule", ("accept/exact-match-rule",))
        assert bugs(made) == []


def test_first_choices_that_stand_by_equality_ignore_the_temperature():
    """Undeclared, and declared: then the coins are those of the rule, and the draft's law free."""
    made = events(Picked(0))
    assert suspected(made) == ("drafts-not-drawn", ("draft/temperature-ignored",))
    declared = [_declared(each) for each in made]
    assert suspected(declared) == ("drafts-not-drawn", ("draft/temperature-ignored",))
    assert bugs(made) == bugs(declared) == []


def test_equality_with_a_wrong_text_is_still_a_bug():
    """What is emitted decides: equality excuses no other law."""
    assert "accept-rule-unfair" in bugs(events(Biased(0)))


def test_a_run_that_keeps_its_rule_is_clear():
    """Neither rule has anything to say of the declared one."""
    assert isinstance(judged("another-accept-rule", events(Sound(0))), Clear)
    assert isinstance(judged("drafts-not-drawn", events(Sound(0))), Clear)


def _declared(event):
    """The same with exact-match in the header, and owed as that rule owes."""
    if hasattr(event, "acceptance"):
        return msgspec.structs.replace(event, acceptance="exact-match")
    if not hasattr(event, "drafted"):
        return event
    drafted = [_owed(each) for each in event.drafted]
    # Its corrections are due from another law than the residual, of which nothing was written down.
    return msgspec.structs.replace(event, drafted=drafted, final_rank=None, final_order=None)


def _owed(one):
    seen = one.seen and msgspec.structs.replace(one.seen, accept_owed=one.seen.target_prob)
    return msgspec.structs.replace(one, seen=seen)
