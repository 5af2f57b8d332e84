"""The stream of ids: ends passed over, limits, foreign ids, nothing or one thing proposed."""

import msgspec
import pytest

from captures import agreeing
from judging import bugs, judged, suspected
from laws import VOCABULARY, Sound, events
from specprof import registry
from specprof.errors import MissingEvidence
from specprof.findings import Clear, Found, Unknown
from specprof.records import Burst, End, Header, Round

replace = msgspec.structs.replace


def changed(made, kind, change):
    """Return the events with every one of a kind changed; where these are rounds, ends agree."""
    found = [change(each) if isinstance(each, kind) else each for each in made]
    return agreeing(found) if kind is Round else found


def rounds(made):
    return [each for each in made if isinstance(each, Round)]


def ended_by(made, token, *, heed=True):
    """Return them as a burst that a stop token ended."""
    last = rounds(made)[-1]
    made = changed(made, Burst, lambda one: replace(one, finish="eos"))
    made = changed(made, Round, lambda one: _ending(one, token) if one is last else one)
    return changed(made, Header, lambda one: _told(one, ignore_eos=not heed))


def _ending(one, token):
    return replace(one, emitted=[*one.emitted[:-1], token])


def _wider(header):
    """Return it with one id more, which no round of these drew."""
    return replace(header, target=replace(header.target, vocabulary=VOCABULARY + 1))


def _told(header, **settings):
    chosen = replace(header.spec.settings, **settings)
    return replace(header, spec=replace(header.spec, settings=chosen))


def test_a_stop_token_inside_the_text_is_told_with_its_place():
    """Round and slot at which the text should have ended."""
    made = events(Sound(0), rounds=60)
    token = next(one.emitted[0] for one in rounds(made) if len(one.emitted) > 2)
    finding = judged("text-goes-past-stop", ended_by(made, token)).finding
    assert finding.suspects == ("stop/eos-inside-accepted-block",)
    one = rounds(made)[finding.where.round]
    assert one.emitted[finding.where.index] == token


def test_a_stop_token_at_the_end_alone_is_right_and_unheeded_ones_are_not_judged():
    """A run told to go on past stop tokens has none inside its text to blame."""
    made = ended_by(events(Sound(0), rounds=60), VOCABULARY)
    made = changed(made, Header, _wider)
    assert isinstance(judged("text-goes-past-stop", made), Clear)
    with pytest.raises(MissingEvidence, match="go on past"):
        judged("text-goes-past-stop", ended_by(made, 3, heed=False))
    with pytest.raises(MissingEvidence, match="no burst ended"):
        judged("text-goes-past-stop", changed(events(), Header, _told))


def test_a_limit_is_overshot_by_one_token():
    """Exactly the limit is right, one more is not."""
    made = events(Sound(0), rounds=60)
    emitted = sum(len(one.emitted) for one in rounds(made))
    exact = changed(made, Header, lambda one: _told(one, max_new_tokens=emitted))
    assert isinstance(judged("limit-overshot", exact), Clear)
    short = changed(made, Header, lambda one: _told(one, max_new_tokens=emitted - 1))
    finding = judged("limit-overshot", short).finding
    assert finding.suspects == ("stop/length-overshoot",)
    assert finding.where.used - finding.where.clean == 1


def test_a_foreign_id_is_told():
    """Ids the target has no row for: two, as one alone may be an altered digit."""
    made = events(Sound(0), rounds=60)
    assert isinstance(judged("token-outside-vocabulary", made), Clear)
    odd = ended_by(made, VOCABULARY)
    with pytest.raises(MissingEvidence, match="round 59 alone commits token 40, which the target"):
        judged("token-outside-vocabulary", odd)
    first = rounds(odd)[0]
    odd = changed(odd, Round, lambda one: _ending(one, VOCABULARY) if one is first else one)
    assert str(VOCABULARY) in judged("token-outside-vocabulary", odd).finding.message


def empty(one):
    return replace(one, drafted=[], accepted=0, emitted=one.emitted[-1:])


def test_drafts_that_never_arrive_are_told_from_a_lookup_that_finds_none():
    """A model always has something to propose."""
    made = changed(events(Sound(0), rounds=60), Round, empty)
    finding = judged("nothing-proposed", made).finding
    assert finding.suspects == ("draft/proposals-never-reach-verifier",)
    assert finding.where.clean == 4
    assert isinstance(judged("nothing-proposed", events(Sound(0), rounds=60)), Clear)
    looked_up = changed(made, Header, lambda one: _told(one, drafter="ngram"))
    with pytest.raises(MissingEvidence, match="may find nothing"):
        judged("nothing-proposed", looked_up)


