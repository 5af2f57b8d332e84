"""Sound loops of rarer kinds: shared noise, watermarks, guidance, windows, mixed ways to draft."""

import torch
from transformers import AutoTokenizer

from recorded_loops.decoding import PAIR, Cached
from recorded_loops.drafts import SAMPLED, Lookup
from recorded_loops.plain import PlainLoop
from recorded_loops.processors import NEVER
from recorded_loops.reports import AsLaws
from specprof import pocket

WINDOW = 64
"""Tokens that a windowed target looks back."""


class SharedNoise(PlainLoop):
    """Both models draw by the noise of the place, and a draft stands if the draws are equal.

    A place's noise is fresh, so the target's draw has the target's law, whatever was drafted.
    """

    temperatures = SAMPLED

    def settings(self):
        return super().settings() | {"acceptance": "exact-match"}

    def begin(self, prompt):
        super().begin(prompt)
        self.noises = {}

    def process_draft(self, row, text):
        self.place = len(text)
        return row

    def draw(self, weights):
        if self.place not in self.noises:
            uniform = torch.rand(self.vocabulary, generator=self.random, dtype=torch.float64)
            self.noises[self.place] = -uniform.log()
        return int((weights / self.noises[self.place]).argmax())

    def judge(self, drafts, laws):
        for place, token in enumerate(drafts.tokens):
            self.place = len(self.text) + place
            drawn = self.draw(laws[place])
            if drawn != token:
                return place, drawn
        self.place = len(self.text) + len(drafts.tokens)
        return len(drafts.tokens), self.draw(laws[-1])


class OneUniform(PlainLoop):
    """What a rejecting coin leaves is uniform again, and draws the correction."""

    temperatures = SAMPLED

    def judge(self, drafts, laws):
        for place, token in enumerate(drafts.tokens):
            ratio = float(laws[place, token] / drafts.laws[place, token])
            coin = self.flip_coin()
            if coin >= ratio:
                left = (laws[place] - drafts.laws[place]).clamp(min=0).cumsum(0)
                passed = left <= left[-1] * (coin - ratio) / (1 - ratio)
                return place, min(int(passed.sum()), self.vocabulary - 1)
        return len(drafts.tokens), self.draw(laws[-1])


class FewIds(Cached):
    """A draft that lacks every fourth id, and reads another in its place."""

    def feed(self, tokens):
        rows = super().feed([0 if each % 4 == 1 else each for each in tokens])
        return rows.masked_fill(torch.arange(rows.shape[-1]) % 4 == 1, NEVER)


class SmallVocabulary(PlainLoop):
    """The draft knows fewer ids than the target; the others have no probability."""

    def settings(self):
        return super().settings() | {"draft": lambda ids: FewIds(self.draft_model).feed(ids)}

    def begin(self, prompt):
        super().begin(prompt)
        self.draft = FewIds(self.draft_model)
        self.draft.feed(prompt[:-1])


class SmallVocabularyAsLaws(SmallVocabulary, AsLaws):
    """Records the laws of both models."""


class Watermark(PlainLoop):
    """Raises half of the ids, chosen by the token before them (arXiv 2301.10226)."""

    def process(self, row, text):
        order = torch.randperm(len(row), generator=torch.Generator().manual_seed(text[-1]))
        row[order[: len(row) // 2]] += 2.0
        return row


class Bfloat16Watermark(Watermark):
    """Both models compute in bfloat16, and the loop widens their rows before the watermark."""

    dtype = torch.bfloat16


class Guided(PlainLoop):
    """Moves each row away from one without the prompt (arXiv 2306.17806), and declares that."""

    def settings(self):
        return super().settings() | {"processor": lambda ids, row: self.process(row, ids)}

    @torch.inference_mode()
    def process(self, row, text):
        bare = Cached(self.target_model).feed(text[self.start - 1 :])[-1].log_softmax(-1)
        return bare + 1.5 * (row.log_softmax(-1) - bare)


class Windowed:
    """A model that reads the last tokens alone, and keeps no cache."""

    def __init__(self, model):
        self.model, self.text = model, []

    @property
    def length(self):
        """Tokens that were fed and not cut."""
        return len(self.text)

    @torch.inference_mode()
    def feed(self, tokens):
        """Return [n, vocab] raw logits behind each of these tokens."""
        ends = range(len(self.text) + 1, len(self.text) + len(tokens) + 1)
        self.text += tokens
        short = [Cached(self.model).feed(self.text[:end])[-1] for end in ends if end <= WINDOW]
        full = [self.text[end - WINDOW : end] for end in ends if end > WINDOW]
        rows = self.model(torch.tensor(full)).logits[:, -1].float() if full else []
        return torch.stack([*short, *rows])

    def cut(self, length):
        """Keep so many tokens."""
        self.text = self.text[:length]


class WindowedTarget(PlainLoop):
    """The target is one that sees a window of the text, and is declared as a function."""

    def settings(self):
        return super().settings() | {"target": lambda ids: Windowed(self.target_model).feed(ids)}

    def begin(self, prompt):
        super().begin(prompt)
        self.target = Windowed(self.target_model)
        self.target.feed(prompt[:-1])

    def report_costs(self, now, drafts):
        now.lengths(target=WINDOW, draft=self.draft.length)


class StopWords(PlainLoop):
    """Ends where the text holds a word, and drops what the last round has of it."""

    word = " the"

    def begin(self, prompt):
        super().begin(prompt)
        self.over = False
        self.tokenizer = AutoTokenizer.from_pretrained(pocket.folder(PAIR[0]))

    def emit(self, tokens, accepted, final):
        found = super().emit(tokens, accepted, final)
        for count in range(len(found)):
            if self.word in self.tokenizer.decode(self.text[self.start :] + found[: count + 1]):
                self.over = True
                return found[:count]
        return found

    def ended(self, new):
        return super().ended(new) or self.over


class Alternates(PlainLoop):
    """Looks its drafts up in every second round, and draws them in the others."""

    def propose(self):
        return Lookup.propose(self) if self.rounds % 2 else super().propose()

    def report(self, now, drafts, rows, decided, laws):
        if self.rounds % 2:
            now.drafted(drafts.tokens, target_logits=decided, certain=True)
        else:
            super().report(now, drafts, rows, decided, laws)


class JumpsInRounds(PlainLoop):
    """A grammar allows one id in every tenth place: it is committed without a forward pass."""

    forced = 220

    def process(self, row, text):
        if len(text) % 10 == 0:
            row[torch.arange(len(row)) != self.forced] = NEVER
        return row

    def round(self, now):
        if len(self.text) % 10:
            super().round(now)
            return
        now.verdict(0, [self.forced])
        now.forwards(target=0)
        self.text.append(self.forced)


class OnePrompt(PlainLoop):
    """Answers one prompt again and again."""

    def prompt(self, number):
        return super().prompt(0)
