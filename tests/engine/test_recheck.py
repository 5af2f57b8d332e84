"""The cache-free reference sees what a broken cache does to the laws a run acted on."""

import pytest
import torch

import tiny
from engines import engine
from specprof.drafters.draft_model import DraftModel
from specprof.drafters.ngram import Ngram
from specprof.engine.cache import Store
from specprof.engine.decoder import CausalModel
from specprof.engine.drafting import ModelDrafter
from specprof.engine.held import ROOM, Held
from specprof.engine.recheck import Reference, recheck
from specprof.engine.rounds import Scribe

CPU = torch.device("cpu")


class ShortDraft(DraftModel):
    """Trims two tokens too many at every rollback (lablup/mlxcel#994)."""

    def rollback(self, committed):
        self.draft.rollback(min(self.draft.length, committed - 1) - 2)

    def propose(self, committed, depth):
        kept = [0] * self.draft.length  # only how many matters: the rest is fed
        return super().propose([*kept, committed[-1]], depth)


class Shifted(CausalModel):
    """Keeps a rejected token at every rollback (faults: kv/target-rejected-kept)."""

    def rollback(self, length):
        super().rollback(min(self.length, length + 1))


def differences(drafter, target_decoder=CausalModel, **given):
    target, draft = tiny.model("llama", 1), tiny.model("llama", 2)
    drafts = issubclass(drafter, ModelDrafter)
    decoders = (
        target_decoder(target, Store(3, 400), CPU),
        CausalModel(draft, Store(3, 200), CPU) if drafts else None,
    )
    wired = engine(*decoders, drafter=drafter, **({"temperature": 1.0, "depth": 3} | given))
    committed = list(range(1, 31))
    wired.target.prefill(committed[:-1])
    wired.drafter.prefill(committed)
    law, rule = wired.law, wired.acceptance
    scribe = Scribe(
        law=law,
        acceptance=rule,
        policy=wired.policy,
        detail="evidence",
        origin_ns=0,
        late=False,
    )
    rounds, held = [], Held(ROOM)
    for played in wired.rounds(committed, new_tokens=60, stop=frozenset()):
        held.keep(played)
        rounds += scribe.take(played, 0)
    reference = Reference(
        target=target,
        draft=draft if drafts else None,
        certain=not drafts,
        law=law,
        acceptance=rule,
    )
    again = recheck(reference, committed, rounds, held.rounds)
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