COPIER = '''"""Copies what a notebook holds."""
from specprof.extend import Drafter


class Copier(Drafter):
    {declared}

    def propose(self, committed, depth):
        raise NotImplementedError
'''


@pytest.fixture
def copier(tmp_path, monkeypatch):
    """Install a plug-in's drafter `copier` that declares what is given."""
    (tmp_path / "drafters").mkdir()
    monkeypatch.setattr(registry, "_entry_point_folders", lambda _: [tmp_path])

    def install(declared):
        path = tmp_path / "drafters" / "copier.py"
        path.write_text(COPIER.format(declared=declared))

    return install


def of_copier(made):
    """The events as the run of a drafter `copier` leaves them: it loads no draft model."""
    named = changed(made, Header, lambda one: _told(one, drafter="copier"))
    return changed(named, Header, lambda one: replace(one, draft=None))


def test_a_plug_in_that_copies_is_not_accused_of_proposing_nothing(copier):
    """It says that it has no distribution, as `ngram` does."""
    made = of_copier(changed(events(Sound(0), rounds=60), Round, empty))
    with pytest.raises(MissingEvidence, match="is not installed here"):
        judged("nothing-proposed", made)
    copier("distribution = False")
    with pytest.raises(MissingEvidence, match="may find nothing"):
        judged("nothing-proposed", made)
    assert "nothing-proposed" not in bugs(made)


def test_a_plug_in_with_a_distribution_is_judged_as_any(copier):
    """It always has something to propose."""
    copier("pass")
    made = of_copier(changed(events(Sound(0), rounds=60), Round, empty))
    assert isinstance(judged("nothing-proposed", made), Found)


def test_a_plug_in_that_copies_is_no_model_to_be_worse_than_a_constant(copier):
    """Nor do its certain drafts say that draws were due."""
    copier("distribution = False")
    made = of_copier(events(Sound(0), rounds=60))
    assert "no model makes them" in judged("worse-than-constant", made).reason
    certain = changed(
        made, Round, lambda one: replace(one, drafted=[_sure(d) for d in one.drafted])
    )
    assert isinstance(judged("drafts-not-drawn", certain), Clear)
    copier_gone = changed(certain, Header, lambda one: _told(one, drafter="nobody-s"))
    assert isinstance(judged("drafts-not-drawn", copier_gone), Clear)
    assert "is not installed here" in judged("worse-than-constant", copier_gone).reason


def _sure(one):
    return replace(one, seen=one.seen and replace(one.seen, draft_prob=1.0))


def dummy(one):
    drafted = [
        replace(each, token=0, accepted=False, reached=i == 0) for i, each in enumerate(one.drafted)
    ]
    return replace(one, drafted=drafted, accepted=0, emitted=one.emitted[-1:])


def test_a_constant_from_a_length_on_is_told_with_that_length():
    """A draft that says one token from the start may be no better; it has no length to tell."""
    made = events(Sound(0), rounds=80)
    late = changed(made, Round, lambda one: dummy(one) if one.index >= 40 else one)
    finding = judged("drafts-constant", late).finding
    assert finding.suspects == ("pos/draft-length-gate-dummy-tokens",)
    assert finding.where.round in {39, 40}
    assert isinstance(judged("drafts-constant", made), Clear)
    assert isinstance(judged("drafts-constant", changed(made, Round, dummy)), Clear)


class OtherIds(Sound):
    """A draft of the target's own mind, that says a third of its words by another id."""

    def draft(self, target, draft):
        token = self.draw(target)
        return (token + 1) % 14 if token < 14 else token


def test_ids_that_stand_for_one_other_each_are_counted():
    """At temperature 0 a rejected draft and its correction are one word under two ids."""
    finding = judged("vocabularies-differ", events(OtherIds(0), temperature=0.0)).finding
    assert finding.suspects == ("vocab/different-tokenizer",)


def test_equal_fingerprints_are_equal_vocabularies():
    """Pairs of ids then come from a text that repeats itself."""

    def printed(header):
        facts = replace(header.target, vocabulary_sha="a")
        return replace(header, target=facts, draft=facts)

    made = changed(events(OtherIds(0), temperature=0.0), Header, printed)
    assert isinstance(judged("vocabularies-differ", made), Clear)


