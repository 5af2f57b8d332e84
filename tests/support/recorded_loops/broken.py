"""Loops with a bug: each must be accused, so that sparing the sound ones is no excuse for these."""

import torch

from recorded_loops.batches import BatchOfTwo, Padded
from recorded_loops.drafts import SAMPLED
from recorded_loops.plain import PlainLoop, law
from recorded_loops.processors import GrammarMask, PresencePenalty
from recorded_loops.reports import AsLaws
from recorded_loops.rounds import FeedsLastDraft, Replays


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


class SeesPads(Padded):
    """The padding before a prompt is not masked out."""

    def attention_mask(self):
        firsts = [each.index(1) for each in self.mask]
        rows = [[1] * first + each[first:] for first, each in zip(firsts, self.mask, strict=True)]
        return torch.tensor(rows)


class BatchSeesPads(BatchOfTwo):
    """The shorter prompt of a batch reads its padding."""

    expected = frozenset({"target-state-drifts"})
    store = SeesPads


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


class FeedsLastDraftFromAHole(FeedsLastDraft):
    """Feeds its draft once more by design, and not the middle of the prompt: the fault is that."""

    expected = frozenset({"draft-state-drifts"})

    def begin(self, prompt):
        super().begin(prompt)
        self.draft.cut(0)
        self.draft.feed(prompt[:40] + prompt[36:40] + prompt[44:-1])


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


class GreedyBroken(PlainLoop):
    """A greedy accept step that takes other rows than its own."""

    temperatures = (0.0,)
    expected = frozenset({"output-not-greedy"})
    told = ""
    """What the diagnosis says."""

    def judge_row(self, place, count):
        """Return the row by which a draft is judged, of `count` drafts."""
        return place

    def final_row(self, accepted, count):
        """Return the row that gives the token after the accepted drafts."""
        return self.judge_row(accepted, count)

    def judge(self, drafts, laws):
        best, count = laws.argmax(-1).tolist(), len(drafts.tokens)
        for place, token in enumerate(drafts.tokens):
            if token != best[self.judge_row(place, count)]:
                return place, best[self.final_row(place, count)]
        return count, best[self.final_row(count, count)]


class RowsTooLate(GreedyBroken):
    """Draft i is compared with row i + 1, and the correction is taken from there."""

    told = "verify rows are sliced one too late"

    def judge_row(self, place, count):
        return min(place + 1, count)


class RowsTooLateAsLaws(RowsTooLate, AsLaws):
    """The same, recorded by laws."""


class RowsTooEarly(GreedyBroken):
    """Draft i is compared with row i - 1, the first with the last row."""

    told = "verify rows are sliced one too early"

    def judge_row(self, place, count):
        return place - 1 if place else count


class RowsTooEarlyButTheFirst(GreedyBroken):
    """Draft i is compared with row i - 1, the first with its own."""

    told = "verify rows are sliced one too early"

    def judge_row(self, place, count):
        return max(place - 1, 0)


class CorrectionFromRowAfter(GreedyBroken):
    """Drafts are judged by their own rows; the correction comes from the row after."""

    told = "the correction is taken from the row after the rejected draft"

    def final_row(self, accepted, count):
        return min(accepted + 1, count)


class CorrectionFromRowBefore(GreedyBroken):
    """The correction comes from the row before the rejected draft's."""

    told = "the correction is taken one row too early"

    def final_row(self, accepted, count):
        return accepted if accepted == count else max(accepted - 1, 0)


class BonusFromRowBefore(GreedyBroken):
    """The bonus is the answer before the last draft, which is that draft again."""

    told = "the bonus is taken one row too early"

    def final_row(self, accepted, count):
        return accepted - 1 if accepted == count else accepted


class StaleSeed(PlainLoop):
    """Each third round drafts nothing, and the next one feeds the last token but one."""

    expected = frozenset({"target-state-drifts"})
    idle = False
    """Whether the last round drafted nothing."""

    def begin(self, prompt):
        super().begin(prompt)
        self.idle = False

    def choose_depth(self):
        return 0 if self.rounds % 3 == 2 else self.depth

    def verify(self, tokens):
        seed, self.idle = self.text[-2 if self.idle else -1], not tokens
        return self.target.feed([seed, *tokens])


class WrongRequests(PlainLoop):
    """Two requests begin with the prompt of another."""

    expected = frozenset({"target-state-drifts"})
    wrong = (2, 3)

    def prompt(self, number):
        self.number = number
        return super().prompt(number)

    def begin(self, prompt):
        super().begin(prompt)
        if self.number in self.wrong:
            self.target.cut(0)
            self.target.feed(prompt[::-1][:-1])


class WrongReplay(Replays):
    """An undone round leaves a wrong token in the restored cache."""

    expected = frozenset({"target-state-drifts"})

    def cut(self, tokens, accepted):
        super().cut(tokens, accepted)
        if self.stood:
            self.target.cut(len(self.text) - 2)
            self.target.feed(self.text[-1:])


class SlicedTooLate(PlainLoop):
    """The rows that are used and recorded are those behind each draft; the last comes twice."""

    expected = frozenset({"target-state-drifts"})
    told = "verify rows are sliced one too late"

    def verify(self, tokens):
        rows = super().verify(tokens)
        return torch.cat([rows[1:], rows[-1:]])


class SlicedTooEarly(PlainLoop):
    """Feeds the last two tokens with the drafts, and cuts off the last row, not the first."""

    expected = frozenset({"target-state-drifts"})
    told = "verify rows are sliced one too early"

    def verify(self, tokens):
        self.target.cut(len(self.text) - 2)
        return self.target.feed([*self.text[self.target.length :], *tokens])[: len(tokens) + 1]


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
