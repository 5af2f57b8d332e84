"""Two models over caches that can be cut, as a loop of few lines holds them."""

import inspect
from functools import cache

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, DynamicCache

from specprof import pocket
from specprof.pocket.corpus import held_out_text

PAIR = ("pocket/target", "pocket/draft")
CHARACTERS = 40_000
"""Of the text that prompts are taken from."""


@cache
def models(dtype=torch.float32):
    """Return the pocket pair: (target, draft)."""
    return tuple(
        AutoModelForCausalLM.from_pretrained(pocket.folder(name), dtype=dtype).eval()
        for name in PAIR
    )


@cache
def prose():
    """Return token ids of a text that neither model was trained on."""
    tokenizer = AutoTokenizer.from_pretrained(pocket.folder(PAIR[0]))
    return tuple(tokenizer(held_out_text()[:CHARACTERS])["input_ids"])


def cache_keyword(model):
    """Return the name by which a model's forward takes its cache."""
    known = inspect.signature(model.forward).parameters
    return "cache" if "cache" in known else "past_key_values"


class Cached:
    """A model, and the cache of what it was fed."""

    def __init__(self, model):
        self.model = model
        self.cache = DynamicCache(config=model.config)
        self._keyword = cache_keyword(model)

    @property
    def length(self):
        """Tokens in the cache."""
        return self.cache.get_seq_length()

    def feed(self, tokens):
        """Return [n, vocab] raw logits behind each of these tokens."""
        rows = self.model(torch.tensor([tokens]), **{self._keyword: self.cache}).logits[0]
        return rows.float()

    def cut(self, length):
        """Drop the cache's rows behind so many tokens."""
        if self.length > length:
            self.cache.crop(length - self.length)
