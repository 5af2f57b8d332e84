"""A model together with its cache: feed tokens, get logits; roll back.

The loop knows nothing else of a model. So a test can put a table of numbers in its place, and every
law can be computed exactly. Positions come from the cache alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import torch

from specprof.engine.releases import with_cache
from specprof.engine.stores.dense import Store
from specprof.engine.stores.masks import attention_mask
from specprof.engine.transfer import on_device
from specprof.settings import ForwardPath

if TYPE_CHECKING:
    from specprof.engine.features import Features
    from specprof.engine.replay.model import Recorder

PREFILL_CHUNK = 512
Compute = Callable[..., Any]
"""Called like a Hugging Face causal model; what it returns has `logits`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forwards:
    """How a model's forwards are computed: decided once for the model and its kind of cache."""

    path: ForwardPath
    """`flat` or `modules`."""
    compute: Compute
    path_reason: str | None = None
    """Why the path is `modules`, if the user did not ask for it."""
    recorder: "Recorder | None" = None
    """Records short forwards, which are then replayed; None: nothing is replayed."""
    replay_reason: str | None = "no recorder was chosen"
    """Why nothing is replayed; None: short forwards are replayed (`ReplayedModel`)."""


class Decoder(Protocol):
    """A causal model and the tokens it has been fed."""

    device: torch.device
    forwards: int
    """Forward passes so far."""

    @property
    def length(self) -> int:
        """Tokens fed and not rolled back."""

    @property
    def kv_bytes(self) -> int:
        """Bytes that these tokens take in the cache."""

    @property
    def evicted(self) -> int | None:
        """Tokens that the cache has dropped so far; None if it never drops any."""

    def feed(self, tokens: torch.Tensor, parents: torch.Tensor | None = None) -> torch.Tensor:
        """Append [n] tokens; return [n, vocab] float logits, row i the answer after token i.

        With `parents` [n] the tokens are nodes of a tree after the chain fed so far. A parent is
        the index of a node, counted over all feeds of this tree; -1 is the end of the chain.
        """

    def keep(self, branch: Sequence[int]) -> None:
        """Make one `branch` of the tree part of the chain, and forget the rest of the tree."""

    def prefill(self, tokens: Sequence[int]) -> None:
        """Append known tokens whose logits are not needed."""

    def rollback(self, length: int) -> None:
        """Forget all but the first `length` tokens, and with them any tree."""


class CausalModel:
    """A Hugging Face causal language model over one `Store`."""

    def __init__(
        self,
        model: torch.nn.Module,
        store: Store,
        device: torch.device,
        vocabulary: int | None = None,
        *,
        forwards: Forwards | None = None,
    ) -> None:
        """Return logits of the first `vocabulary` ids only: embeddings may be padded beyond these.

        Without `forwards`, the model's own modules compute them, and nothing is replayed.
        """
        self.model = model
        self.how = forwards or Forwards(path="modules", compute=model)
        self.vocabulary = vocabulary
        self.store = store
        self.device = device
        self.forwards = 0
        self.features: Features | None = None

    @property
    def length(self) -> int:
        """Tokens fed and not rolled back."""
        return self.store.length

    @property
    def kv_bytes(self) -> int:
        """Bytes that these tokens take in the cache."""
        return self.store.kv_bytes

    @property
    def evicted(self) -> int | None:
        """Tokens that the cache has dropped so far; None if it never drops any."""
        return self.store.evicted

    def feed(self, tokens: torch.Tensor, parents: torch.Tensor | None = None) -> torch.Tensor:
        """Append [n] tokens, a chain or with `parents` a tree; return [n, vocab] float32 logits."""
        return self._forward(tokens, keep=0, parents=parents).float()

    @torch.inference_mode()
    def keep(self, branch: Sequence[int]) -> None:
        """Make one `branch` of the tree part of the chain, and forget the rest of the tree."""
        if self.features:
            self.features.keep(branch)
        self.store.keep(branch)

    def prefill(self, tokens: Sequence[int]) -> None:
        """Append known tokens, a chunk at a time, without computing their logits."""
        for start in range(0, len(tokens), PREFILL_CHUNK):
            chunk = tokens[start : start + PREFILL_CHUNK]
            self._forward(on_device(chunk, self.device), keep=1)

    def rollback(self, length: int) -> None:
        """Forget all but the first `length` tokens, and with them any tree."""
        self.store.rollback(length)

    @torch.inference_mode()
    def _forward(
        self, tokens: torch.Tensor, keep: int, parents: torch.Tensor | None = None
    ) -> torch.Tensor:
        place = self.store.place(tokens.shape[0], self.device, parents)
        compute = self.how.compute
        out = compute(
            tokens[None],
            position_ids=place.positions,
            attention_mask=attention_mask(self.model, place),
            **with_cache(compute, self.store),
            use_cache=True,
            logits_to_keep=keep,
        )
        if self.features:
            self.features.take(self.store.length)
        self.store.advance(tokens.shape[0])
        self.forwards += 1
        logits: torch.Tensor = out.logits[0, :, : self.vocabulary]
        return logits


def innermost(decoder: Decoder | None) -> Decoder | None:
    """Return the decoder that runs the forwards, inside others that only change logits."""
    within: Decoder | None = getattr(decoder, "inner", None)
    return decoder if within is None else innermost(within)
