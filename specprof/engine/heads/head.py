"""The two published heads as modules: EAGLE (arXiv 2401.15077) and EAGLE-3 (arXiv 2503.01840).

A head reads each token beside the target's hidden state at the place before it, and answers with
the next token. It knows nothing of caches, files, or where its features come from.
"""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from transformers import LlamaConfig

from specprof.engine.releases import (
    LlamaDecoderLayer,
    LlamaRMSNorm,
    LlamaRotaryEmbedding,
    with_cache,
)
from specprof.engine.stores.masks import Mask

OUTSIDE_LOGIT = torch.finfo(torch.float32).min
"""The logit of an id outside the draft vocabulary: probability 0, yet a finite number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """How a head is built, by its config and its weights."""

    config: LlamaConfig
    """Configuration of the head's own layers."""
    feature_width: int
    """The target's hidden size."""
    taps: tuple[int, ...] = ()
    """EAGLE-3: the target's layers whose entering states are the features. 0 is the embedding; the
    target's number of layers means the state that leaves the last. Empty for EAGLE, which reads the
    target's last hidden state after the final norm."""
    draft_vocabulary: int = 0
    """EAGLE-3: the number of ids that its own `lm_head` knows."""
    norm_before_residual: bool = False
    """EAGLE-3: whether the first layer adds to the normed state; the first release does not."""
    biases: frozenset[str] = field(default_factory=frozenset)
    """Linear maps that have a bias; published checkpoints differ."""

    @property
    def third(self) -> bool:
        """Whether it is an EAGLE-3 head."""
        return bool(self.taps)


class Head(nn.Module):
    """One head; `checkpoint` puts its weights in."""

    d2t: torch.Tensor
    """[draft vocabulary] int64: target id minus draft id."""

    def __init__(self, form: Form) -> None:
        super().__init__()
        config = form.config
        width = config.hidden_size
        self.form = form
        self.config = config
        self.embed_tokens = nn.Embedding(config.vocab_size, width)
        reads = len(form.taps) * form.feature_width if form.third else width + form.feature_width
        self.fc = nn.Linear(reads, width, bias=False)
        first = FusingLayer(form) if form.third else _layer_without_norm(config)
        later = [LlamaDecoderLayer(config, index) for index in range(1, config.num_hidden_layers)]
        self.layers = nn.ModuleList([first, *later])
        if form.third:
            self.norm = LlamaRMSNorm(width, eps=config.rms_norm_eps)
            self.lm_head = nn.Linear(width, form.draft_vocabulary, bias=False)
            self.register_buffer("d2t", torch.zeros(form.draft_vocabulary, dtype=torch.int64))
        else:
            self.lm_head = nn.Linear(form.feature_width, config.vocab_size, bias=False)
        self.rotary = LlamaRotaryEmbedding(config)
        for name, module in self.named_modules():
            if isinstance(module, nn.Linear) and name in form.biases:
                module.bias = nn.Parameter(module.weight.new_zeros(module.out_features))

    @property
    def dtype(self) -> torch.dtype:
        """The dtype it computes in."""
        return self.fc.weight.dtype

    def fuse(self, features: torch.Tensor) -> torch.Tensor:
        """Return [..., width] hidden states for the target's [..., reads] features."""
        return self.fc(features) if self.form.third else features

    def forward(
        self,
        tokens: torch.Tensor,
        hidden: torch.Tensor,
        positions: torch.Tensor,
        mask: Mask = None,
        store: Any = None,  # noqa: ANN401 - any cache that transformers' attention takes
    ) -> torch.Tensor:
        """Return [rows, n, width] the head's own hidden states, which can be fed as features.

        `tokens` are [rows, n]; `hidden` [rows, n, width] are fused features of the places before
        them, or what an earlier forward returned for those places.
        """
        attention = {
            "position_embeddings": self.rotary(hidden, positions),
            "attention_mask": mask,
        } | with_cache(self.layers[-1], store)
        embedded = self.embed_tokens(tokens).to(hidden.dtype)
        if self.form.third:
            hidden = self.layers[0](embedded, hidden, **attention)
        else:
            hidden = self.layers[0](self.fc(torch.cat([embedded, hidden], -1)), **attention)
        for layer in self.layers[1:]:
            hidden = layer(hidden, **attention)
        return hidden

    def draft_logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """Return [..., ids] logits of what `forward` returned, over the ids its lm_head knows."""
        logits: torch.Tensor = self.lm_head(self.norm(hidden) if self.form.third else hidden)
        return logits

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """Return [n, vocab] float32 logits over the target's ids, from [n, width] hidden states."""
        logits = self.draft_logits(hidden).float()
        vocabulary = self.config.vocab_size
        if not self.form.third or logits.shape[-1] == vocabulary:
            return logits
        full = logits.new_full((logits.shape[0], vocabulary), OUTSIDE_LOGIT)
        full[:, self.known_ids()] = logits
        return full

    def known_ids(self) -> torch.Tensor:
        """Return [draft vocabulary] the target ids of EAGLE-3's draft ids."""
        return self.d2t + torch.arange(self.d2t.shape[0], device=self.d2t.device)


class FusingLayer(LlamaDecoderLayer):  # type: ignore[misc]  # transformers is untyped here
    """EAGLE-3's first layer: attends over [embedding, hidden], each normed by itself."""

    def __init__(self, form: Form) -> None:
        config = form.config
        super().__init__(config, 0)
        self.norm_before_residual = form.norm_before_residual
        self.hidden_norm = LlamaRMSNorm(config.hidden_size, eps=config.rms_norm_eps)
        for name in ("q_proj", "k_proj", "v_proj"):
            rows = getattr(self.self_attn, name).out_features
            setattr(self.self_attn, name, nn.Linear(2 * config.hidden_size, rows, bias=False))

    def forward(
        self, embedded: torch.Tensor, hidden: torch.Tensor, **attention: object
    ) -> torch.Tensor:
        """Return [rows, n, width] from two tensors of that shape."""
        normed = self.hidden_norm(hidden)
        joined = torch.cat([self.input_layernorm(embedded), normed], -1)
        attended: torch.Tensor = self.self_attn(joined, **attention)[0]
        hidden = (normed if self.norm_before_residual else hidden) + attended
        refined: torch.Tensor = self.mlp(self.post_attention_layernorm(hidden))
        return hidden + refined


def _layer_without_norm(config: LlamaConfig) -> nn.Module:
    """Return EAGLE's first layer: the output of `fc` enters its attention without a norm."""
    layer = LlamaDecoderLayer(config, 0)
    layer.input_layernorm = nn.Identity()
    return layer  # type: ignore[no-any-return]
