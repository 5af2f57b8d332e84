"""Draft = target: everything accepted, on tables and on a tiny checkpoint."""

import pytest
import torch

import engines
import tiny
from specprof.backends.native import Native
from specprof.drafters.self import SelfDraft
from specprof.plan import expand
from specprof.records import Round
from specprof.settings import Profile, Settings
from tables import TableDecoder


@pytest.mark.parametrize("temperature", [0.0, 0.7, 1.0])
def test_every_drafted_token_is_accepted(temperature):
    """min(1, 1) = 1 at any temperature, and the first choices are the same."""
    table = torch.randn(7, 7, generator=torch.Generator().manual_seed(1))
    run = engines.loop(
        TableDecoder(table),
        TableDecoder(table),
        SelfDraft,
        temperature=temperature,
    )
    _, played = engines.decode(run, new_tokens=50)
    assert [one.accepted for one in played] == [4] * 10


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_checkpoint_drafts_for_itself(tmp_path, temperature):
    """Its weights are in memory once; every token is accepted and owed its acceptance."""
    settings = Settings(
        target=str(tiny.checkpoint(tmp_path, "gpt_neox")),
        drafter="self",
        device="cpu",
        threads=1,
        temperature=temperature,
        workload="generate",
        text=str(_letters(tmp_path)),
        context=40,
        max_new_tokens=40,
        ignore_eos=True,
        plain_steps=0,
    )
    (spec,) = expand(Profile(name="self", run=settings))
    backend = Native()
    rounds = [event for event in backend.run(spec, []) if isinstance(event, Round)]
    assert all(one.accepted == len(one.drafted) == 4 for one in rounds)
    overlaps = [one.seen.overlap for each in rounds for one in each.drafted if one.seen]
    assert overlaps == pytest.approx([1.0] * len(overlaps), abs=1e-4)
    assert backend.playing.draft is backend.playing.target


def _letters(folder):
    place = folder / "text.txt"
    place.write_text("the quick brown fox jumps over the lazy dog. " * 9, encoding="utf-8")
    return place
