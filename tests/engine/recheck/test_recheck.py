"""The cache-free reference sees what a broken cache does to the laws a run acted on."""

import pytest
import torch

import tiny
from engines import loop
from specprof.drafters.draft_model import DraftModel
from specprof.drafters.ngram import Ngram
from specprof.engine.decoder import CausalModel
from specprof.engine.drafting import ModelDrafter
from specprof.engine.observe.round_recorder import RoundRecorder
from specprof.engine.recheck.kept_logits import MAX_KEPT_BYTES, KeptLogits
from specprof.engine.recheck.recheck import Reference, recheck
from specprof.engine.stores.dense import Store

CPU = torch.device("cpu")


class ShortDraft(DraftModel):
    """Trims two tokens too many at every rollback (lablup/mlxcel#994)."""

    def rollback(self, committed):
        self.draft.rollback(min(self.draft.length, committed - 1) - 2)

    def propose(self, committed, depth):
        kept = [0] * self.draft.length  # only how many matters: the rest is fed
        return super().propose([*kept, committed[-1]], depth)


class Shifted(CausalModel):
    """Keeps a rejected token at every rollback (kv/target-rejected-kept)."""

    def rollback(self, length):
        super().rollback(min(self.length, length + 1))


class Poisoned(CausalModel):
    """Loses a row of its cache, in the middle of the text, once it is filled."""

    @torch.inference_mode()
    def prefill(self, tokens):
        super().prefill(tokens)
        for layer in self.store.layers:
            layer.keys[..., 11, :] *= -1
            layer.values[..., 11, :] *= -1


def rechecked(drafter, target_decoder=CausalModel, draft_decoder=CausalModel, **given):
    """Return the rounds of a run, and their recheck."""
    room, plain = given.pop("room", MAX_KEPT_BYTES), given.pop("plain", True)
    target, draft = tiny.model("llama", 1), tiny.model("llama", 2)
    drafts = issubclass(drafter, ModelDrafter)
    decoders = (
        target_decoder(target, Store(3, 400), CPU),
        draft_decoder(draft, Store(3, 200), CPU) if drafts else None,
    )
    run = loop(*decoders, drafter=drafter, **({"temperature": 1.0, "depth": 3} | given))
    committed = list(range(1, 31))
    run.target.prefill(committed[:-1])
    run.drafter.prefill(committed)
    law, rule = run.parts.law, run.acceptance
    recorder = RoundRecorder(
        law=law,
        acceptance=rule,
        policies=[run.parts.policy],
        detail="evidence",
        origin_ns=0,
        late=False,
    )
    rounds, held = [], KeptLogits(room)
    for played in run.rounds(committed, new_tokens=60, stop=frozenset()):
        held.keep(played)
        rounds += recorder.take(played, 0)
    rounds += recorder.flush()
    reference = Reference(
        target=target,
        draft=draft if drafts and plain else None,
        certain=not drafts,
        law=law,
        acceptance=rule,
    )
    return rounds, recheck(reference, committed, rounds, held.rounds)


def differences(drafter, target_decoder=CausalModel, **given):
    """Return the largest difference of either side's probabilities, and where the draft's is."""
    rounds, again = rechecked(drafter, target_decoder, **given)
    used = {
        (one.index, place): drafted.seen
        for one in rounds
        for place, drafted in enumerate(one.drafted)
        if drafted.reached
    }
    pairs = [(used[place.round, place.index], place) for place in again.places]
    assert len(pairs) > 30
    return (
        max(abs(seen.target_prob - place.target_prob) for seen, place in pairs),
        max(abs(seen.draft_prob - place.draft_prob) for seen, place in pairs),
        [place.round for seen, place in pairs if abs(seen.draft_prob - place.draft_prob) > 0.001],
    )


def test_a_sound_cache_agrees_with_the_reference():
    """Both sides, at every reached place, to the digits the capture keeps."""
    target, draft, _ = differences(DraftModel)
    assert target < 1e-3
    assert draft < 1e-3


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("shape", ["static-tree", "dynamic-tree"])
def test_a_sound_tree_agrees_with_the_reference(shape, temperature):
    """At the eldest of each family, drawn or deterministic; its younger siblings are left out."""
    target, draft, _ = differences(DraftModel, shape=shape, temperature=temperature)
    assert target < 1e-3
    assert draft < 1e-3


def test_a_trimmed_draft_cache_shows_on_the_draft_side_alone():
    """The target's laws stay clean, and the draft's part from the second round on."""
    target, draft, rounds = differences(ShortDraft)
    assert target < 1e-3
    assert draft > 0.005
    assert min(rounds) == pytest.approx(1, abs=1)


