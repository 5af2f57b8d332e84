"""Every method that claims to be lossless decodes greedily as its target alone does.

Held against plain decoding with the same target cache, at the edges too: limits and stop tokens
inside a block, rounds that accept everything, a window that turns over during a round.
"""

import functools
import itertools

import pytest
import torch

import proofs
import tiny
from specprof import registry
from specprof.engine.record_ahead import record_missed, record_next
from specprof.engine.replay.decision import replay_status
from specprof.engine.setup.wiring import wire

CELLS = proofs.greedy_cells()
IDS = ["-".join(cell.values()) for cell in CELLS]
LENGTHS = (1, 2, 6)


@pytest.fixture(scope="module")
def family(tmp_path_factory):
    return proofs.family(tmp_path_factory.mktemp("family"))


@functools.cache
def plain(family, cache):
    """Return the tokens of plain greedy decoding: the drafter `none`, one token a round."""
    cell = {"drafter": "none", "cache": cache, "graphs": "off"}
    return decode(wire(proofs.asked(cell, family)))[0]


def decode(run, new_tokens=proofs.NEW, stop=frozenset()):
    """Forget all earlier text, then decode after the text."""
    committed = list(run.tokens[: proofs.CONTEXT])
    run.loop.target.prefill(committed[run.loop.target.length : -1])
    run.loop.drafter.prefill(committed)
    record_next(run.loop)
    rounds = []
    for played in run.loop.rounds(committed, new_tokens=new_tokens, stop=stop):
        rounds.append(played)
        record_missed(run.loop)
    run.roll_back_to(proofs.CONTEXT)
    return committed[proofs.CONTEXT :], rounds


@pytest.mark.parametrize("cell", CELLS, ids=IDS)
def test_greedy_output_is_the_targets_own(family, cell):
    """Every pair of members is wired as in a run, then cut short and stopped anywhere."""
    run = wire(proofs.asked(cell, family))
    wanted = plain(family, cell["cache"])
    assert decode(run)[0] == wanted
    for length in LENGTHS:
        assert decode(run, length)[0] == wanted[:length]
    for stop in {wanted[place] for place in (1, 4, 9, 30)}:
        cut = wanted[: wanted.index(stop) + 1]
        assert decode(run, stop=frozenset([stop]))[0] == cut


def test_replayed_methods_are_among_the_cells(family):
    """Every drafter is, over all replayable caches, except the one that reads hidden states."""
    found = set()
    for cell in CELLS:
        if cell["graphs"] == "auto" and cell["shape"] == "chain":
            loop = wire(proofs.asked(cell, family)).loop
            if replay_status(loop.target)[0]:
                found |= {cell["drafter"], cell["cache"]}
            if replay_status(loop.drafter.draft)[0]:
                found.add(cell["draft_cache"])
    drafters = set(registry.members("drafter")) - {"eagle"}
    assert found == drafters | {"dense", "sink-window"}


@pytest.mark.parametrize("cache", sorted({cell["cache"] for cell in CELLS}))
@pytest.mark.parametrize("shape", sorted({cell["shape"] for cell in CELLS}))
def test_the_edges_are_really_met(family, shape, cache):
    """The target drafts for itself: all accepted, limit and stop token inside a block."""
    cell = {"drafter": "self", "shape": shape, "cache": cache, "draft_cache": cache}
    run = wire(proofs.asked(cell, family))
    wanted = plain(family, cache)
    told, rounds = decode(run)
    assert told == wanted
    assert sum(one.accepted > 1 and _leaf(one) for one in rounds) >= 5
    limited = [decode(run, length)[1][-1] for length in range(2, 7)]
    assert any(map(_cut, limited)), "no limit fell inside a block"
    stopped = [decode(run, stop=frozenset([token]))[1][-1] for token in wanted[:6]]
    assert any(map(_cut, stopped)), "no stop token fell inside a block"
    if cache == "sink-window":
        evicted = [one.target_evicted for one in rounds]
        assert len(set(evicted)) > 5, "the window did not move on during a round"


def _leaf(played):
    """Return whether the whole path was accepted: the tip has no child left to reject."""
    return (played.path or [-1])[-1] not in played.parents


def _cut(played):
    """Return whether a round emitted fewer tokens than the accepted ones and the one after them."""
    return len(played.emitted) <= played.accepted


@pytest.mark.parametrize("kind", tiny.ARCHITECTURES)
def test_every_architecture_decodes_as_transformers_own_generate(tmp_path, kind):
    """Both paths are compared with `model.generate`, past sliding windows, replayed and not."""
    folder, wanted = proofs.family(tmp_path, kind), []
    shapes = ("chain", "static-tree", "dynamic-tree")
    ways = itertools.product(shapes, ("flat", "modules"), ("auto", "off"))
    for shape, path, graphs in ways:
        if graphs == "auto" and shape != "chain":
            continue  # a tree is not replayed
        run = wire(proofs.asked({"shape": shape, "path": path, "graphs": graphs}, folder))
        wanted = wanted or generated(run.target.model, run.tokens[: proofs.CONTEXT])
        told, rounds = decode(run)
        assert any(one.accepted for one in rounds)
        assert told == wanted


def generated(model, tokens):
    """Return the tokens of transformers' own greedy loop."""
    prompt = torch.tensor([tokens])
    made = model.generate(
        prompt,
        attention_mask=torch.ones_like(prompt),
        do_sample=False,
        max_new_tokens=proofs.NEW,
        eos_token_id=None,
        pad_token_id=0,
    )
    return made[0, proofs.CONTEXT :].tolist()


def test_the_cells_hold_every_member_that_decodes():
    """No member is left out silently: one table has the reason for each missing proof."""
    for row in proofs.rows():
        for proof in proofs.PROOFS:
            assert getattr(row, proof) != "no", (row.kind, row.member, proof)
