"""Sound loops that record rows as their warpers leave them, or draft by a law of their own."""

import torch
from transformers import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

from recorded_loops.drafts import SAMPLED
from recorded_loops.plain import PlainLoop, law
from recorded_loops.processors import PresencePenalty


class DividedRows(PlainLoop):
    """Divides its rows by the temperature, makes laws of them and records them."""

    temperatures = SAMPLED

    def report(self, now, drafts, rows, decided, laws):
        each = {"draft_logits": drafts.rows, "target_logits": decided}
        now.drafted(drafts.tokens, **{name: row / self.temperature for name, row in each.items()})


class DividedTarget(PlainLoop):
    """Records the target's rows divided by the temperature, and the draft's raw."""

    temperatures = SAMPLED

    def report(self, now, drafts, rows, decided, laws):
        target = decided / self.temperature
        now.drafted(drafts.tokens, draft_logits=drafts.rows, target_logits=target)


class DividedPenalty(DividedRows, PresencePenalty):
    """A penalty comes first."""


class Bfloat16DividedRows(DividedRows):
    """Both models compute in bfloat16."""

    dtype = torch.bfloat16


class WarpedRows(PlainLoop):
    """Records what the warpers of Hugging Face return: divided, and -inf outside of the filters."""

    temperatures = SAMPLED
    warped = ("draft", "target")

    def settings(self):
        return super().settings() | {"top_k": 40, "top_p": 0.9}

    def warp(self, rows):
        if self.temperature != 1:
            rows = TemperatureLogitsWarper(self.temperature)(None, rows)
        return TopPLogitsWarper(0.9)(None, TopKLogitsWarper(40)(None, rows))

    def law(self, rows):
        return self.warp(rows).double().softmax(-1)

    def draft_law(self, row):
        return self.law(row[None])[0]

    def report(self, now, drafts, rows, decided, laws):
        given = {"draft": drafts.rows, "target": decided}
        rows = {
            f"{whose}_logits": self.warp(each) if whose in self.warped and len(each) else each
            for whose, each in given.items()
        }
        now.drafted(drafts.tokens, **rows)


class RawRowsOfWarped(WarpedRows):
    """Decides by warped rows, and records raw ones."""

    warped = ()


class WarpedTarget(WarpedRows):
    """Records the target's warped rows beside the draft's raw ones."""

    warped = ("target",)


class WarpedPenalty(WarpedRows, PresencePenalty):
    """A penalty comes before the warpers."""


class TightlyWarpedRows(WarpedRows):
    """Most rows are left with an id or two: nothing tells how they were made."""

    def settings(self):
        return super().settings() | {"top_k": 2, "top_p": 0.9}

    def warp(self, rows):
        if self.temperature != 1:
            rows = TemperatureLogitsWarper(self.temperature)(None, rows)
        return TopPLogitsWarper(0.9)(None, TopKLogitsWarper(2)(None, rows))


class WarpedRowsOfNames(WarpedRows):
    """Nothing can be recomputed, so nothing says how the rows were made."""

    def settings(self):
        return super().settings() | {"target": "my-target", "draft": "my-draft"}


class DeclaredCoolerDraft(PlainLoop):
    """The draft has a temperature of its own; its raw rows are recorded, and the temperature."""

    temperatures = SAMPLED
    cooler = 0.6

    def settings(self):
        return super().settings() | {"draft_temperature": self.cooler * self.temperature}

    def draft_law(self, row):
        return law(row, self.cooler * self.temperature)


class DividedCoolerDraft(DeclaredCoolerDraft):
    """Its rows are recorded divided by that temperature."""

    def report(self, now, drafts, rows, decided, laws):
        own = drafts.rows / (self.cooler * self.temperature)
        now.drafted(drafts.tokens, draft_logits=own, target_logits=decided)


class DeclaredFirstChoices(DeclaredCoolerDraft):
    """The draft takes its first choice, and is judged with all mass on it."""

    cooler = 0.0


class DeclaredFilteredDraft(PlainLoop):
    """The draft draws from its five likeliest ids; its raw rows are recorded, and the filter."""

    temperatures = SAMPLED

    def settings(self):
        return super().settings() | {"draft_top_k": 5}

    def process_draft(self, row, text):
        return row.masked_fill(row < row.topk(5).values[-1], float("-inf"))


class DrawnDraftAtZero(PlainLoop):
    """The draft draws though the target takes its first choice."""

    temperatures = (0.0,)

    def settings(self):
        return super().settings() | {"draft_temperature": 0.7}

    def draft_law(self, row):
        return law(row, 0.7)

    def judge(self, drafts, laws):
        best = laws.argmax(-1).tolist()
        wrong = [place for place, each in enumerate(drafts.tokens) if each != best[place]]
        count = wrong[0] if wrong else len(drafts.tokens)
        return count, best[count]


class PlainLaws(PlainLoop):
    """Records the softmax of raw rows, and applies the temperature later."""

    temperatures = SAMPLED

    def report(self, now, drafts, rows, decided, laws):
        now.drafted(drafts.tokens, draft_probs=drafts.laws, target_probs=decided.softmax(-1))


class DividedInSomeRounds(PlainLoop):
    """Records divided rows in every second round: its decisions are right, its recording is not."""

    temperatures = (0.7,)

    def report(self, now, drafts, rows, decided, laws):
        divisor = self.temperature if self.rounds % 2 else 1.0
        own, target = drafts.rows / divisor, decided / divisor
        now.drafted(drafts.tokens, draft_logits=own, target_logits=target)
