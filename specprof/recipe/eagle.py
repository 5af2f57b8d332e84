"""Train the pocket target's EAGLE-3 head.

Run it with ``python -m specprof.recipe.eagle --into FOLDER``.

Training-time test (arXiv 2503.01840, section 3.2): each window is drafted several tokens deep.
Every step reads what the head itself returned in the step before, as it will when it drafts.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import AutoTokenizer, GPTNeoXForCausalLM, LlamaConfig
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from specprof import pocket
from specprof.engine.heads.head import Form, Head
from specprof.recipe.batches import Batches, token_stream
from specprof.recipe.fit import fit
from specprof.recipe.losses import distance_from_target
from specprof.recipe.shapes import TRAINED_CONTEXT

SEED = 20_261_123
TRAINING_STEPS = 800
"""They took half an hour of one thread on a machine that did other work as well."""
BATCH_ROWS = 4
UNROLLED_TOKENS = 4
"""The depth to which a window is drafted."""
ONE_TOKEN_SHARE = 0.65
"""Share of the steps that draft one token only: most is learned there, at a third of the cost."""
STEP_DISCOUNT = 0.8
"""Weight of an unrolled step's loss against the step before: it is reached less often."""
RATE_FACTOR = 2.0
DRAFT_VOCABULARY = 896
"""Ids it can draft; they are 9,999 in 10,000 of the sources' tokens."""
TAPS = (3, 7, 11)
"""Of twelve layers, those whose entering states it reads. The published (2, 6, 9) learned a little
slower."""
SHAPE = {
    "hidden_act": "silu",
    "hidden_size": 128,
    "intermediate_size": 768,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 64,
    "num_hidden_layers": 1,
    "rms_norm_eps": 1e-6,
    "rope_theta": 10_000.0,
    "max_position_embeddings": TRAINED_CONTEXT,
    "bos_token_id": 0,
    "eos_token_id": 0,
    "tie_word_embeddings": False,
}


