"""A path is taken once its logits were seen to be the module's, and refused with the reason."""

import pytest
import torch
from transformers import __version__

import tiny
from specprof.engine import releases
from specprof.engine.flat import proof, read
from specprof.engine.flat.decoder import Flat
from specprof.engine.flat.proof import choose_path
from specprof.engine.stores.dense import Store
from specprof.errors import EnvironmentMissing, UsageError


def test_a_model_that_is_proven_runs_flat():
    """Once for each model; its modules are still there for who asks."""
    model = tiny.model("qwen3")
    taken = choose_path(model, "auto")
    assert (taken.path, taken.path_reason) == ("flat", None)
    assert isinstance(taken.compute, Flat)
    assert choose_path(model, "flat").compute is taken.compute
    assert choose_path(model, "modules").compute is model


def test_a_model_nobody_described_runs_by_its_modules():
    """Automatically with the reason told; asked for by name it is refused."""
    model = tiny.model("llama")
    model.__class__ = type("LookalikeForCausalLM", (type(model),), {})
    taken = choose_path(model, "auto")
    assert taken.compute is model
    assert taken.path == "modules"
    assert taken.path_reason is not None
    assert taken.path_reason.startswith("a LookalikeForCausalLM is none of")
    with pytest.raises(UsageError, match="the flat path can't be taken: a Lookalike"):
        choose_path(model, "flat")


def test_whatever_goes_wrong_in_reading_leaves_the_modules(monkeypatch):
    """A release of transformers may call a part otherwise; that ends no run by itself."""
    model = tiny.model("llama")
    monkeypatch.setitem(read.READERS, "LlamaForCausalLM", ("embedding", "norm", read._llama))
    taken = choose_path(model, "auto")
    assert (taken.path, taken.compute) == ("modules", model)
    assert str(taken.path_reason).startswith("reading it failed: AttributeError: ")
    with pytest.raises(UsageError, match="reading it failed") as refused:
        choose_path(model, "flat")
    assert "path=auto" in refused.value.hint
    assert "path=modules" in refused.value.hint


@pytest.mark.parametrize("path", ["auto", "modules"])
def test_modules_that_can_t_be_run_over_a_store_are_refused_in_a_line(monkeypatch, path):
    """A release that keeps caches otherwise: which one, what it said, and one that was tried."""

    def update(self, states, layer_idx):
        raise AssertionError("never called rightly")

    monkeypatch.setattr(Store, "update", update)
    with pytest.raises(EnvironmentMissing) as refused:
        choose_path(tiny.model("llama"), path)
    assert refused.value.title.startswith(f"specprof doesn't fit transformers {__version__}: ")
    assert "LlamaForCausalLM can't be run over its cache: TypeError: " in refused.value.title
    assert "\n" not in refused.value.title
    assert releases.TRIED_RELEASE in refused.value.hint or __version__ == releases.TRIED_RELEASE


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_model_read_wrongly_is_found_out(monkeypatch, dtype):
    """Whatever the misreading, it shows in the logits: here two layers in the wrong order."""
    model = tiny.model("llama").to(dtype)
    rightly = read.parts

    def wrongly(one):
        found = rightly(one)
        first, second, *others = found.blocks
        return type(found)(
            embed=found.embed,
            blocks=(second, first, *others),
            circles=found.circles,
            norm=found.norm,
            head=found.head,
        )

    monkeypatch.setattr(proof.read, "parts", wrongly)
    taken = choose_path(model, "auto")
    assert taken.path == "modules"
    assert "its logits differ from the module's by" in str(taken.path_reason)
