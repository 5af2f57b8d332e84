"""A head as a decoder: pairs each token fed with the hidden state of the place before it.

That state is the target's own as long as the target has been fed so far, and beyond that the head's
own answer, as published (SafeAILab/EAGLE). Nothing stands before a text's first token: like the
published code, which shifts its inputs by one, the head never sees it, and its cache holds one row
less than `length` says.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch

from specprof.engine.decoder import PREFILL_CHUNK, CausalModel
from specprof.engine.heads.head import Head
from specprof.engine.stores.dense import Placement, Store
from specprof.engine.stores.masks import attention_mask
from specprof.engine.transfer import on_device
from specprof.errors import SpecprofError


class HeadDecoder:
    """A head over a store of its own, reading the features of `target`."""

    def __init__(self, head: Head, store: Store, target: CausalModel) -> None:
        self.head = head
        self.store = store
        self.target = target
        self.device = target.device
        self.forwards = 0
        self._begun = False
        """Whether the first token has been taken, which has no row in the store."""
        self._nodes = 0
        """Rows at the store's end that are a tree's."""
        width = head.config.hidden_size
        self._answers = torch.empty(0, width, dtype=head.dtype, device=self.device)
        """[rows, width] what the head returned since it last read features of the target's."""
        self._answers_from = 0
        """The store's row that the first of them stands for."""

    @property
    def length(self) -> int:
        """Tokens fed and not rolled back."""
        return self.store.length + self._begun

    @property
    def kv_bytes(self) -> int:
        """Bytes those tokens take in the cache."""
        return self.store.kv_bytes

    @property
    def evicted(self) -> int | None:
        """Tokens the cache has dropped so far; None where it never drops any."""
        return self.store.evicted

    @torch.inference_mode()
    def feed(self, tokens: torch.Tensor, parents: torch.Tensor | None = None) -> torch.Tensor:
        """Append [n] tokens; return [n, vocab] float32 logits, row i the answer after token i.

        Of a tree a level at a time: a node's state is its parent's answer, so that must have been
        fed before. A text's first token has no answer: its row is all zeros, every id alike.
        """
        answers = self._chain(tokens) if parents is None else self._tree(tokens, parents)
        logits = self.head.logits(answers)[:, : self.target.vocabulary]
        unanswered = tokens.shape[0] - logits.shape[0]
        return torch.cat([logits.new_zeros(unanswered, logits.shape[1]), logits])

    @torch.inference_mode()
    def prefill(self, tokens: Sequence[int]) -> None:
        """Append known tokens, a chunk at a time, without computing their logits."""
        for start in range(0, len(tokens), PREFILL_CHUNK):
            self._chain(on_device(tokens[start : start + PREFILL_CHUNK], self.device))

    @torch.inference_mode()
    def keep(self, branch: Sequence[int]) -> None:
        """Keep of the tree the nodes of one `branch` as part of the chain, and forget the rest."""
        start = self._chain_end - self._answers_from
        rows = [*range(start), *(start + node for node in branch)]
        self._answers = self._answers[on_device(rows, self.device)]
        self.store.keep(branch)
        self._nodes = 0

    def rollback(self, length: int) -> None:
        """Forget all but the first `length` tokens, and with them any tree."""
        self.store.rollback(max(length - 1, 0))
        self._begun = length > 0
        self._nodes = 0

    @property
    def _chain_end(self) -> int:
        """The store's first row that is not the chain's."""
        return self.store.length - self._nodes

    def _chain(self, tokens: torch.Tensor) -> torch.Tensor:
        """Append [n] tokens to the chain; return [n, width] answers, none for a first token."""
        if not self._begun and tokens.shape[0]:
            self._begun, tokens = True, tokens[1:]
        row = self.store.length  # the next token's, and the place its features are of
        known = min(max(self.target.length - row, 0), tokens.shape[0])
        answers = []
        if known:
            features = self.target.features.rows(row, row + known)  # type: ignore[union-attr]
            answers.append(self._forward(tokens[:known], self.head.fuse(features)))
            self._answers, self._answers_from = answers[0], row
        for token in tokens[known:, None]:
            answers.append(self._forward(token, self._standing()[-1:]))
            self._answers = torch.cat([self._standing(1), answers[-1]])
        return torch.cat(answers) if answers else self._answers[:0]

    def _tree(self, tokens: torch.Tensor, parents: torch.Tensor) -> torch.Tensor:
        """Append [n] nodes after [n] `parents`, -1 the chain's end; return [n, width] answers."""
        before, chain = self._standing(), self._chain_end - self._answers_from
        answers = self._forward(tokens, before[chain + parents], parents)
        self._answers, self._nodes = torch.cat([before, answers]), self._nodes + tokens.shape[0]
        return answers

    def _forward(
        self, tokens: torch.Tensor, hidden: torch.Tensor, parents: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Feed [n] tokens beside [n, width] states; return [n, width] answers."""
        row, count = self.store.length, tokens.shape[0]
        place = _causal(self.store.place(count, self.device, parents), row)
        mask = attention_mask(self.head, place)
        answers = self.head(tokens[None], hidden[None], place.positions, mask, self.store)
        self.store.advance(count)
        self.forwards += 1
        return answers[0]  # type: ignore[no-any-return]

    def _standing(self, fed: int = 0) -> torch.Tensor:
        """Return [rows, width] the answers that stand, less those of the last `fed` rows."""
        end = self.store.length - fed - self._answers_from
        if end - self._nodes < 1:
            title = (
                f"an EAGLE head was fed a token at place {self.length} without a state before it"
            )
            raise SpecprofError(title, "feed its target first; else this is a fault of specprof's")
        return self._answers[:end]


def _causal(place: Placement, row: int) -> Placement:
    """Say of a chain what each of its new tokens sees; transformers' model would, a head can't."""
    count = place.positions.shape[1]
    if place.visible is not None or count == 1:
        return place
    columns = torch.arange(row + count, device=place.positions.device)
    visible = columns <= columns[row:, None]
    return replace(place, visible=visible[None], columns=columns[None])
