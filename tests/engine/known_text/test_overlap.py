"""What a draft is owed over known text: by hand, and moved only by what is said to move it."""

import pytest
import torch

import tiny
from runs import events, kind, settings
from specprof.acceptance.exact_match import ExactMatch
from specprof.acceptance.greedy import Greedy
from specprof.acceptance.rejection import Rejection
from specprof.engine.known_text import overlap
from specprof.engine.known_text.overlap import Reader, judge_places, stretches
from specprof.engine.recheck.reference import Windowed
from specprof.engine.sampling import ProcessedLaw
from specprof.engine.stores.rotation import rotations
from specprof.engine.stores.window import Window
from specprof.plan import acceptance_in_force
from specprof.records import Overlaps, Round
from specprof.settings import Settings

TOKENS = torch.randint(1, 96, (120,), generator=torch.Generator().manual_seed(5)).tolist()
RULES = {"rejection": Rejection, "greedy": Greedy, "exact-match": ExactMatch}
TARGET, DRAFT = tiny.model("llama", 1), tiny.model("llama", 2)


def reader(target=TARGET, draft=DRAFT, **given):
    chosen = Settings(**({"workload": "overlap", "context": 120, "temperature": 0.9} | given))
    rule = RULES[acceptance_in_force(chosen)]()
    return Reader(target, draft, ProcessedLaw(chosen.temperature), rule, chosen)


def columns(group=(range(1, 119),), **given):
    return judge_places(reader(**given), TOKENS, group)


@torch.inference_mode()
def logits(model):
    return model(torch.tensor([TOKENS])).logits[0].float()


@pytest.mark.parametrize(
    ("given", "by_hand"),
    [
        ({}, lambda target, draft: 1 - (target - draft).abs().sum(-1) / 2),
        ({"acceptance": "exact-match"}, lambda target, draft: (target * draft).sum(-1)),
        (
            {"temperature": 0.0},
            lambda target, draft: (target.argmax(-1) == draft.argmax(-1)).float(),
        ),
    ],
)
def test_it_is_what_the_rule_owes_at_each_place(given, by_hand):
    """One minus the total variation, the sum of products, or agreement; and both models' nats."""
    overlaps, agree, target_nll, draft_nll = columns(**given)
    scale = given.get("temperature", 0.9) or 1.0
    laws = [(logits(model) / scale).softmax(-1)[:118] for model in (TARGET, DRAFT)]
    assert torch.allclose(overlaps, by_hand(*laws), atol=1e-5)
    assert torch.equal(agree, laws[0].argmax(-1) == laws[1].argmax(-1))
    for found, model in ((target_nll, TARGET), (draft_nll, DRAFT)):
        text = torch.tensor(TOKENS[1:119])
        wanted = torch.nn.functional.cross_entropy(logits(model)[:118], text, reduction="none")
        assert torch.allclose(found, wanted, atol=1e-4)


def test_a_model_owes_itself_everything():
    """Whatever the text."""
    overlaps, agree, *_ = columns(draft=TARGET)
    assert torch.allclose(overlaps, torch.ones(118), atol=1e-5)
    assert agree.all()


@pytest.mark.parametrize("model", ["llama", "gpt_neox", "mistral"])
def test_an_offset_of_all_positions_changes_nothing(model):
    """Rotary positions enter by their differences alone, in full and in windowed layers."""
    pair = {"target": tiny.model(model, 1), "draft": tiny.model(model, 2)}
    here, there = columns(**pair), columns(**pair, offset=300)
    for ours, theirs in zip(here, there, strict=True):
        assert torch.allclose(ours.float(), theirs.float(), atol=2e-3)


def test_a_gap_changes_the_draft_and_nothing_else():
    """Recent tokens still see the old ones, further away; the target is left alone."""
    group = (range(100, 119),)
    near, apart = columns(group), columns(group, view=30, gap=60)
    assert torch.equal(near[2], apart[2])
    assert not torch.allclose(near[3], apart[3], atol=1e-2)
    cut = judge_places(reader(view=30), TOKENS, group)  # as if the old tokens were not there
    assert not torch.allclose(cut[3], apart[3], atol=1e-2)


