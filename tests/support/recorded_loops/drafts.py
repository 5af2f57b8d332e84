"""Sound loops that draft in a way of their own."""

import torch

from recorded_loops.plain import Drafts, PlainLoop, law

SAMPLED = (0.7, 1.0)
"""Temperatures of kinds that differ from the plain loop only when they draw."""


class CoolerDraft(PlainLoop):
    """The draft has a temperature of its own, and the laws are recorded."""

    temperatures = SAMPLED

    def draft_law(self, row):
        return law(row, 0.6 * self.temperature)

    def report(self, now, drafts, rows, decided, laws):
        now.drafted(drafts.tokens, draft_probs=drafts.laws, target_probs=laws)


class DraftTopK(PlainLoop):
    """The draft draws from its five likeliest ids, and its filtered rows are recorded."""

    temperatures = SAMPLED

    def process_draft(self, row, text):
        return row.masked_fill(row < row.topk(5).values[-1], float("-inf"))

    def report(self, now, drafts, rows, decided, laws):
        own = torch.stack([self.process_draft(row, []) for row in drafts.rows])
        now.drafted(drafts.tokens, draft_logits=own, target_logits=decided)


class DraftTopKAsLaws(DraftTopK):
    """The same draft, recorded by the laws of both models."""

    def report(self, now, drafts, rows, decided, laws):
        now.drafted(drafts.tokens, draft_probs=drafts.laws, target_probs=laws)


class FirstChoices(PlainLoop):
    """Drafts its first choice; the target judges it with all mass on the token."""

    temperatures = SAMPLED

    def draft_law(self, row):
        return law(row, 0.0)

    def report(self, now, drafts, rows, decided, laws):
        now.drafted(drafts.tokens, target_logits=decided, certain=True)


class SampledAsCertain(PlainLoop):
    """Draws from the draft's law, and judges with all mass on the token: lossless too."""

    temperatures = SAMPLED

    def judge(self, drafts, laws):
        certain = torch.nn.functional.one_hot(torch.tensor(drafts.tokens), self.vocabulary)
        return super().judge(Drafts(drafts.tokens, drafts.rows, certain.double()), laws)

    def report(self, now, drafts, rows, decided, laws):
        now.drafted(drafts.tokens, target_logits=decided, certain=True)


class Lookup(PlainLoop):
    """Drafts what followed the last pair of ids before; nothing if it never came."""

    def settings(self):
        return super().settings() | {"draft": None}

    def propose(self):
        pair, found = self.text[-2:], []
        for place in range(len(self.text) - 3, 0, -1):
            if self.text[place - 1 : place + 1] == pair:
                found = self.text[place + 1 : place + 1 + self.depth]
                break
        laws = torch.nn.functional.one_hot(torch.tensor(found, dtype=torch.int64), self.vocabulary)
        return Drafts(found, torch.empty(0, self.vocabulary), laws.double())

    def report(self, now, drafts, rows, decided, laws):
        now.drafted(drafts.tokens, target_logits=decided, asked=self.depth)

    def report_costs(self, now, drafts):
        now.lengths(target=self.target.length)


class SampleAndMatch(FirstChoices):
    """The target draws, and a draft stands if it is what was drawn: lossless, accepts less."""

    def judge(self, drafts, laws):
        for place, token in enumerate(drafts.tokens):
            drawn = self.draw(laws[place])
            if drawn != token:
                return place, drawn
        return len(drafts.tokens), self.draw(laws[-1])


class SomeRoundsEmpty(PlainLoop):
    """Drafts nothing in every third round."""

    def choose_depth(self):
        return 0 if self.rounds % 3 == 2 else self.depth


class ChangingDepth(PlainLoop):
    """Drafts from one to six tokens, at random."""

    def choose_depth(self):
        return 1 + int(6 * self.flip_coin())


class LearningDepth(PlainLoop):
    """Drafts one more than stood last time."""

    last = 3

    def choose_depth(self):
        return min(self.last + 1, 8)

    def emit(self, tokens, accepted, final):
        self.last = accepted
        return super().emit(tokens, accepted, final)


class Confident(PlainLoop):
    """Stops drafting before a token that the draft is unsure of."""

    depth = 6

    def propose(self):
        drafts = super().propose()
        unsure = [place for place, law in enumerate(drafts.laws) if place and law.max() < 0.3]
        count = unsure[0] if unsure else len(drafts.tokens)
        self.draft.cut(len(self.text) - 1 + count)
        return Drafts(drafts.tokens[:count], drafts.rows[:count], drafts.laws[:count])

    def report(self, now, drafts, rows, decided, laws):
        logits = {"draft_logits": drafts.rows, "target_logits": decided}
        now.drafted(drafts.tokens, asked=self.depth, **logits)


class Padded(Confident):
    """Fills up with -1 what it didn't draft, as engines of fixed shape do."""

    def report(self, now, drafts, rows, decided, laws):
        short = self.depth - len(drafts.tokens)
        pad = torch.zeros(short, self.vocabulary)
        now.drafted(
            [*drafts.tokens, *[-1] * short],
            draft_logits=torch.cat([drafts.rows, pad]),
            target_logits=torch.cat([decided, pad]),
        )
