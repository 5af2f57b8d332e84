"""Heads in exactly their published layout, with random weights, and a reference computation.

The reference below uses nothing of the package. It is the published computation, one position at a
time, in float64 where possible.
"""

import json
import math
from pathlib import Path

import torch
from safetensors.torch import save_file

VOCABULARY, WIDTH, HEADS, KV_HEADS, SIZE, INNER = 96, 32, 4, 2, 8, 48
KNOWN = 40
"""Ids in a reduced draft vocabulary."""
CONFIG = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "vocab_size": VOCABULARY,
    "hidden_size": WIDTH,
    "num_attention_heads": HEADS,
    "num_key_value_heads": KV_HEADS,
    "intermediate_size": INNER,
    "num_hidden_layers": 1,
    "hidden_act": "silu",
    "rms_norm_eps": 1e-5,
    "rope_theta": 500.0,
    "rope_scaling": None,
    "max_position_embeddings": 256,
    "pad_token_id": 0,
}


def eagle(seed=0, *, bias=False, layers=1):
    """Tensors of an EAGLE head: layer 0 without an input norm, no lm_head, its own embedding."""
    draw = _drawer(seed)
    weights = {"embed_tokens.weight": draw(VOCABULARY, WIDTH), "fc.weight": draw(WIDTH, 2 * WIDTH)}
    if bias:
        weights["fc.bias"] = draw(WIDTH)
    for layer in range(layers):
        weights |= _layer(draw, f"layers.{layer}.", WIDTH)
        if layer:
            weights[f"layers.{layer}.input_layernorm.weight"] = 1 + draw(WIDTH)
    return weights


def eagle3(seed=0):
    """Tensors of an EAGLE-3 head: a reduced vocabulary with its two tables, no embedding."""
    draw = _drawer(seed)
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randperm(VOCABULARY, generator=generator)[:KNOWN].sort().values
    known = torch.zeros(VOCABULARY, dtype=torch.bool)
    known[ids] = True
    return _layer(draw, "midlayer.", 2 * WIDTH) | {
        "midlayer.hidden_norm.weight": 1 + draw(WIDTH),
        "midlayer.input_layernorm.weight": 1 + draw(WIDTH),
        "fc.weight": draw(WIDTH, 3 * WIDTH),
        "norm.weight": 1 + draw(WIDTH),
        "lm_head.weight": draw(KNOWN, WIDTH),
        "d2t": ids - torch.arange(KNOWN),
        "t2d": known,
    }


def write(folder: Path, weights, *, binary=False, **config):
    """Write a head's folder; `binary` writes a pickle of tensors, as the first heads were."""
    folder.mkdir(parents=True, exist_ok=True)
    if "d2t" in weights:
        config = {"draft_vocab_size": KNOWN} | config
    (folder / "config.json").write_text(json.dumps(CONFIG | config))
    if binary:
        torch.save(weights, folder / "pytorch_model.bin")
    else:
        kept = {name: weight.contiguous() for name, weight in weights.items()}
        save_file(kept, folder / "model.safetensors")
    return folder