def test_a_weak_draft_is_no_other_vocabulary_but_other_fingerprints_are():
    """What is seen of the tokens alone would accuse neither."""
    weak = events(Sound(0), rounds=500, mismatch=2.5)
    assert isinstance(judged("vocabularies-differ", weak), Clear)

    def printed(header):
        target, draft = (
            replace(facts, vocabulary_sha=sha)
            for facts, sha in ((header.target, "a"), (header.target, "b"))
        )
        return replace(header, target=target, draft=draft)

    assert judged("vocabularies-differ", changed(weak, Header, printed)).finding.suspects


def test_a_rate_without_volume_is_told():
    """Nearly every draft stands, and four rounds in five have none."""
    made = events(Sound(0), rounds=300, depth=1, mismatch=0.05)
    rare = changed(made, Round, lambda one: one if one.index % 5 == 0 else empty(one))
    finding = judged("too-little-drafted", rare).finding
    assert "meas/rate-without-volume" in finding.suspects
    assert isinstance(judged("too-little-drafted", made), Clear)


def test_an_answer_that_is_no_number_leads_and_other_endings_are_none_of_its():
    """Both engines' words for it; a disk that filled up is another matter."""
    whole = events(Sound(0), rounds=60)
    assert isinstance(judged("logits-not-finite", whole), Clear)
    for said in ("the draft's logits hold NaN or infinity", "the target's logits hold NaN"):
        cut = changed(whole, End, lambda one, said=said: replace(one, status="failed", reason=said))
        assert suspected(cut) == ("logits-not-finite", ("accept/nan-draft-row",))
        finding = judged("logits-not-finite", cut).finding
        last = rounds(cut)[-1]
        assert finding.where.round == last.index
        assert finding.where.context == last.context + len(last.emitted)
        assert said in finding.message
    full = changed(whole, End, lambda one: replace(one, status="failed", reason="the disk is full"))
    assert isinstance(judged("logits-not-finite", full), Clear)
    assert isinstance(judged("logits-not-finite", whole[:-1]), Unknown)


def test_accepted_drafts_are_the_tokens_committed():
    """Two other ids at accepted slots are proof; a round cut short is right as far as it goes."""
    made = events(Sound(0), rounds=60)
    assert isinstance(judged("accepted-not-committed", made), Clear)
    chosen = next(one for one in rounds(made) if one.accepted > 1)
    swapped = [chosen.emitted[1], chosen.emitted[0], *chosen.emitted[2:]]
    odd = changed(made, Round, lambda one: replace(one, emitted=swapped) if one is chosen else one)
    assert suspected(odd) == (
        "accepted-not-committed",
        ("accept/correction-token-late-or-lost",),
    )
    finding = judged("accepted-not-committed", odd).finding
    assert (finding.where.round, finding.where.index) == (chosen.index, 0)
    assert finding.rounds == (chosen.index,)
    last = rounds(made)[-1]
    short = replace(last, emitted=last.emitted[:1])
    cut = changed(made, Round, lambda one: short if one is last else one)
    assert isinstance(judged("accepted-not-committed", cut), Clear)


def test_one_other_id_accuses_nobody_where_there_are_rounds_beside_it():
    """A damaged file leaves it; a second one in another round is no accident, nor one of four."""
    made = events(Sound(0), rounds=60)
    chosen = [one for one in rounds(made) if one.accepted > 1][:2]

    def odd(one):
        return replace(one, emitted=[(one.emitted[0] + 1) % VOCABULARY, *one.emitted[1:]])

    lone = changed(made, Round, lambda one: odd(one) if one is chosen[0] else one)
    with pytest.raises(MissingEvidence, match=f"round {chosen[0].index} alone commits"):
        judged("accepted-not-committed", lone)
    message = judged("capture-contradicts-itself", lone).finding.message
    assert "a damaged file or a bug leaves that" in message
    both = changed(made, Round, lambda one: odd(one) if one in chosen else one)
    assert judged("accepted-not-committed", both).finding
    few = events(Sound(0), rounds=4)
    least = next(one for one in rounds(few) if one.accepted)
    few = changed(few, Round, lambda one: odd(one) if one is least else one)
    assert judged("accepted-not-committed", few).finding
