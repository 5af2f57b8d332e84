"""Loops with a bug: each must be accused, so that sparing the sound ones is no excuse for these."""

import torch

from recorded_loops.drafts import SAMPLED
from recorded_loops.plain import PlainLoop, law
from recorded_loops.processors import GrammarMask, PresencePenalty
from recorded_loops.reports import AsLaws


class TargetKeepsRejected(PlainLoop):
    """The target's cache is never cut: rejected drafts stay visible."""

    expected = frozenset({"target-state-drifts"})

    def verify(self, tokens):
        return self.target.feed([self.text[-1], *tokens])

    def cut(self, tokens, accepted):
        self.draft.cut(len(self.text) - 1)

    def report_costs(self, now, drafts):
        pass


class MaskedTargetKeepsRejected(TargetKeepsRejected, GrammarMask):
    """The same bug under a grammar's mask."""


class PenalisedTargetKeepsRejected(TargetKeepsRejected, PresencePenalty):
    """The same bug under a penalty."""


class Bfloat16TargetKeepsRejected(TargetKeepsRejected):
    """The same bug in bfloat16, whose rounding hides little of it."""

    dtype = torch.bfloat16


class PaddedTargetKeepsRejected(TargetKeepsRejected):
    """The same bug, in rows that are padded by ids that no text holds, and without a draft."""

    def settings(self):
        return super().settings() | {"draft": None}

    def draft_law(self, row):
        return law(row, 0.0)

    def report(self, now, drafts, rows, decided, laws):
        wide = torch.cat([decided, torch.full((len(decided), 64), -60.0)], dim=1)
        now.drafted(drafts.tokens, target_logits=wide)


class DraftReadsAHole(PlainLoop):
    """After a rejection the draft is fed the text anew, without its last prompt tokens."""

    expected = frozenset({"draft-state-drifts"})

    def cut(self, tokens, accepted):
        super().cut(tokens, accepted)
        if accepted < len(tokens):
            self.draft.cut(0)
            self.draft.feed(self.text[: self.start - 8] + self.text[self.start - 4 : -1])

    def propose(self):
        missing = len(self.text) - 1 - self.draft.length
        self.text, whole = self.text[missing:] if 0 < missing <= 4 else self.text, self.text
        drafts = super().propose()
        self.text = whole
        return drafts

    def report_costs(self, now, drafts):
        now.lengths(target=self.target.length)


class AcceptsAll(PlainLoop):
    """Every draft stands."""

    expected = frozenset({"accept-rule-unfair"})

    def judge(self, drafts, laws):
        return len(drafts.tokens), self.draw(laws[-1])


class MaskedAcceptsAll(AcceptsAll, GrammarMask):
    """The same bug under a grammar's mask: ids come that it rules out."""

    expected = frozenset({"accept-rule-unfair", "output-law-differs"})


class AcceptsAllAsLaws(AcceptsAll, AsLaws):
    """The same bug, recorded by laws."""


class WholeTargetInPlaceOfResidual(PlainLoop):
    """The correction is drawn from the target's law, nothing subtracted."""

    temperatures = SAMPLED
    expected = frozenset({"final-law-differs", "residual-unsupported"})

    def judge(self, drafts, laws):
        for place, token in enumerate(drafts.tokens):
            if self.flip_coin() >= laws[place, token] / drafts.laws[place, token]:
                return place, self.draw(laws[place])
        return len(drafts.tokens), self.draw(laws[-1])


class FirstChoicesWithSoftLaw(PlainLoop):
    """Drafts its first choice, and judges it by the law it was not drawn from."""

    temperatures = SAMPLED
    expected = frozenset({"draft-law-differs"})

    def propose(self):
        drafts = super().propose()
        drafts.laws = law(drafts.rows, self.temperature)
        return drafts

    def draft_law(self, row):
        return torch.nn.functional.one_hot(row.argmax(-1), row.shape[-1]).double()


class TargetOfNaN(PlainLoop):
    """From the third burst on the target's rows are NaN; all drafts stand or none, then id 0."""

    expected = frozenset({"logits-not-finite"})
    only = True
    """No other rule may find a bug: no draft is to blame."""
    bursts = 0

    def begin(self, prompt):
        super().begin(prompt)
        self.bursts += 1

    @property
    def spoilt(self):
        return self.bursts > 2

    def verify(self, tokens):
        rows = super().verify(tokens)
        return rows * float("nan") if self.spoilt else rows

    def law(self, rows):
        return super().law(rows.nan_to_num())

    def judge(self, drafts, laws):
        if self.spoilt:
            return len(drafts.tokens) if self.flip_coin() < 0.5 else 0, 0
        return super().judge(drafts, laws)


class TargetOfNaNAsLaws(TargetOfNaN, AsLaws):
    """The same bug, recorded by laws."""

    temperatures = SAMPLED

    def law(self, rows):
        return PlainLoop.law(self, rows)