def test_a_drafter_without_a_model_has_its_target_rechecked():
    """Sound, nothing differs; a target that keeps a rejected token differs from then on."""
    target, draft, _ = differences(Ngram, temperature=0.2)
    assert target < 1e-3
    assert draft == 0
    target, draft, _ = differences(Ngram, Shifted, temperature=0.2)
    assert target > 0.005
    assert draft == 0


EXACT = 1e-5
"""Rounding of float32 laws through three layers; 2e-6 was seen."""


def gaps(found, name):
    """Return one kind of gap of all places, or emitted tokens, that tell of it."""
    told = [getattr(each, name) for each in found]
    return [each for each in told if each is not None]


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("shape", ["chain", "static-tree", "dynamic-tree"])
def test_a_sound_engine_acts_on_clean_laws(shape, temperature):
    """Every reached family, every committed token, both sides, at any temperature."""
    rounds, again = rechecked(DraftModel, shape=shape, temperature=temperature)
    emitted = [(one.index, slot) for one in rounds for slot in range(len(one.emitted))]
    assert [(each.round, each.slot) for each in again.emitted] == emitted
    for found, name in (
        (again.places, "target_gap"),
        (again.places, "draft_gap"),
        (again.emitted, "target_gap"),
    ):
        told = gaps(found, name)
        assert len(told) == len(found) > 30
        assert max(told) < EXACT


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_poisoned_row_shows_on_its_own_side(temperature):
    """One row of sixty, and at temperature 0 too, where it may flip no first choice."""
    _, again = rechecked(DraftModel, Poisoned, temperature=temperature)
    assert max(gaps(again.emitted, "target_gap")) > 1000 * EXACT
    assert max(gaps(again.places, "draft_gap")) < EXACT
    _, again = rechecked(DraftModel, draft_decoder=Poisoned, temperature=temperature)
    assert max(gaps(again.places, "draft_gap")) > 1000 * EXACT
    assert max(gaps(again.emitted, "target_gap")) < EXACT


def test_committed_tokens_are_scored_by_the_book():
    """Entropy, spread, shortfall and the draft's nats, each from a plain forward of its own."""
    rounds, again = rechecked(DraftModel, temperature=0.7)
    text = list(range(1, 31)) + [token for one in rounds for token in one.emitted]
    tokens = torch.tensor([text])
    with torch.no_grad():
        raw = tiny.model("llama", 1)(tokens).logits[0].double()
        draft = tiny.model("llama", 2)(tokens).logits[0].double()
    assert len(again.emitted) == len(text) - 30
    for place, told in enumerate(again.emitted, start=30):
        law = (raw[place - 1] / 0.7).softmax(-1)
        logs = law.log()
        spread = (law * logs.square()).sum() - (law * logs).sum() ** 2
        wanted = (law[text[place]], -(law * logs).sum(), spread)
        assert (told.target_prob, told.entropy, told.spread) == pytest.approx(
            [each.item() for each in wanted], rel=1e-3, abs=1e-5
        )
        shortfall = raw[place - 1].max() - raw[place - 1, text[place]]
        assert told.shortfall == pytest.approx(shortfall.item(), rel=1e-3, abs=1e-4)
        nats = -draft[place - 1].log_softmax(-1)[text[place]].item()
        assert told.draft_nll == pytest.approx(nats, rel=1e-3, abs=1e-4)


def test_at_temperature_0_a_token_is_the_first_choice_and_nothing_is_open():
    """The law has all its mass on one token: no entropy, no spread, no shortfall."""
    _, again = rechecked(DraftModel, temperature=0.0)
    assert {(each.target_prob, each.entropy, each.spread) for each in again.emitted} == {(1, 0, 0)}
    assert max(each.shortfall for each in again.emitted) < 1e-4


def test_what_found_no_room_has_no_gap():
    """Held round by round up to the limit; everything else is told all the same."""
    _, again = rechecked(DraftModel, room=20_000)
    told = [each.target_gap is not None for each in again.emitted]
    assert told[0]
    assert not told[-1]
    assert told == sorted(told, reverse=True)
    assert all(each.draft_nll is not None for each in again.emitted)


def test_where_nothing_says_the_drafts_law_the_target_is_told_alone():
    """Lookups have no model: their token is their law. A model without a plain forward has one."""
    _, again = rechecked(Ngram, temperature=0.2)
    assert not gaps(again.places, "draft_gap")
    assert {each.draft_prob for each in again.places} == {1}
    assert {each.draft_nll for each in again.emitted} == {None}
    _, again = rechecked(DraftModel, plain=False)
    assert {(each.draft_prob, each.overlap, each.draft_gap) for each in again.places} == {
        (None, None, None)
    }
    assert max(gaps(again.places, "target_gap")) < EXACT
