"""Reads a Hugging Face decoder into `ModelParts`. Knows names and layouts, computes nothing.

Nothing is held twice: where projections are joined, the module's own parameters become views of the
joined ones. An option that `ModelParts` has no field for is refused by name. Whether the rest was
read correctly is tested by `proof`.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch.nn import functional

from specprof.engine.flat.parts import Block, Circle, Heads, Linear, ModelParts, Norm
from specprof.engine.stores.rotation import LENGTH_BOUND
from specprof.errors import UsageError

Module = Any
"""A part of a transformers model; the package is untyped."""
MAX_FORMULA_NUMBERS = 2**15
"""Up to so many numbers oneDNN's GELU takes longer to start than to compute."""


def parts(model: Module) -> ModelParts:
    """Return the parts of a causal model. Raises UsageError for an unknown architecture or option.

    The model's class decides, not its configuration: another class may compute something else.
    """
    name = type(model).__name__
    if name not in READERS:
        raise refusal(f"a {name} is none of {', '.join(READERS)}")
    decoder, config = model.get_decoder(), model.config.get_text_config()
    _refuse_options(config)
    embed, norm, block = READERS[name]
    return ModelParts(
        embed=getattr(decoder, embed),
        blocks=tuple(block(layer, config, number) for number, layer in enumerate(decoder.layers)),
        circles=_circles(decoder.rotary_emb, config, model.dtype),
        norm=getattr(decoder, norm),
        head=_join(model.get_output_embeddings()),
    )


def refusal(reason: str) -> UsageError:
    """Return the error that says why the flat path can't be taken."""
    hint = "use --set path=auto, or path=modules"
    return UsageError(f"the flat path can't be taken: {reason}", hint)


def _refuse_options(config: Module) -> None:
    kinds = {each.get("rope_type") for each in _rotations(config).values()}
    if kinds & LENGTH_BOUND:
        raise refusal(f"the angles of its {(kinds & LENGTH_BOUND).pop()} RoPE depend on the length")
    for option in ("attn_logit_softcapping", "final_logit_softcapping"):
        if getattr(config, option, None):
            raise refusal(f"its {option} is not part of the description")


def _rotations(config: Module) -> dict[str, dict[str, Any]]:
    """Return the rope parameters by kind of layer; by '' if they are those of all layers."""
    known = getattr(config, "rope_parameters", None) or {}
    nested = all(isinstance(each, dict) for each in known.values())
    return {kind: each for kind, each in known.items() if each} if nested else {"": known}


def _circles(rotary: Module, config: Module, dtype: torch.dtype) -> dict[str, Circle]:
    """Return the module's own cosines and sines, by kind of layer."""

    def circle(positions: torch.Tensor, **kind: str) -> tuple[torch.Tensor, torch.Tensor]:
        like = torch.empty(0, dtype=dtype, device=positions.device)
        cos, sin = rotary(like, positions, **kind)
        return cos, sin

    if set(_rotations(config)) == {""}:
        return dict.fromkeys(_kinds(config), circle)
    return {kind: partial(circle, layer_type=kind) for kind in _kinds(config)}


def _kinds(config: Module) -> list[str]:
    """Return the kind of each layer."""
    listed = getattr(config, "layer_types", None)
    if listed:
        return list(listed)
    slides = getattr(config, "sliding_window", None) and getattr(config, "use_sliding_window", True)
    return ["sliding_attention" if slides else "full_attention"] * config.num_hidden_layers


def _window(config: Module, number: int) -> int | None:
    slides = _kinds(config)[number] == "sliding_attention"
    return int(config.sliding_window) if slides else None


def _neox(layer: Module, config: Module, number: int) -> Block:
    attention, mlp = layer.attention, layer.mlp
    count = config.num_attention_heads
    return Block(
        module=layer,
        heads=Heads(
            queries=count,
            keys=count,
            size=attention.head_size,
            together=True,
            scale=attention.scaling,
            norm=None,
            window=None,
            kind=_kinds(config)[number],
        ),
        before_attention=_norm(layer.input_layernorm),
        into_attention=_join(attention.query_key_value),
        out_of_attention=_join(attention.dense),
        after_attention=None,
        before_mlp=_norm(layer.post_attention_layernorm),
        into_mlp=_join(mlp.dense_h_to_4h),
        out_of_mlp=_join(mlp.dense_4h_to_h),
        after_mlp=None,
        act=_act(mlp.act),
        gated=False,
        parallel=layer.use_parallel_residual,
    )


def _llama(layer: Module, config: Module, number: int) -> Block:
    """Return the parts of a layer whose names are those of Llama, as in most models."""
    attention, mlp = layer.self_attn, layer.mlp
    around = hasattr(layer, "pre_feedforward_layernorm")  # Gemma 3: norms before and after
    after = _norm(layer.post_attention_layernorm)
    return Block(
        module=layer,
        heads=_heads(attention, config, number),
        before_attention=_norm(layer.input_layernorm),
        into_attention=_join(attention.q_proj, attention.k_proj, attention.v_proj),
        out_of_attention=_join(attention.o_proj),
        after_attention=after if around else None,
        before_mlp=_norm(layer.pre_feedforward_layernorm) if around else after,
        into_mlp=_join(mlp.gate_proj, mlp.up_proj),
        out_of_mlp=_join(mlp.down_proj),
        after_mlp=_norm(layer.post_feedforward_layernorm) if around else None,
        act=_act(mlp.act_fn),
        gated=True,
        parallel=False,
    )