class Unrolled:
    """The keys and values of every unrolled step, side by side: what attention takes as a cache."""

    def __init__(self) -> None:
        self.keys: list[torch.Tensor] = []
        self.values: list[torch.Tensor] = []

    def update(
        self, keys: torch.Tensor, values: torch.Tensor, *_: object, **__: object
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Add one step's [rows, heads, n, size]; return all steps', joined along the places."""
        self.keys.append(keys)
        self.values.append(values)
        return torch.cat(self.keys, 2), torch.cat(self.values, 2)


def unrolled_attention(
    _: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    __: object,
    *,
    scaling: float,
    **___: object,
) -> tuple[torch.Tensor, None]:
    """Attend to the true prefix and, in the unrolled steps, to the own place alone.

    `query` is [rows, heads, n, size], `key` and `value` hold a block of n places for each step. The
    first block has the true features: place i sees places up to i. In each later block place i sees
    only place i, a token that its own draft follows. Returns [rows, n, heads, size].
    """
    places, groups = query.shape[2], query.shape[1] // key.shape[1]
    blocks = key.shape[2] // places
    keys = torch.chunk(key.repeat_interleave(groups, 1), blocks, 2)
    values = torch.chunk(value.repeat_interleave(groups, 1), blocks, 2)
    later = torch.ones(places, places, dtype=torch.bool, device=query.device).triu(1)
    prefix = (query @ keys[0].mT).masked_fill(later, -torch.inf)
    own = [(query * each).sum(-1, keepdim=True) for each in keys[1:]]
    weights = (torch.cat([prefix, *own], -1) * scaling).float().softmax(-1).to(query.dtype)
    out = weights[..., :places] @ values[0]
    for step, each in enumerate(values[1:], start=places):
        out = out + weights[..., step : step + 1] * each
    return out.transpose(1, 2), None


def untrained_head(target: GPTNeoXForCausalLM, known: torch.Tensor) -> Head:
    """Return a head that can draft the [ids] `known`; its `lm_head` begins as the target's."""
    config = LlamaConfig(vocab_size=target.config.vocab_size, **SHAPE)
    config._attn_implementation = "unrolled"  # noqa: SLF001 - transformers has no other way
    ALL_ATTENTION_FUNCTIONS["unrolled"] = unrolled_attention
    width = target.config.hidden_size
    form = Form(config=config, feature_width=width, taps=TAPS, draft_vocabulary=known.numel())
    head = Head(form).to(known.device)
    head.embed_tokens = target.get_input_embeddings()
    head.lm_head.weight.data.copy_(target.get_output_embeddings().weight[known])
    head.d2t.copy_(known - torch.arange(known.numel(), device=known.device))
    return head


def frequent_ids(stream: torch.Tensor, vocabulary: int) -> torch.Tensor:
    """Return [DRAFT_VOCABULARY] the ids the [tokens] stream holds most often, in rising order."""
    counts = torch.bincount(stream.long(), minlength=vocabulary)
    return counts.topk(DRAFT_VOCABULARY).indices.sort().values


@torch.no_grad()
def target_outputs(
    target: GPTNeoXForCausalLM, tokens: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the target's [rows, n, features] and [rows, n, vocab] logits of [rows, n] tokens."""
    with torch.autocast(tokens.device.type, torch.bfloat16):
        out = target(tokens, output_hidden_states=True, use_cache=False)
    features = torch.cat([out.hidden_states[layer] for layer in TAPS], -1)
    return features, out.logits.float()


def unroll(
    head: Head, features: torch.Tensor, tokens: torch.Tensor, depth: int
) -> Iterator[torch.Tensor]:
    """Yield each of `depth` steps' [rows, places, ids] draft logits over [rows, n] tokens.

    Step s at place i reads token i+1+s. The first step reads it beside the target's feature of
    place i, every later step beside what the head itself returned.
    """
    places = tokens.shape[1] - 1 - depth
    positions = torch.arange(places, device=tokens.device)[None]
    store, hidden = Unrolled(), head.fuse(features[:, :places])
    for step in range(depth):
        fed = tokens[:, 1 + step : 1 + step + places]
        hidden = head(fed, hidden, positions + step, store=store)
        yield head.draft_logits(hidden)


def unrolled_loss(
    head: Head, target: GPTNeoXForCausalLM, tokens: torch.Tensor, depth: int
) -> torch.Tensor:
    """Return the distance from the target of every unrolled step's drafts, deeper ones discounted.

    Step s at place i answers what the target answers at place i+1+s.
    """
    features, goal = target_outputs(target, tokens)
    goal = goal[..., head.known_ids()]
    with torch.autocast(tokens.device.type, torch.bfloat16):
        losses = [
            STEP_DISCOUNT**step
            * distance_from_target(logits.float(), goal[:, 1 + step : 1 + step + logits.shape[1]])
            for step, logits in enumerate(unroll(head, features, tokens, depth))
        ]
    return torch.stack(losses).sum()


def train(target: GPTNeoXForCausalLM, stream: torch.Tensor, steps: int) -> Head:
    """Return the head, trained on windows of the [tokens] stream."""
    torch.manual_seed(SEED)
    head = untrained_head(target, frequent_ids(stream, target.config.vocab_size).to(target.device))
    depths = (1 if step < ONE_TOKEN_SHARE * steps else UNROLLED_TOKENS for step in range(steps))
    fit(
        [head],
        Batches(stream, BATCH_ROWS, TRAINED_CONTEXT, SEED),
        lambda tokens: unrolled_loss(head, target, tokens.to(target.device), next(depths)),
        steps=steps,
        name="eagle",
        rate=RATE_FACTOR,
    )
    return head


def save(head: Head, folder: Path) -> None:
    """Write the head as EAGLE-3 heads are published, in half precision and without embeddings."""
    folder.mkdir(parents=True, exist_ok=True)
    config = head.config
    written = {
        "architectures": ["LlamaForCausalLMEagle3"],
        "model_type": "llama",
        "dtype": "float16",
        "vocab_size": config.vocab_size,
        "draft_vocab_size": head.form.draft_vocabulary,
        "eagle_aux_hidden_state_layer_ids": list(head.form.taps),
        **SHAPE,
    }
    (folder / "config.json").write_text(json.dumps(written, indent=2) + "\n", encoding="utf-8")
    weights = {
        name.replace("layers.0.", "midlayer."): weight.half()
        if weight.is_floating_point()
        else weight
        for name, weight in head.state_dict().items()
        if not name.startswith("embed_tokens.")
    }
    known = torch.zeros(config.vocab_size, dtype=torch.bool)
    known[head.known_ids().cpu()] = True
    weights |= {"t2d": known}
    save_file(
        {name: weight.cpu().contiguous() for name, weight in weights.items()},
        folder / "model.safetensors",
    )


def main() -> None:
    """Train on the pocket target as it is installed, and write the head."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--into", type=Path, required=True)
    parser.add_argument("--scale", type=float, default=1.0, help="times the steps")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    asked = parser.parse_args()
    place = pocket.folder("pocket/target")
    target = GPTNeoXForCausalLM.from_pretrained(place, dtype=torch.float32).to(asked.device)
    target.eval().requires_grad_(requires_grad=False)
    stream = token_stream(AutoTokenizer.from_pretrained(place), SEED)
    save(train(target, stream, max(1, round(TRAINING_STEPS * asked.scale))), asked.into)


if __name__ == "__main__":
    main()
