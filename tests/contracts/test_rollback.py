"""After every round both caches are as if no rejected token had ever been fed.

Held against a run of its own that took in the committed tokens in one go: the same lengths, and the
same rows within the rounding of another order of summation. Of the draft the rows that it holds are
compared, for it may lag behind.
"""

import pytest
import torch

import proofs
from specprof.engine.record_ahead import record_missed, record_next
from specprof.engine.setup.wiring import wire

CELLS = proofs.rollback_cells()
ROUNDING = {"quantised": 1 / 127}
"""Cache -> how far rows may differ, as a share of the largest number; `quantised` by one step."""
FLOAT32 = 2e-5


@pytest.fixture(scope="module")
def family(tmp_path_factory):
    return proofs.family(tmp_path_factory.mktemp("family"))


def rows(store, length):
    """Yield every layer's keys and values of the tokens that are still seen, of `length`."""
    sinks = min(store.window.sinks, length) if hasattr(store, "window") else 0
    gone = store.window.evicted(length) if hasattr(store, "window") else 0
    tokens = torch.tensor([*range(sinks), *range(sinks + gone, length)])
    places = torch.where(tokens < sinks, tokens, tokens - store.dropped)
    for layer in store.layers:
        for states, scales in (("keys", "key_scales"), ("values", "value_scales")):
            yield (getattr(layer, states) * getattr(layer, scales, 1))[:, :, places]


def same(decoder, fresh, length, cache):
    """Assert that the first `length` tokens left the same rows in both."""
    stores = [getattr(each, "inner", each).store for each in (decoder, fresh)]  # perturbed-self's
    unheld = [
        each.length - store.length for each, store in zip((decoder, fresh), stores, strict=True)
    ]
    assert unheld in ([0, 0], [1, 1])  # a head counts the first token, which it has no state of
    length -= unheld[0]
    for ours, theirs in zip(*(rows(store, length) for store in stores), strict=True):
        assert ours.shape == theirs.shape
        most = ROUNDING.get(cache, FLOAT32) * float(theirs.abs().max())
        assert (ours - theirs).abs().max() <= most


@pytest.mark.parametrize("cell", CELLS, ids=["-".join(cell.values()) for cell in CELLS])
def test_no_rejected_token_outlives_its_round(family, cell):
    """Every pair of members is sampled, with rejections and all-accepted rounds as they come."""
    temperature = 0.0 if cell["acceptance"] == "greedy" else 1.0
    settings = proofs.asked(cell, family, temperature=temperature, max_new_tokens=24)
    run = wire(settings)
    loop, committed = run.loop, list(run.tokens[: proofs.CONTEXT])
    loop.target.prefill(committed[:-1])
    loop.drafter.prefill(committed)
    record_next(loop)
    rounds = 0
    for played in loop.rounds(committed, new_tokens=24, stop=frozenset()):
        record_missed(loop)
        rounds += 1
        if rounds % 3:
            continue
        fresh = wire(settings).loop
        fresh.target.prefill(committed[:-1])
        assert played.target_length == loop.target.length == len(committed) - 1
        same(loop.target, fresh.target, len(committed) - 1, cell["cache"])
        if loop.drafter.draft is not None:
            fresh.drafter.prefill(committed)
            assert played.draft_length == loop.drafter.draft.length < len(committed)
            draft = loop.drafter.draft
            same(draft, fresh.drafter.draft, draft.length, cell["draft_cache"])
    assert rounds > 3


@pytest.mark.parametrize("cache", ["dense", "sink-window", "quantised"])
def test_another_tokens_row_is_found_out(family, cache):
    """With one token of the text exchanged the comparison fails, or it would prove nothing."""
    settings = proofs.asked({"drafter": "none", "cache": cache}, family)
    one, other = wire(settings), wire(settings)
    committed = list(one.tokens[: proofs.CONTEXT])
    one.loop.target.prefill(committed)
    committed[-2] += 1
    other.loop.target.prefill(committed)
    with pytest.raises(AssertionError):
        same(one.loop.target, other.loop.target, proofs.CONTEXT, cache)
