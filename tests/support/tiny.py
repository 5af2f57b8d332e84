"""Tiny random checkpoints of real architectures, written and loaded like any checkpoint."""

from pathlib import Path

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

VOCABULARY = 96
SHAPE = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 64,
    "head_dim": 8,
    "max_position_embeddings": 512,
    "bos_token_id": 0,
    "eos_token_id": 0,
    "pad_token_id": 0,
}
ARCHITECTURES = {
    "gpt_neox": {"rotary_pct": 0.25},
    "llama": {},
    "qwen2": {},
    "qwen3": {},
    "mistral": {"sliding_window": 24},
    "gemma": {},
    "gemma3_text": {"sliding_window": 16},
}


def model(kind: str, seed: int = 0, **changed: object) -> torch.nn.Module:
    config = CONFIG_MAPPING[kind](**(SHAPE | ARCHITECTURES[kind] | changed))
    torch.manual_seed(seed)
    made = AutoModelForCausalLM.from_config(config).eval().requires_grad_(requires_grad=False)
    for weight in made.parameters():  # larger than usual, so that laws are far from uniform
        if weight.ndim == 2:
            weight.mul_(6)
    return made


def tokenizer(extra: str = "") -> PreTrainedTokenizerFast:
    letters = [chr(32 + i) for i in range(VOCABULARY - 2)] + ["\n", extra or "¤"]
    table = Tokenizer(models.WordLevel({c: i for i, c in enumerate(letters)}, unk_token=" "))
    table.pre_tokenizer = pre_tokenizers.Split("", behavior="isolated")
    return PreTrainedTokenizerFast(tokenizer_object=table, unk_token=" ")


def checkpoint(folder: Path, kind: str = "llama", seed: int = 0, **changed: object) -> Path:
    model(kind, seed, **changed).save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    return folder