def _heads(attention: Module, config: Module, number: int) -> Heads:
    queries, keys = config.num_attention_heads, config.num_key_value_heads
    norm = None
    if hasattr(attention, "q_norm"):
        norm = _norm_by_head(attention.q_norm, attention.k_norm, queries, keys)
    return Heads(
        queries=queries,
        keys=keys,
        size=attention.head_dim,
        together=False,
        scale=attention.scaling,
        norm=norm,
        window=_window(config, number),
        kind=_kinds(config)[number],
    )


def _join(*projections: Module) -> Linear:
    """Join projections of the same rows; their modules then hold views of the joined weight."""
    first = projections[0]
    if len(projections) == 1:
        return Linear(first.weight, first.bias)
    weight = _share([each.weight for each in projections])
    biases = [each.bias for each in projections]
    return Linear(weight, None if first.bias is None else _share(biases))


def _share(owned: list[torch.nn.Parameter]) -> torch.Tensor:
    """Return [out, ...] the parameters one below another; each then is a view of the whole."""
    sizes = [each.shape[0] for each in owned]
    first = owned[0].detach()
    if _one_below_another(owned):
        return first.as_strided((sum(sizes), *first.shape[1:]), first.stride())
    whole = torch.cat([each.detach() for each in owned])
    for each, part in zip(owned, whole.split_with_sizes(sizes), strict=True):
        each.data = part
    return whole


def _one_below_another(owned: list[torch.nn.Parameter]) -> bool:
    """Return whether the parameters were joined before: a model's first layers may be shared."""
    held = {each.untyped_storage().data_ptr() for each in owned}
    ends = [each.storage_offset() + each.numel() for each in owned]
    starts = [each.storage_offset() for each in owned]
    return len(held) == 1 and starts[1:] == ends[:-1]


def _act(module: Module) -> Norm:
    """Return what an activation module does."""
    named = type(module).__name__ == "GELUActivation"  # by name, because an import might break
    exact = named and getattr(module, "act", None) is functional.gelu
    return _gelu if exact else module


def _gelu(rows: torch.Tensor) -> torch.Tensor:
    """Return the exact GELU of [...] numbers; by its formula for few numbers on a CPU.

    torch calls oneDNN for it there, and the call alone takes several times as long.
    """
    coarse = rows.dtype not in (
        torch.float32,
        torch.float64,
    )  # each step of the formula would be rounded
    if coarse or rows.device.type != "cpu" or rows.numel() > MAX_FORMULA_NUMBERS:
        return functional.gelu(rows)
    return torch.addcmul(rows, rows, torch.erf(rows * math.sqrt(0.5))).mul_(0.5)


def _norm(module: Module) -> Norm:
    """Return what a norm module does, in one operation."""
    if isinstance(module, torch.nn.LayerNorm):
        shape = module.normalized_shape
        return partial(
            functional.layer_norm,
            normalized_shape=list(shape),
            weight=module.weight,
            bias=module.bias,
            eps=module.eps,
        )
    weight, eps = _rms(module)
    return _scaled_rms(weight, eps)


def _norm_by_head(ours: Module, theirs: Module, queries: int, keys: int) -> Norm:
    """Return the norm of queries and keys at once, each head by its own weight."""
    weight, eps = _rms(ours)
    other, _ = _rms(theirs)
    return _scaled_rms(torch.stack([weight] * queries + [other] * keys), eps)


def _rms(module: Module) -> tuple[torch.Tensor, float]:
    """Return the factor and the floor of a root-mean-square norm; Gemma keeps the factor less 1."""
    if "Gemma" in type(module).__name__:
        return 1 + module.weight.float(), module.eps
    return module.weight, module.variance_epsilon


def _scaled_rms(weight: torch.Tensor, eps: float) -> Norm:
    """Return a root-mean-square norm that is computed in the weight's precision."""
    shape = list(weight.shape[-1:])
    own = weight if weight.ndim == 1 else None

    def norm(rows: torch.Tensor) -> torch.Tensor:
        same = rows.to(weight.dtype)
        scaled = functional.rms_norm(same, shape, own, eps)
        return (scaled if own is not None else scaled * weight).to(rows.dtype)

    return norm


Reader = Callable[[Module, Module, int], Block]
READERS: dict[str, tuple[str, str, Reader]] = {
    "GPTNeoXForCausalLM": ("embed_in", "final_layer_norm", _neox),
    "LlamaForCausalLM": ("embed_tokens", "norm", _llama),
    "MistralForCausalLM": ("embed_tokens", "norm", _llama),
    "Qwen2ForCausalLM": ("embed_tokens", "norm", _llama),
    "Qwen3ForCausalLM": ("embed_tokens", "norm", _llama),
    "GemmaForCausalLM": ("embed_tokens", "norm", _llama),
    "Gemma3ForCausalLM": ("embed_tokens", "norm", _llama),
}
"""By class: the names of its embedding and its last norm, and the reader of its layers."""
