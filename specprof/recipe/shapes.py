"""The shapes of the family: ordinary GPT-NeoX configurations that need no custom code."""

from transformers import GPTNeoXConfig, GPTNeoXForCausalLM

from specprof.recipe.tokenizer import VOCABULARY

TRAINED_CONTEXT = 512
LONG_CONTEXT = 32_768

WIDTH_LAYERS_HEADS: dict[str, tuple[int, int, int]] = {
    "target": (128, 12, 2),
    "draft": (192, 2, 3),
    "draft-small": (128, 1, 2),
}
"""Deep and narrow against shallow: on a CPU a step costs its layers, not its parameters."""


def untrained_model(name: str, *, layers: int | None = None) -> GPTNeoXForCausalLM:
    """Return a fresh model of the named shape, or of its shape with another number of layers."""
    width, depth, heads = WIDTH_LAYERS_HEADS[name]
    config = GPTNeoXConfig(
        vocab_size=VOCABULARY,
        hidden_size=width,
        num_hidden_layers=layers or depth,
        num_attention_heads=heads,
        intermediate_size=4 * width,
        rotary_pct=0.25,
        max_position_embeddings=LONG_CONTEXT if name == "target" else TRAINED_CONTEXT,
        tie_word_embeddings=True,
        bos_token_id=0,
        eos_token_id=0,
        use_cache=True,
        attn_implementation="sdpa",
    )
    return GPTNeoXForCausalLM(config)


def deepen(shallow: GPTNeoXForCausalLM, name: str) -> GPTNeoXForCausalLM:
    """Grow a trained model to the named depth, each layer repeated, each repeat's output shrunk.

    Each repeat takes a fraction of the trained layer's step, so the deep model starts from what the
    shallow one learned, and most of the training runs at a fraction of the cost.
    """
    deep = untrained_model(name)
    repeats = deep.config.num_hidden_layers // shallow.config.num_hidden_layers
    deep.gpt_neox.embed_in.load_state_dict(shallow.gpt_neox.embed_in.state_dict())
    deep.gpt_neox.final_layer_norm.load_state_dict(shallow.gpt_neox.final_layer_norm.state_dict())
    for index, layer in enumerate(deep.gpt_neox.layers):
        layer.load_state_dict(shallow.gpt_neox.layers[index // repeats].state_dict())
        for branch in (layer.attention.dense, layer.mlp.dense_4h_to_h):
            branch.weight.data.div_(repeats)
            branch.bias.data.div_(repeats)
    return deep
