"""The target's first layers draft, through its own final norm and head: early exit.

Self-speculation without a second checkpoint (Draft & Verify, arXiv 2309.08168; LayerSkip,
arXiv 2404.16710, section 4.3). The weights are the target's own, in memory once. The draft keeps a
cache of its own. LayerSkip lets verification go on from the draft's cache: that is faster, but
hides what drafting costs. A target not trained to exit early accepts little.
"""

import copy
from collections.abc import Sequence

import torch

from specprof.engine.drafting import ModelDrafter
from specprof.engine.setup import loading
from specprof.engine.setup.loading import Loaded
from specprof.errors import UsageError
from specprof.settings import Settings

LAYERS_PER_DRAFT_LAYER = 4
"""By default one layer in this many drafts."""


class LayerSkip(ModelDrafter):
    """The first `Settings.exit_layer` layers of the target draft for all of them."""

    @classmethod
    def load(cls, settings: Settings, target: Loaded) -> Loaded:
        """Return the target cut off after its exit layer; refuse an exit it doesn't have."""
        layers = target.facts.layers
        asked = settings.exit_layer
        count = max(1, layers // LAYERS_PER_DRAFT_LAYER) if asked is None else asked
        if not 1 <= count < layers:
            title = f"drafter layer-skip was asked to exit {target.facts.name} after layer {count}"
            hint = f"it has {layers} layers: give --set exit_layer= from 1 to {layers - 1}"
            raise UsageError(title, hint if layers > 1 else "use drafter self, or another target")
        cut = first_layers(target.model, count)
        name = f"{target.facts.name}, first {count} of {layers} layers"
        return Loaded(cut, target.tokenizer, loading.facts_of(name, cut))


def first_layers(whole: torch.nn.Module, count: int) -> torch.nn.Module:
    """Return a causal model of the first `count` layers of `whole`, made of the same modules.

    Only the modules on the path to the list of layers are copied, shallowly: parameters are shared.
    """
    whole_config = whole.config.get_text_config()  # type: ignore[operator,union-attr]
    found = [
        name
        for name, module in whole.named_modules()
        if isinstance(module, torch.nn.ModuleList) and len(module) == whole_config.num_hidden_layers
    ]
    if not found:
        title = f"drafter layer-skip finds no list of layers in {type(whole).__name__}"
        raise UsageError(title, "use drafter draft-model, or a decoder-only target")
    config = copy.deepcopy(whole.config)
    text = config.get_text_config()  # type: ignore[operator,union-attr]
    if getattr(text, "layer_types", None):
        text.layer_types = text.layer_types[:count]
    text.num_hidden_layers = count
    return _cut_module(
        whole, found[0].split("."), count, (whole.config, config), (whole_config, text)
    )


def _cut_module(
    module: torch.nn.Module,
    path: Sequence[str],
    count: int,
    *configs: tuple[object, object],
) -> torch.nn.Module:
    """Return a shallow copy of `module` with the list at `path` cut, each config replaced."""
    if not path:
        return torch.nn.ModuleList(list(module.children())[:count])
    if "_modules" not in vars(module):  # torch keeps a module's parts there, undocumented
        title = f"drafter layer-skip can't take a {type(module).__name__} of this torch apart"
        raise UsageError(title, "use drafter draft-model, or another release of torch")
    cut = copy.copy(module)
    name, *rest = path
    child = _cut_module(getattr(module, name), rest, count, *configs)
    vars(cut)["_modules"] = vars(module)["_modules"] | {name: child}  # `cut` shares the old dict
    for before, after in configs:
        if getattr(module, "config", None) is before:
            cut.config = after  # type: ignore[assignment]
    return cut
