"""A checkpoint's config may not have code fetched, wherever it says so."""

import sys
from types import SimpleNamespace

import pytest
from transformers import GPTNeoXConfig
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from specprof.engine import foreign
from specprof.engine.foreign import refuse_kernels
from specprof.errors import UsageError


@pytest.mark.parametrize("field", ["attn_implementation", "experts_implementation"])
@pytest.mark.parametrize("kernel", ["kernels-community/flash-attn2", "stranger/x@main:f"])
def test_a_kernel_of_a_hub_is_refused(field, kernel):
    """It is named, and what to type; what transformers brings along is let through."""
    with pytest.raises(UsageError, match=kernel) as raised:
        refuse_kernels("models/evil", GPTNeoXConfig(**{field: kernel}))
    assert "--trust-remote-code" in raised.value.hint
    for own in ("sdpa", "eager", None):
        refuse_kernels("models/good", GPTNeoXConfig(attn_implementation=own))


def test_a_part_of_a_config_is_looked_at_as_well():
    """A model of text and pictures has a config for each."""
    asked = {"text_config": "stranger/kernel"}
    config = CONFIG_MAPPING["llava"](attn_implementation=asked)
    with pytest.raises(UsageError, match="stranger/kernel"):
        refuse_kernels("models/evil", config)


@pytest.fixture
def modules(monkeypatch):
    """What this process has imported, to be changed."""
    for each in ("transformers", "kernels"):
        monkeypatch.setitem(sys.modules, each, sys.modules.get(each))
    return sys.modules


def test_kernels_are_kept_out_until_a_run_trusts_its_models(modules):
    """As long as transformers hasn't asked whether they are there."""
    for each in ("transformers", "kernels"):
        modules.pop(each, None)
    foreign.keep_out_kernels()
    assert modules["kernels"] is None
    foreign.let_in_kernels()
    assert "kernels" not in modules
    foreign.let_in_kernels()
    foreign.keep_out_kernels()
    modules["transformers"] = sys
    foreign.let_in_kernels()
    assert modules["kernels"] is None


def test_a_program_that_has_kernels_in_use_keeps_them(modules):
    """They are its own; a model that isn't trusted is refused there."""
    modules["kernels"] = kernels = SimpleNamespace(__spec__="somewhere")
    for each in ("transformers", None):
        modules.pop(each, None)
        foreign.keep_out_kernels()
        foreign.let_in_kernels()
        assert modules["kernels"] is kernels
    with pytest.raises(UsageError, match="'kernels' is in use"):
        refuse_kernels("models/good", GPTNeoXConfig())
