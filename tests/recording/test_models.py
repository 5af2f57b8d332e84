"""The two models of a loop of one's own: named, asked, held to their shape."""

import pytest
import torch

import loops
import tiny
from specprof.engine.recheck.readings import Reading, Readings
from specprof.engine.sampling import ProcessedLaw
from specprof.errors import UsageError
from specprof.extend import Acceptance
from specprof.recording.models import Answers, Models, as_loaded, make_reference, model_name
from specprof.settings import Settings


def test_a_function_answers_as_a_model_does():
    """The rows asked for, the last ones of the text's."""
    tokens = torch.tensor([[3, 4, 5]])
    found = Answers(loops.target)(tokens, use_cache=False, logits_to_keep=2).logits
    assert found.tolist() == [loops.TARGET[[4, 5]].tolist()]


def test_other_rows_than_asked_for_are_refused():
    """A function that answers the last token alone can't recheck a text."""
    short = Answers(lambda ids: loops.TARGET[ids[-1:]])
    with pytest.raises(UsageError, match=r"passed 3 tokens and got rows \[1, 12\]"):
        short(torch.tensor([[3, 4, 5]]), use_cache=False, logits_to_keep=2)


def test_names_and_facts():
    """A checkpoint's own name, a function's, a mere string; facts of real models only."""
    model = tiny.model("llama")
    assert model_name("big") == "big"
    assert model_name(loops.target) == "target"
    assert model_name(model) == "LlamaForCausalLM"
    assert as_loaded(model).facts.vocabulary == tiny.VOCABULARY
    assert as_loaded(loops.target) is as_loaded("big") is None


def test_a_draft_that_is_a_name_says_nothing():
    """Its law is not made up; without any draft the drafted tokens are all there is."""
    raw = Reading(declared=ProcessedLaw(1.0))
    rest = Settings(temperature=1.0), Readings(raw, raw), Acceptance
    assert make_reference(Models("big"), *rest) is None
    mute, alone = (
        make_reference(Models(loops.target, "small"), *rest),
        make_reference(Models(loops.target), *rest),
    )
    assert (mute.draft, mute.certain) == (None, False)
    assert (alone.draft, alone.certain) == (None, True)
