"""Sound loops that differ in what they record of the same rounds."""

import torch

from recorded_loops.drafts import Lookup
from recorded_loops.plain import PlainLoop
from recorded_loops.processors import GrammarMask, PresencePenalty


class AsLaws(PlainLoop):
    """Records the laws of both models."""

    def report(self, now, drafts, rows, decided, laws):
        now.drafted(drafts.tokens, draft_probs=drafts.laws, target_probs=laws)


class GrammarAsLaws(AsLaws, GrammarMask):
    """Records the laws that a grammar left."""


class PenaltyAsLaws(AsLaws, PresencePenalty):
    """Records the laws that a penalty left."""


class AsArrays(PlainLoop):
    """Records numpy arrays."""

    def report(self, now, drafts, rows, decided, laws):
        arrays = {"draft_logits": drafts.rows.numpy(), "target_logits": decided.numpy()}
        now.drafted(drafts.tokens, **arrays)


class WiderTarget(PlainLoop):
    """The target's rows are padded by ids that no text holds."""

    def report(self, now, drafts, rows, decided, laws):
        wide = torch.cat([decided, torch.full((len(decided), 64), -60.0)], dim=1)
        now.drafted(drafts.tokens, draft_logits=drafts.rows, target_logits=wide)


class AsFunctions(PlainLoop):
    """The models are two functions of one name."""

    def settings(self):
        def make(model):
            def ask(ids):
                return model(torch.tensor([ids])).logits[0]

            return ask

        own = {"target": make(self.target_model), "draft": make(self.draft_model)}
        return super().settings() | own


class PenaltyAsFunctions(AsFunctions, PresencePenalty):
    """Two functions, and the rows that a penalty left."""


class PaddedLookup(Lookup):
    """Looks drafts up, and the target's rows are padded by ids that no text holds."""

    def report(self, now, drafts, rows, decided, laws):
        wide = torch.cat([decided, torch.full((len(decided), 64), -60.0)], dim=1)
        now.drafted(drafts.tokens, target_logits=wide, asked=self.depth)


class AsNames(PlainLoop):
    """The models are mere names: nothing is rechecked."""

    def settings(self):
        return super().settings() | {"target": "my-target", "draft": "my-draft"}


class WithoutRows(PlainLoop):
    """Records counts and times alone."""

    def settings(self):
        return super().settings() | {"detail": "rounds"}

    def report(self, now, drafts, rows, decided, laws):
        now.drafted(drafts.tokens)


class RoundedRows(PlainLoop):
    """Rounds its logits to bfloat16, decides by them and records them."""

    def verify(self, tokens):
        return super().verify(tokens).bfloat16().float()
