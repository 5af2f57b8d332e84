"""A tree that grows where the draft is sure, cut back to its best tokens before it is verified."""

import math
from dataclasses import dataclass

import msgspec
import torch

from specprof import limits
from specprof.engine.decoder import Decoder
from specprof.extend import Proposal, Shape
from specprof.settings import Settings


@dataclass(frozen=True, slots=True)
class Candidates:
    """The children tried at one level: equally many of each expanded node, the likeliest first."""

    tokens: torch.Tensor
    """[n]."""
    values: torch.Tensor
    """[n] log of the product of the draft's confidences on the path to each."""
    parents: torch.Tensor
    """[n] index of the candidate each follows, over all levels; -1 the chain."""
    logits: torch.Tensor
    """[expanded, vocab] raw, of the places they were tried at."""

    @property
    def width(self) -> int:
        """Children tried of each expanded node."""
        return self.tokens.shape[0] // self.logits.shape[0]


class DynamicTree(Shape):
    """Expansion and rerank by the draft's confidence (EAGLE-2, arXiv 2406.16858, section 4).

    Children are the draft's likeliest tokens at every temperature, as in the paper. The draft's
    laws alone then decide which of them are verified, and any cut is lossless. Tokens that were
    drawn could not be cut for being unlikely without changing the law (theory 8). The price is that
    they owe no more than the target's mass on them, so at a high temperature the static tree is
    better.
    """

    @classmethod
    def room(cls, settings: Settings, depth: int) -> int:
        """Return the most tokens fed at once: kept ones to the target, expanded ones to the draft.

        `branch` candidates of each level are expanded, and none of the last level.
        """
        asked = msgspec.structs.replace(settings, depth=depth)
        return max(limits.max_drafted(asked), limits.max_expanded(asked))

    def grow(self, draft: Decoder, fed: torch.Tensor, depth: int) -> Proposal:
        """Feed [n] the tokens the draft lacks, then try up to `depth` levels, one a step."""
        policy, watch, branch = self.parts.policy, self.parts.watch, self.parts.settings.branch
        chain, first, expanded, tried = draft.length + fed.shape[0], -1, 0, 0
        nodes = torch.full((1,), -1, device=fed.device)  # [expanded] which candidates they are
        values = torch.zeros(1, device=fed.device)  # [expanded]
        lines: torch.Tensor | None = None  # [expanded] parents in the draft's own tree
        levels: list[Candidates] = []
        confidences: list[float] = []
        best = 0.0
        for _ in range(depth):
            with watch.span("step"):
                rows = draft.feed(fed, lines) if levels else draft.feed(fed)[-1:]
                level = self._try_children(rows, nodes, values)
                values, top = level.values.topk(min(branch, level.values.shape[0]))
            levels.append(level)
            fed, nodes = level.tokens[top], tried + top
            lines = first + top // level.width
            first, expanded = expanded, expanded + top.shape[0]
            tried += level.tokens.shape[0]
            if policy.watches:
                before, best = best, values[0].item()
                confidences.append(math.exp(best - before))
                if not policy.go_on(confidences):
                    break
        draft.rollback(chain)
        return self._rerank(levels)

    def _try_children(
        self, rows: torch.Tensor, nodes: torch.Tensor, values: torch.Tensor
    ) -> Candidates:
        """Try the likeliest children of [expanded] nodes by [expanded, vocab] raw logits."""
        law = self.parts.law
        # A greedy law says 0 or 1 and ranks nothing: there the plain softmax is the confidence.
        sure = rows.softmax(-1) if law.greedy else law.probs(rows)
        width = min(self.parts.settings.branch, rows.shape[-1])
        likeliest = sure.topk(width)  # [expanded, width]
        return Candidates(
            tokens=likeliest.indices.flatten(),
            values=(values[:, None] + likeliest.values.log()).flatten(),
            parents=nodes.repeat_interleave(width),
            logits=rows,
        )

    def _rerank(self, levels: list[Candidates]) -> Proposal:
        """Keep the `nodes` candidates of the highest values, and with each its parents.

        A parent's value is at least its child's, and it comes before its child. The stable sort
        therefore takes it first.
        """
        values = torch.cat([level.values for level in levels])
        order = values.sort(descending=True, stable=True).indices
        kept = order[: self.parts.settings.nodes].sort().values  # [N] parents before children
        parents = torch.cat([level.parents for level in levels])[kept]
        places = torch.cat([level.logits for level in levels])  # each has `width` candidates
        return Proposal(
            tokens=torch.cat([level.tokens for level in levels])[kept],
            logits=places[kept // levels[0].width],
            draft_probs=None,
            parents=torch.where(parents < 0, parents, torch.searchsorted(kept, parents)),
            family=self.parts.settings.branch,
        )
