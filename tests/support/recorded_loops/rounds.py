"""Sound loops that end, feed, cut or undo their rounds in a way of their own."""

import torch

from recorded_loops.plain import Drafts, PlainLoop
from recorded_loops.reports import AsLaws

STOP = 13
"""An id that comes often enough to end a text."""
LIMIT = 48
"""New tokens of a burst."""


class StopInside(PlainLoop):
    """Cuts a round behind an accepted stop token, once all its drafts were judged."""

    def settings(self):
        return super().settings() | {"stop": [STOP]}

    def emit(self, tokens, accepted, final):
        found = [*tokens[:accepted], final]
        return found[: found.index(STOP) + 1] if STOP in found else found

    def ended(self, new):
        return super().ended(new) or STOP in self.text[self.start :]


class StopJudging(StopInside):
    """Judges nothing behind an accepted stop token, and draws nothing there."""

    def judge(self, drafts, laws):
        if STOP not in drafts.tokens:
            return super().judge(drafts, laws)
        count = drafts.tokens.index(STOP) + 1
        some = Drafts(drafts.tokens[:count], drafts.rows[:count], drafts.laws[:count])
        accepted, final = super().judge(some, laws)
        return accepted, STOP if accepted == count else final


class LimitInside(PlainLoop):
    """Cuts the last round at the limit of new tokens."""

    def settings(self):
        return super().settings() | {"max_new_tokens": LIMIT}

    def emit(self, tokens, accepted, final):
        left = self.start + LIMIT - len(self.text)
        return super().emit(tokens, accepted, final)[:left]


class FeedsLastDraft(PlainLoop):
    """The draft is fed its last token too: after an all-accepted round its cache is one longer."""

    def propose(self):
        drafts = super().propose()
        if drafts.tokens:
            self.draft.feed(drafts.tokens[-1:])
        return drafts


class LengthsBefore(PlainLoop):
    """Reports how long the caches were when the round began."""

    def propose(self):
        self.before = self.target.length, self.draft.length
        return super().propose()

    def report_costs(self, now, drafts):
        now.lengths(target=self.before[0], draft=self.before[1])


class OneLonger(PlainLoop):
    """Counts the token that is to be fed next, all along."""

    def report_costs(self, now, drafts):
        now.lengths(target=self.target.length + 1, draft=self.draft.length + 1)


class OneShorter(PlainLoop):
    """Keeps the target's cache one short and feeds two tokens, all along."""

    def begin(self, prompt):
        super().begin(prompt)
        self.target.cut(len(prompt) - 2)

    def cut(self, tokens, accepted):
        super().cut(tokens, accepted)
        self.target.cut(len(self.text) - 2)


class NoCaches(PlainLoop):
    """Computes every row anew, and reports no lengths."""

    def propose(self):
        self.draft.cut(0)
        return super().propose()

    def verify(self, tokens):
        self.target.cut(0)
        return super().verify(tokens)

    def report_costs(self, now, drafts):
        pass


class VerifiesTwice(PlainLoop):
    """Runs the target a second time after a rejection, to fill its cache anew."""

    def cut(self, tokens, accepted):
        self.passes = 1
        if accepted < len(tokens):
            self.target.cut(len(self.text) - 2 - accepted)
            self.target.feed(self.text[self.target.length : -1])
            self.passes = 2
        super().cut(tokens, accepted)

    def report_costs(self, now, drafts):
        now.forwards(target=self.passes, draft=len(drafts.tokens))


class Replays(PlainLoop):
    """A cache that can't be cut: a partly accepted round is undone and commits nothing.

    The next round verifies what stood again, and commits it with the correction.
    """

    stood = None
    correction = 0

    def propose(self):
        if self.stood is None:
            return super().propose()
        fed = [*self.text[self.draft.length :], *self.stood.tokens[:-1]]
        if fed and self.stood.tokens:
            self.draft.feed(fed)
        return self.stood

    def judge(self, drafts, laws):
        if self.stood is None:
            return super().judge(drafts, laws)
        return len(drafts.tokens), self.correction

    def emit(self, tokens, accepted, final):
        self.undoes = self.stood is None and self.is_undone(tokens, accepted)
        self.correction = final
        return [] if self.undoes else super().emit(tokens, accepted, final)

    def is_undone(self, tokens, accepted):
        """Return whether such a round must be played again."""
        return 0 < accepted < len(tokens)

    def report(self, now, drafts, rows, decided, laws):
        super().report(now, drafts, rows, decided, laws)
        self.drafts = drafts

    def conclude(self, now, accepted, emitted):
        super().conclude(now, accepted, emitted)
        self.stood = self.keep(accepted) if self.undoes else None

    def keep(self, accepted):
        """Return the drafts that the next round verifies again."""
        return Drafts(*(each[:accepted] for each in vars(self.drafts).values()))


class ReplaysUnsaid(Replays):
    """The undone round is recorded as if nothing had stood."""

    def conclude(self, now, accepted, emitted):
        now.verdict(0 if self.undoes else accepted, emitted)
        self.stood = self.keep(accepted) if self.undoes else None


class ReplaysEveryRejection(Replays):
    """A round is undone even if nothing stood: the next one drafts nothing."""

    def is_undone(self, tokens, accepted):
        return accepted < len(tokens)


class ReplaysCorrection(ReplaysEveryRejection):
    """The correction is verified again too, as the last draft; a bonus follows it."""

    def keep(self, accepted):
        return Drafts(
            [*self.drafts.tokens[:accepted], self.correction],
            self.drafts.rows[: accepted + 1],
            self.drafts.laws[: accepted + 1],
        )

    def judge(self, drafts, laws):
        if self.stood is None:
            return PlainLoop.judge(self, drafts, laws)
        return len(drafts.tokens), self.draw(laws[-1])


class ReplaysAsLaws(Replays, AsLaws):
    """The same, recorded by the laws of both models."""


class Bfloat16(PlainLoop):
    """Both models compute in bfloat16, and so does the recheck."""

    dtype = torch.bfloat16
