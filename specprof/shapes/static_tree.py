"""A tree of fixed width at each level: several continuations, verified in one target forward."""

from dataclasses import dataclass

import msgspec
import torch

from specprof import limits
from specprof.engine.decoder import Decoder
from specprof.engine.tree import sibling_law
from specprof.extend import Parts, Proposal, Shape
from specprof.settings import Settings


@dataclass(frozen=True, slots=True)
class Level:
    """The drafted tokens of one level: the children of each node before it, in order."""

    tokens: torch.Tensor
    """[n]."""
    logits: torch.Tensor
    """[n, vocab] raw, of each token's place."""
    laws: torch.Tensor
    """[n, vocab] the law each token was drawn from; the logits if nothing was drawn."""


class StaticTree(Shape):
    """`Settings.widths` children of each node, level by level (SpecInfer, arXiv 2305.09781).

    Greedy: the draft's likeliest tokens. Sampling: drawn without replacement, each declared under
    the law without its elder siblings, so that recursive rejection (arXiv 2402.14160) is exact.
    """

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        self.widths = limits.read_widths(parts.settings)

    @classmethod
    def room(cls, settings: Settings, depth: int) -> int:
        """Return the tree's nodes: the target is fed them all, the draft all but the last level."""
        return limits.max_drafted(msgspec.structs.replace(settings, depth=depth))

    def grow(self, draft: Decoder, fed: torch.Tensor, depth: int) -> Proposal:
        """Feed [n] the tokens the draft lacks, then draft up to `depth` levels, one a step."""
        policy, watch = self.parts.policy, self.parts.watch
        levels: list[Level] = []
        parents: list[torch.Tensor] = []
        confidences: list[float] = []
        chain, nodes = draft.length + fed.shape[0], 0
        for width in (self.widths + [1] * depth)[:depth]:
            with watch.span("step"):
                rows = draft.feed(fed, parents[-1]) if parents else draft.feed(fed)[-1:]
                levels.append(self._draft_level(rows, min(width, rows.shape[-1])))
            fed, before = levels[-1].tokens, rows.shape[0]
            first = nodes - before if parents else -1
            places = torch.arange(first, first + before, device=fed.device)
            parents.append(places.repeat_interleave(fed.shape[0] // before))
            nodes += fed.shape[0]
            if policy.watches:
                confidences.append(self._confidence(levels[-1]))
                if not policy.go_on(confidences):
                    break
        draft.rollback(chain)
        laws = None if self.parts.law.greedy else torch.cat([each.laws for each in levels])
        return Proposal(
            tokens=torch.cat([level.tokens for level in levels]),
            logits=torch.cat([level.logits for level in levels]),
            draft_probs=laws,
            parents=torch.cat(parents),
            family=max(self.widths),
        )

    def _draft_level(self, rows: torch.Tensor, width: int) -> Level:
        """Draft `width` children of each place of [places, vocab] raw logits."""
        law = self.parts.law
        logits = rows.repeat_interleave(width, 0)
        if law.greedy:
            children = rows.topk(width).indices  # [places, width]
            return Level(children.flatten(), logits, logits)
        probs = law.probs(rows)
        race = torch.empty_like(probs).exponential_(generator=self.parts.generator)
        # The race's first `width` are a draw without replacement, in the order drawn.
        children = (probs / race).topk(width).indices
        laws = [
            sibling_law(probs, children[:, :elders], children[:, elders]) for elders in range(width)
        ]
        return Level(children.flatten(), logits, torch.stack(laws, 1).flatten(0, 1))

    def _confidence(self, level: Level) -> float:
        """Return the draft's probability of a level's first token; its ancestors are all eldest."""
        sure = level.logits[0].softmax(-1) if self.parts.law.greedy else level.laws[0]
        return sure[level.tokens[0]].item()
