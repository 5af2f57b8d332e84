"""Spans inside forwards: the same anatomy on both paths, where it was asked for, and gone after."""

from types import SimpleNamespace

import pytest
import torch

import tiny
from engines import loop
from specprof.engine.decoder import CausalModel
from specprof.engine.flat.proof import choose_path
from specprof.engine.module_spans import timing_modules
from specprof.engine.stores.dense import Store
from specprof.settings import Settings

CPU = torch.device("cpu")
KINDS = ["gpt_neox", "llama", "gemma3_text"]


def wired(kind, path, detail="module"):
    decoders = []
    for seed in (1, 2):
        model = tiny.model(kind, seed)
        decoders.append(CausalModel(model, Store(3, 200), CPU, forwards=choose_path(model, path)))
    made = loop(*decoders, depth=2)
    made.target.prefill([1, 2, 3])
    made.drafter.prefill([1, 2, 3, 4])
    settings = Settings(detail=detail)
    return SimpleNamespace(settings=settings, loop=made)


def rounds(run, new_tokens=6):
    return list(run.loop.rounds([1, 2, 3, 4], new_tokens=new_tokens, stop=frozenset()))


def names(played):
    return [(span.name, span.parent) for span in played.lap.spans()]


def forward(parent):
    layers = [
        each
        for number in range(3)
        for each in (
            (f"layer {number}", parent),
            ("attention", f"layer {number}"),
            ("mlp", f"layer {number}"),
        )
    ]
    return [("embed", parent), *layers, ("norm", parent), ("head", parent)]


@pytest.mark.parametrize("path", ["flat", "modules"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_forward_comes_apart_into_its_layers(kind, path):
    """In the order they are computed, inside the draft steps and the verify pass; one lap a round.

    Each lies in the span it is said to lie in.
    """
    run = wired(kind, path)
    with timing_modules(run):
        for played in rounds(run):
            told = names(played)
            steps = [("draft", None), *2 * [("step", "draft"), *forward("step")]]
            assert told[: len(steps)] == steps
            assert told[len(steps) :] == [
                *(("verify", None), *forward("verify"), ("accept", None), ("rollback", None))
            ]
            spans = played.lap.spans()
            for span in spans:
                if span.parent is not None:
                    assert any(
                        each.start_ns <= span.start_ns
                        and span.start_ns + span.ns <= each.start_ns + each.ns
                        for each in spans
                        if each.name == span.parent
                    )


@pytest.mark.parametrize("path", ["flat", "modules"])
def test_being_looked_into_changes_no_token_and_ends_with_the_block(path):
    """The same tokens; nothing is timed before, after, or at any lesser detail."""
    plain, looked = wired("llama", path), wired("llama", path)
    without = [played.emitted for played in rounds(plain)]
    with timing_modules(looked):
        assert [played.emitted for played in rounds(looked)] == without
    looked.loop.target.rollback(3)
    looked.loop.drafter.rollback(4)
    assert len(names(rounds(looked)[0])) == 6
    lesser = wired("llama", path, detail="evidence")
    with timing_modules(lesser):
        assert len(names(rounds(lesser)[0])) == 6


@pytest.mark.parametrize("path", ["flat", "modules"])
def test_a_prefill_is_not_looked_into(path):
    """Only what lies in a round's own phases is."""
    run = wired("llama", path)
    with timing_modules(run):
        run.loop.parts.watch.begin()
        with run.loop.parts.watch.span("prefill-target"):
            run.loop.target.prefill([4, 5, 6])
        run.loop.target.prefill([7])
        assert len(run.loop.parts.watch.finish().spans()) == 1
