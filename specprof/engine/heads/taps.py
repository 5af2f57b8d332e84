"""Find where a target has a head's features: its layers and final norm, under any names."""

from typing import Any

from torch import nn

from specprof.engine.features import Taps
from specprof.engine.heads.head import Form
from specprof.errors import UsageError


def find_taps(target: nn.Module, form: Form) -> Taps:
    """Return the modules whose states the head reads: layers (EAGLE-3), the final norm (EAGLE)."""
    model: Any = target
    parts = dict(model.get_decoder().named_children())
    count = model.config.get_text_config().num_hidden_layers
    stacks = [each for each in parts.values() if isinstance(each, nn.ModuleList)]
    stacks = [each for each in stacks if len(each) == count]
    norms = [each for name, each in parts.items() if "norm" in name or name == "ln_f"]
    if len(stacks) != 1 or len(norms) != 1:
        title = f"can't find the layers and the final norm of a {type(target).__name__}"
        raise UsageError(title, "use --drafter draft-model with this target")
    layers, norm = stacks[0], norms[0]
    if not form.third:
        return [(norm, False)]
    return [(layers[each], True) if each < count else (layers[-1], False) for each in form.taps]
