"""A head's conventions: as run on a sound engine; another where the run breaks one."""

import pytest
import torch

import heads
import tiny
from specprof.engine.features import Features
from specprof.engine.heads.conventions import AS_RUN, _shift_rows, _swap_inputs, scans
from specprof.engine.heads.taps import find_taps
from specprof.engine.patch import swapped
from specprof.engine.setup.wiring import wire
from specprof.settings import Settings


@pytest.fixture(scope="module")
def run():
    return wire(Settings(
        draft="pocket/eagle", drafter="eagle", workload="scan", context=400, device="cpu", threads=1
    ))  # fmt: skip


def told(run):
    return {one.convention: one.agreed / one.n for one in scans(run)}


def test_a_sound_head_agrees_best_as_it_is_run(run):
    """Nothing else agrees more by much; what breaks it agrees far less; twice says the same."""
    found = told(run)
    assert found[AS_RUN] > 0.4
    assert found["layers as configured"] == found[AS_RUN]
    assert found["logits with the residual"] == pytest.approx(found[AS_RUN], abs=0.01)
    assert max(found.values()) < found[AS_RUN] + 0.05
    for broken in ("a token earlier", "a token later"):
        assert found[f"features {broken}"] < found[AS_RUN] - 0.1
    assert found["embedding and features swapped"] < 0.1
    assert found["logits without the residual"] < 0.1
    assert told(run) == found


def test_a_wrong_pairing_agrees_once_it_is_moved_back(run):
    """Features a token late: `earlier` undoes it, to the number."""
    sound = told(run)[AS_RUN]
    target = run.loop.target
    features = target.features

    class Late:
        def rows(self, start, end):
            return _shift_rows(features, start, end, 1)

        def take(self, start):
            features.take(start)

    with swapped(target, features=Late()):
        found = told(run)
    assert found[AS_RUN] < sound - 0.1
    assert found["features a token earlier"] == pytest.approx(sound, abs=0.01)


def test_swapped_halves_agree_once_they_are_swapped_back(run):
    """A second swap is the first one undone."""
    sound = told(run)[AS_RUN]
    with _swap_inputs(run.draft.model):
        found = told(run)
    assert found[AS_RUN] < 0.1
    assert found["embedding and features swapped"] == sound


def test_wrong_layers_are_named_by_the_configured_ones(run):
    """The run taps elsewhere than its head's configuration says."""
    sound = told(run)[AS_RUN]
    target, head = run.loop.target, run.draft.model
    wrong = [(module, True) for module, _ in find_taps(run.target.model, head.form)][::-1]
    with swapped(target, features=Features(wrong, 500)):
        found = told(run)
    assert found["layers as configured"] == sound
    assert found[AS_RUN] < sound
    assert found["layers in reverse order"] > found[AS_RUN]


@pytest.mark.parametrize("head", [heads.eagle, heads.eagle3])
def test_both_published_forms_are_scanned(tmp_path, head):
    """EAGLE has a norm stage, EAGLE-3 has layers; random heads agree by chance."""
    target = tiny.checkpoint(tmp_path / "target", "llama")
    named = {"eagle_aux_hidden_state_layer_ids": [1, 2, 3]} if head is heads.eagle3 else {}
    draft = heads.write(tmp_path / "head", head(), **named)
    text = tmp_path / "text"
    text.write_text("the quick brown fox jumps over the lazy dog " * 3)
    found = told(wire(Settings(
        target=str(target), draft=str(draft), drafter="eagle", workload="scan", context=100,
        text=str(text), device="cpu", threads=1,
    )))  # fmt: skip
    third = {"layers as configured", "features a layer earlier", "layers in reverse order"}
    first = {"features before the final norm", "features after the final norm"}
    assert set(found) >= (third if head is heads.eagle3 else first)
    assert not set(found) & (first if head is heads.eagle3 else third)
    if head is heads.eagle:
        assert found["features after the final norm"] == found[AS_RUN]


def test_nothing_of_it_is_left_behind(run):
    """The head's caches are empty and no hook of a convention remains."""
    hooks = sum(len(each._forward_pre_hooks) for each in run.target.model.modules())
    list(scans(run))
    assert sum(len(each._forward_pre_hooks) for each in run.target.model.modules()) == hooks
    assert run.loop.drafter.draft.length == 0
    assert not any(each._forward_pre_hooks for each in run.draft.model.modules())
    assert isinstance(run.loop.target.features, Features)
    assert torch.is_tensor(run.loop.target.features.rows(0, 1))