def test_a_gap_leaves_every_token_in_sight():
    """As a forward with the causal mask written out, at the same positions."""
    found = columns((range(100, 119),), view=30, gap=60)[3]
    positions = torch.arange(118)
    positions[70:] += 60
    seen = torch.full((118, 118), torch.finfo(torch.float32).min).triu(1)[None, None]
    with torch.inference_mode():
        out = DRAFT(torch.tensor([TOKENS[:118]]), position_ids=positions[None], attention_mask=seen)
    text = torch.tensor(TOKENS[100:119])
    wanted = torch.nn.functional.cross_entropy(out.logits[0, 99:118], text, reduction="none")
    assert torch.allclose(found, wanted, atol=1e-4)


def test_a_shift_collapses_the_overlap():
    """The negative control: a model against itself, seven places on."""
    shifted = columns((range(1, 112),), draft=TARGET, shift=7)
    assert shifted[0].mean() < 0.8
    place = judge_places(reader(draft=TARGET, shift=7), TOKENS, [range(20, 21)])[0]
    laws = (logits(TARGET) / 0.9).softmax(-1)
    assert place.item() == pytest.approx(torch.minimum(laws[19], laws[26]).sum().item(), abs=1e-5)


def test_a_short_view_is_a_text_of_its_own():
    """Each place by a forward over its last tokens alone; those nearer the start by all of it."""
    _, _, _, nll = columns(view=16)
    for context in (1, 9, 16, 17, 60, 118):
        shown = torch.tensor([TOKENS[max(0, context - 16) : context]])
        with torch.inference_mode():
            answer = DRAFT(shown).logits[0, -1].float()
        assert nll[context - 1].item() == pytest.approx(
            -answer.log_softmax(-1)[TOKENS[context]].item(), abs=1e-3
        )


def test_a_view_of_one_layer_is_a_window_without_sinks():
    """A layer's keys know their own token only: what is evicted and what is not shown is one."""
    draft = tiny.model("llama", 2, num_hidden_layers=1)
    seen = columns(draft=draft, view=16)
    window = Windowed(draft, rotations(draft), Window(sinks=0, recent=15))  # beside itself
    streamed = columns(draft=window)
    assert torch.allclose(seen[3], streamed[3], atol=1e-3)
    assert torch.allclose(seen[0], streamed[0], atol=1e-3)


@pytest.mark.parametrize(
    "given",
    [
        {"stops": 5, "context": 600, "max_new_tokens": 64},
        {"stops": 3, "context": 40, "max_new_tokens": 100},
        {"stops": 1, "context": 9, "max_new_tokens": 4, "shift": 2},
    ],
)
def test_stretches_lie_before_the_stops_and_never_overlap(given):
    """No place twice, none before the text's first token, none past what can be compared."""
    found = stretches(Settings(workload="overlap", **given))
    places = [place for each in found for place in each]
    assert len(set(places)) == len(places)
    assert sorted(places) == places
    assert places[0] >= 1
    assert places[-1] == given["context"] - given.get("shift", 0) - 1


@pytest.mark.parametrize("places", [1, 20])
def test_how_many_places_a_forward_answers_for_changes_nothing(pair, places, monkeypatch):
    """Memory is bounded by going over the text again."""
    wanted = kind(events(pair, workload="overlap"), Overlaps)
    monkeypatch.setattr(overlap, "MAX_LOGIT_BYTES", 4 * 96 * places)
    found = kind(events(pair, workload="overlap"), Overlaps)
    assert [one.context for one in found] == [116, 148, 188]
    for ours, theirs in zip(found, wanted, strict=True):
        assert ours.overlap == theirs.overlap
        assert ours.draft_nll == pytest.approx(theirs.draft_nll, rel=1e-4)


@pytest.mark.parametrize("drafter", ["draft-model", "self", "perturbed-self", "layer-skip"])
def test_a_run_tells_overlaps_and_plays_no_round(pair, drafter):
    """With every drafter whose law over known text can be told."""
    named = {} if drafter == "draft-model" else {"draft": None}
    found = events(pair, workload="overlap", drafter=drafter, temperature=1.0, **named)
    told = kind(found, Overlaps)
    assert not kind(found, Round)
    assert sum(len(one.overlap) for one in told) == 36
    assert all(0 <= each <= 1.00001 for one in told for each in one.overlap)
    if drafter == "self":
        assert min(each for one in told for each in one.overlap) > 0.999
    assert settings(pair).context == 200
