"""A checkpoint's config may not have code fetched, wherever it says so."""

import pytest
from transformers import GPTNeoXConfig
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

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
