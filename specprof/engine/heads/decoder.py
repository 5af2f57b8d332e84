"""A head as a decoder: each token is fed beside the hidden state of the place before it.

Where the target was fed that place, the state is the target's own. Beyond that it is the head's own
answer, as published (SafeAILab/EAGLE). A text's first token has no place before it, so the head
never sees it; the published code shifts its inputs by one to that end. The cache therefore holds
one row less than `length`.
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
        """Whether the first token was fed; it has no row in the store."""
        self._nodes = 0
        """Rows at the store's end that belong to a tree."""
        width = head.config.hidden_size
        self._answers = torch.empty(0, width, dtype=head.dtype, device=self.device)
        """[rows, width] what the head returned since it last read the target's features."""
        self._answers_from = 0
        """The store's row of the first answer."""

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

        A tree is fed one level at a time: a node's state is its parent's answer, so the parent must
        have been fed before. A text's first token has no answer: its row is all zeros.
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
        """Make the tree's nodes on one `branch` part of the chain, and forget the other nodes."""
        start = self._chain_end - self._answers_from
        rows = [*range(start), *(start + node for node in branch)]
        self._answers = self._answers[on_device(rows, self.device)]
        self.store.keep(branch)
        self._nodes = 0

    def rollback(self, length: int) -> None:
        """Forget all but the first `length` tokens; a tree is forgotten too."""
        self.store.rollback(max(length - 1, 0))
        self._begun = length > 0
        self._nodes = 0

    @property
    def _chain_end(self) -> int:
        """The store's first row after the chain."""
        return self.store.length - self._nodes

    def _chain(self, tokens: torch.Tensor) -> torch.Tensor:
        """Append [n] tokens to the chain; return [n, width] answers, none for a first token."""
        if not self._begun and tokens.shape[0]:
            self._begun, tokens = True, tokens[1:]
        row = self.store.length  # of the next token; the target's row of the place before it
        known = min(max(self.target.length - row, 0), tokens.shape[0])
        answers = []
        if known:
            features = self.target.features.rows(row, row + known)  # type: ignore[union-attr]
            answers.append(self._forward(tokens[:known], self.head.fuse(features)))
            self._answers, self._answers_from = answers[0], row
        for token in tokens[known:, None]:
            answers.append(self._forward(token, self._valid_answers()[-1:]))
            self._answers = torch.cat([self._valid_answers(1), answers[-1]])
        return torch.cat(answers) if answers else self._answers[:0]

    def _tree(self, tokens: torch.Tensor, parents: torch.Tensor) -> torch.Tensor:
        """Append [n] nodes after [n] `parents`, -1 the chain's end; return [n, width] answers."""
        before, chain = self._valid_answers(), self._chain_end - self._answers_from
        answers = self._forward(tokens, before[chain + parents], parents)
        self._answers, self._nodes = torch.cat([before, answers]), self._nodes + tokens.shape[0]
        return answers

    def _forward(
        self, tokens: torch.Tensor, hidden: torch.Tensor, parents: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Feed [n] tokens beside [n, width] states; return [n, width] answers."""
        row, count = self.store.length, tokens.shape[0]
        place = _with_causal_mask(self.store.place(count, self.device, parents), row)
        mask = attention_mask(self.head, place)
        answers = self.head(tokens[None], hidden[None], place.positions, mask, self.store)
        self.store.advance(count)
        self.forwards += 1
        return answers[0]  # type: ignore[no-any-return]

    def _valid_answers(self, fed: int = 0) -> torch.Tensor:
        """Return [rows, width] the answers still valid, without those of the last `fed` rows."""
        end = self.store.length - fed - self._answers_from
        if end - self._nodes < 1:
            title = (
                f"an EAGLE head was fed a token at place {self.length} without a state before it"
            )
            raise SpecprofError(title, "feed its target first; otherwise this is a specprof bug")
        return self._answers[:end]


def _with_causal_mask(place: Placement, row: int) -> Placement:
    """Add the causal mask of a chain; a head has no transformers model around it to make one."""
    count = place.positions.shape[1]
    if place.visible is not None or count == 1:
        return place
    columns = torch.arange(row + count, device=place.positions.device)
    visible = columns <= columns[row:, None]
    return replace(place, visible=visible[None], columns=columns[None])
