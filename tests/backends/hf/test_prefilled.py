"""Caches handed to `generate`: it begins where they end, and is as it was afterwards."""

import pytest
import torch

import tiny
from specprof.backends.hf.prefilled import Prefix, Tally, hand_caches
from specprof.engine.instruments.bout import finish_bout
from specprof.engine.releases import GENERATE_CACHE, with_cache

TEXT = list(range(1, 41))
NEW = 6


@pytest.fixture(scope="module")
def target():
    return tiny.model("llama", 1)


@pytest.fixture(scope="module")
def draft():
    made = tiny.model("llama", 1, num_hidden_layers=2)
    made.generation_config.num_assistant_tokens_schedule = "constant"
    made.generation_config.num_assistant_tokens = 3
    made.generation_config.assistant_confidence_threshold = 0.0
    return made


def generate(target, **options):
    known = torch.tensor([TEXT])
    made = target.generate(
        known,
        attention_mask=torch.ones_like(known),
        max_new_tokens=NEW,
        eos_token_id=None,
        do_sample=False,
        **options,
    )
    return made[0, len(TEXT) :].tolist()


# transformers' candidate generators call `generate` in a way that it deprecates.
@pytest.mark.filterwarnings("ignore:Passing `generation_config` together")
@pytest.mark.parametrize("assisted", [False, True])
def test_filled_caches_change_no_token_and_are_not_fed_again(target, draft, assisted):
    """Every pass of either model sees a few tokens, and no turn goes uncounted."""
    prefix, draft_prefix, tally = Prefix(target), Prefix(draft), Tally()
    prefix.extend(TEXT[:-1])
    draft_prefix.extend(TEXT[:-2])
    fed = []

    def feeds(_, __, named):
        fed.append(named["input_ids"].shape[1])

    hooks = [each.register_forward_pre_hook(feeds, with_kwargs=True) for each in (target, draft)]
    options = {"assistant_model": draft} if assisted else {}
    with hand_caches(target, prefix, draft_prefix, tally):
        found = generate(target, **{GENERATE_CACHE: prefix.cache}, **options)
    assert max(fed) <= 4
    for hook in hooks:
        hook.remove()
    assert found == generate(target)
    assert tally.turns <= NEW if assisted else tally.turns == NEW
    assert finish_bout(tally.begun, tally.turns, found).wall_ns > 0
    assert not {"prepare_inputs_for_generation", "_get_candidate_generator"} & set(vars(target))


def test_a_prefix_is_cut_and_extended(target):
    """What stays is not computed anew; the logits that follow are those of the text alone."""
    prefix = Prefix(target)
    prefix.extend(TEXT)
    prefix.cut(10)
    assert prefix.length == 10
    prefix.extend(TEXT[:20])
    with torch.no_grad():
        ours = target(torch.tensor([[TEXT[20]]]), **with_cache(target, prefix.cache)).logits[0, -1]
        theirs = target(torch.tensor([TEXT[:21]])).logits[0, -1]
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
