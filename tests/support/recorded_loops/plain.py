"""The loop most people write: draft K, verify in one pass, judge by rejection, cut both caches."""

from dataclasses import dataclass

import torch

import specprof
from recorded_loops.decoding import Cached, models, prose

BURSTS, PROMPT_TOKENS, NEW_TOKENS = 6, 96, 48
STRIDE = 1_009
"""Tokens from one prompt to the next."""
LOOPED_TOKENS = 12
"""A looping prompt repeats so many."""


@dataclass
class Drafts:
    """What a round drafted."""

    tokens: list
    rows: torch.Tensor
    """[K, vocab]: the draft's raw logits."""
    laws: torch.Tensor
    """[K, vocab]: the law each token was drawn from."""


class PlainLoop:
    """Each step is a method of a few lines; a kind overrides one of them."""

    depth = 4
    dtype = torch.float32
    temperatures = (0.0, 0.7, 1.0)
    """Temperatures at which somebody would run this kind."""

    def __init__(self, temperature, seed, *, looping=False):
        """`looping`: the prompts repeat themselves."""
        self.temperature = temperature
        self.random = torch.Generator().manual_seed(seed)
        self.seed, self.looping = seed, looping
        self.target_model, self.draft_model = models(self.dtype)
        self.text, self.start, self.rounds = [], 0, 0

    # --- the walk ---------------------------------------------------------------------------

    @torch.inference_mode()
    def play(self, path, bursts=BURSTS, new=NEW_TOKENS):
        """Record the loop into `path`."""
        with specprof.record(path, **self.settings()) as log:
            for number in range(bursts):
                self.begin(self.prompt(number))
                with log.burst(list(self.text)):
                    while not self.ended(new):
                        with log.round() as now:
                            self.round(now)
                        self.rounds += 1

    def settings(self):
        """Return the arguments of `specprof.record`."""
        return {
            "target": self.target_model,
            "draft": self.draft_model,
            "temperature": self.temperature,
            "depth": self.depth,
        }

    def prompt(self, number):
        """Return a prompt's token ids."""
        start = (number + 7 * self.seed) * STRIDE % (len(prose()) - PROMPT_TOKENS)
        text = list(prose()[start : start + PROMPT_TOKENS])
        return text[:LOOPED_TOKENS] * (PROMPT_TOKENS // LOOPED_TOKENS) if self.looping else text

    def begin(self, prompt):
        """Feed all of the prompt but its last token to both models."""
        self.text, self.start = prompt, len(prompt)
        self.target, self.draft = Cached(self.target_model), Cached(self.draft_model)
        self.target.feed(prompt[:-1])
        self.draft.feed(prompt[:-1])

    def ended(self, new):
        """Return whether the burst has its tokens."""
        return len(self.text) >= self.start + new

    # --- a round ----------------------------------------------------------------------------

    def round(self, now):
        """Play one round, and record it."""
        with now.span("draft"):
            drafts = self.propose()
        with now.span("verify"):
            rows = self.verify(drafts.tokens)
        with now.span("accept"):
            decided = self.process_rows(rows, drafts.tokens)
            laws = self.law(decided)
            accepted, final = self.judge(drafts, laws)
        emitted = self.emit(drafts.tokens, accepted, final)
        self.report(now, drafts, rows, decided, laws)
        self.conclude(now, accepted, emitted)
        self.text += emitted
        with now.span("rollback"):
            self.cut(drafts.tokens, accepted)
        self.report_costs(now, drafts)

    def choose_depth(self):
        """Return how many tokens to draft."""
        return self.depth

    def propose(self):
        """Draft token by token."""
        tokens, rows, laws = [], [], []
        fed = self.text[self.draft.length :]
        for _ in range(self.choose_depth()):
            rows.append(self.draft.feed(fed)[-1])
            laws.append(self.draft_law(self.process_draft(rows[-1], self.text + tokens)))
            tokens.append(self.draw(laws[-1]))
            fed = tokens[-1:]
        none = torch.empty(0, self.vocabulary)
        return Drafts(tokens, *(torch.stack(each) if each else none for each in (rows, laws)))

    @property
    def vocabulary(self):
        """Ids of both models."""
        return self.target_model.config.vocab_size

    def verify(self, tokens):
        """Return [K+1, vocab] raw logits of the target."""
        return self.target.feed([*self.text[self.target.length :], *tokens])[-len(tokens) - 1 :]

    def process_rows(self, rows, tokens):
        """Return [K+1, vocab]: the rows that the target's laws are made of."""
        texts = [self.text + tokens[:place] for place in range(len(rows))]
        pairs = zip(rows, texts, strict=True)
        return torch.stack([self.process(row.clone(), text) for row, text in pairs])

    def process(self, row, text):
        """Return a target's row [vocab] as the processors leave it, behind `text`."""
        return row

    def process_draft(self, row, text):
        """Return a draft's row [vocab] as its processors leave it."""
        return row

    def law(self, rows):
        """Return [n, vocab]: the target's laws."""
        return law(rows, self.temperature)

    def draft_law(self, row):
        """Return [vocab]: the draft's law."""
        return law(row, self.temperature)

    def judge(self, drafts, laws):
        """Return how many drafts stand, and the token after them (arXiv 2211.17192)."""
        for place, token in enumerate(drafts.tokens):
            ratio = laws[place, token] / drafts.laws[place, token]
            if self.flip_coin() >= ratio:
                left = (laws[place] - drafts.laws[place]).clamp(min=0)
                return place, self.draw(left)
        return len(drafts.tokens), self.draw(laws[-1])

    def emit(self, tokens, accepted, final):
        """Return the tokens that the round commits."""
        return [*tokens[:accepted], final]

    def cut(self, tokens, accepted):
        """Leave both caches with all but the last committed token, or with what they have of it."""
        for each in (self.target, self.draft):
            each.cut(len(self.text) - 1)

    # --- what is recorded -------------------------------------------------------------------

    def report(self, now, drafts, rows, decided, laws):
        """Record the round's tokens, and the rows by which the loop decided."""
        now.drafted(drafts.tokens, draft_logits=drafts.rows, target_logits=decided)

    def conclude(self, now, accepted, emitted):
        """Record the round's outcome."""
        now.verdict(accepted, emitted)

    def report_costs(self, now, drafts):
        """Record lengths and forward passes."""
        now.lengths(target=self.target.length, draft=self.draft.length)
        now.forwards(target=1, draft=len(drafts.tokens))

    # --- chance -----------------------------------------------------------------------------

    def flip_coin(self):
        """Return a uniform number."""
        return float(torch.rand((), generator=self.random, dtype=torch.float64))

    def draw(self, weights):
        """Return an id drawn from [vocab] weights."""
        return int(torch.multinomial(weights, 1, generator=self.random))


def law(rows, temperature):
    """Return the softmax at a temperature; at 0 all mass on the first choice."""
    if temperature == 0:
        return torch.nn.functional.one_hot(rows.argmax(-1), rows.shape[-1]).double()
    return (rows.double() / temperature).softmax(-1)