class Reference:
    """A head's published computation over a dict of its tensors."""

    def __init__(self, weights, embedding=None, lm_head=None, *, theta=500.0):
        self.weights = weights
        self.third = "d2t" in weights
        self.embedding = weights.get("embed_tokens.weight", embedding)
        self.lm_head = weights.get("lm_head.weight", lm_head)
        self.theta = theta

    def answers(self, tokens, features, drafted=(), parents=None):
        """Return [positions, vocab] logits after `tokens` but the first, then after `drafted`.

        `features` [len(tokens) - 1, ..] are the target's, of every token but the last. A drafted
        token's state is the head's own output for its parent, by default the token before.
        """
        states = list(features @ self.weights["fc.weight"].T if self.third else features)
        parents = list(range(-1, len(drafted) - 1)) if parents is None else parents
        chain = len(tokens) - 1
        lines = [list(range(place + 1)) for place in range(chain)]
        outs = []
        keys = {}
        for place, token in enumerate([*tokens[1:], *drafted]):
            if place >= chain:
                above = chain - 1 if parents[place - chain] < 0 else chain + parents[place - chain]
                states.append(outs[above])
                lines.append([*lines[above], place])
            position = len(lines[place]) - 1
            outs.append(self._step(token, states[place], position, lines[place], keys, place))
        return torch.stack([self._logits(each) for each in outs])

    def _step(self, token, state, position, line, keys, place):
        weights, embedded = self.weights, self.embedding[token]
        if self.third:
            first = "midlayer."
            normed = _norm(state, weights[first + "hidden_norm.weight"])
            entering = _norm(embedded, weights[first + "input_layernorm.weight"])
            out, names = torch.cat([entering, normed]), [first]
        else:
            state = weights["fc.weight"] @ torch.cat([embedded, state]) + weights.get("fc.bias", 0)
            names = [
                f"layers.{each}."
                for each in range(9)
                if f"layers.{each}.mlp.up_proj.weight" in weights
            ]
            out = state
        for index, name in enumerate(names):
            if index:
                out = _norm(state, weights[name + "input_layernorm.weight"])
            state = state + self._attend(name, out, position, line, keys, (index, place))
            refined = _norm(state, weights[name + "post_attention_layernorm.weight"])
            gate = torch.nn.functional.silu(weights[name + "mlp.gate_proj.weight"] @ refined)
            state = state + weights[name + "mlp.down_proj.weight"] @ (
                gate * (weights[name + "mlp.up_proj.weight"] @ refined)
            )
        return state

    def _attend(self, name, entering, position, line, keys, where):
        index, place = where
        read = {
            each: self.weights[f"{name}self_attn.{each}_proj.weight"] @ entering for each in "qkv"
        }
        query = self._turn(read["q"].view(HEADS, SIZE), position)
        keys[index, place] = (
            self._turn(read["k"].view(KV_HEADS, SIZE), position),
            read["v"].view(KV_HEADS, SIZE),
        )
        out = []
        for head in range(HEADS):
            group = head * KV_HEADS // HEADS
            scores = torch.stack([query[head] @ keys[index, each][0][group] for each in line])
            shares = (scores / math.sqrt(SIZE)).softmax(0)
            out.append(sum(s * keys[index, e][1][group] for s, e in zip(shares, line, strict=True)))
        return self.weights[name + "self_attn.o_proj.weight"] @ torch.cat(out)

    def _turn(self, states, position):
        half = SIZE // 2
        angles = position * self.theta ** (-torch.arange(half) * 2 / SIZE)
        left, right = states[:, :half], states[:, half:]
        return torch.cat(
            [
                left * angles.cos() - right * angles.sin(),
                right * angles.cos() + left * angles.sin(),
            ],
            1,
        )

    def _logits(self, out):
        if not self.third:
            return self.lm_head @ out
        logits = self.lm_head @ _norm(out, self.weights["norm.weight"])
        spread = torch.full((VOCABULARY,), -torch.inf)
        for draft, logit in enumerate(logits):
            spread[draft + self.weights["d2t"][draft]] = logit
        return spread


def _norm(state, weight):
    return weight * state / torch.sqrt(state.square().mean() + CONFIG["rms_norm_eps"])


def _drawer(seed):
    generator = torch.Generator().manual_seed(seed)
    return lambda *shape: torch.randn(*shape, generator=generator) * 0.3


def _layer(draw, name, reads):
    shapes = {
        "self_attn.q_proj": (HEADS * SIZE, reads),
        "self_attn.k_proj": (KV_HEADS * SIZE, reads),
        "self_attn.v_proj": (KV_HEADS * SIZE, reads),
        "self_attn.o_proj": (WIDTH, HEADS * SIZE),
        "mlp.gate_proj": (INNER, WIDTH),
        "mlp.up_proj": (INNER, WIDTH),
        "mlp.down_proj": (WIDTH, INNER),
    }
    weights = {f"{name}{each}.weight": draw(*shape) for each, shape in shapes.items()}
    return weights | {f"{name}post_attention_layernorm.weight": 1 + draw(WIDTH)}
