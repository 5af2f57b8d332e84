"""Sound loops whose target decides by other rows than its raw ones."""

import itertools

import torch

from recorded_loops.plain import PlainLoop

NEVER = float("-inf")


class GrammarMask(PlainLoop):
    """Only ids of the other parity may follow."""

    def process(self, row, text):
        row[torch.arange(len(row)) % 2 == text[-1] % 2] = NEVER
        return row


class NarrowMask(PlainLoop):
    """A format that leaves three ids, and only one after every tenth token."""

    def process(self, row, text):
        best = row.topk(1 if len(text) % 10 == 0 else 3).indices
        return keep_only(row, best)


class PresencePenalty(PlainLoop):
    """Takes a constant off the ids that were emitted."""

    def process(self, row, text):
        row[list(set(text[self.start :]))] -= 1.5
        return row


class FrequencyPenalty(PlainLoop):
    """Takes more off an id the oftener it was emitted."""

    def process(self, row, text):
        ids, counts = torch.tensor(text[self.start :], dtype=torch.int64).unique(return_counts=True)
        row[ids] -= 0.4 * counts
        return row


class RepetitionPenalty(PlainLoop):
    """Makes all ids of the text less likely, those of the prompt too (arXiv 1909.05858)."""

    def process(self, row, text):
        ids = list(set(text))
        row[ids] = torch.where(row[ids] > 0, row[ids] / 1.3, row[ids] * 1.3)
        return row


class MinP(PlainLoop):
    """Keeps ids at least a twentieth as likely as the likeliest."""

    def process(self, row, text):
        probs = row.softmax(-1)
        row[probs < 0.05 * probs.max()] = NEVER
        return row


class Typical(PlainLoop):
    """Keeps the ids whose surprise is nearest the entropy (arXiv 2202.00666)."""

    def process(self, row, text):
        probs, logs = row.softmax(-1), row.log_softmax(-1)
        order = (-logs + (probs * logs).sum()).abs().argsort()
        return keep_only(row, order[: int((probs[order].cumsum(0) < 0.9).sum()) + 1])


class LogitBias(PlainLoop):
    """Raises two ids and lowers two others, always the same ones."""

    def process(self, row, text):
        row[[11, 37]] += 2.0
        row[[262, 301]] -= 3.0
        return row


class BadWords(PlainLoop):
    """Forbids some ids."""

    def process(self, row, text):
        row[[13, 44, 262, 290, 318]] = NEVER
        return row


class NoRepeatedPairs(PlainLoop):
    """Forbids every pair of ids that the text has already."""

    def process(self, row, text):
        row[[after for one, after in itertools.pairwise(text) if one == text[-1]]] = NEVER
        return row


class OwnTemperature(PlainLoop):
    """Sharpens every third place: a processor of one's own."""

    def process(self, row, text):
        return row * 1.4 if len(text) % 3 == 0 else row


class Softcap(PlainLoop):
    """Caps large logits by a curve: no difference to the raw row is constant."""

    def process(self, row, text):
        return 8.0 * torch.tanh(row / 8.0)


class ForcedEnding(PlainLoop):
    """Forbids the stop token until twenty tokens came, and raises it afterwards."""

    def process(self, row, text):
        row[0] = NEVER if len(text) - self.start < 20 else row[0] + 1.0
        return row


class SuppressedStart(PlainLoop):
    """Forbids two ids at a burst's first place alone."""

    def process(self, row, text):
        if len(text) == self.start:
            row[[220, 198]] = NEVER
        return row


class HalfPenalty(PresencePenalty):
    """Both models compute in float16, and so are the rows that the penalty leaves."""

    dtype = torch.float16

    def verify(self, tokens):
        return super().verify(tokens).half()


class Bfloat16Penalty(PresencePenalty):
    """Both models compute in bfloat16, and the loop widens their rows before the penalty."""

    dtype = torch.bfloat16


class Bfloat16Mask(GrammarMask):
    """Both models compute in bfloat16, and the loop widens their rows before the mask."""

    dtype = torch.bfloat16


class Bfloat16Softcap(Softcap):
    """Both models compute in bfloat16, and the loop widens their rows before the cap."""

    dtype = torch.bfloat16


def keep_only(row, ids):
    """Return the row [vocab] with all other ids ruled out."""
    kept = row[ids].clone()
    row[:] = NEVER
    row[ids] = kept
    return row
