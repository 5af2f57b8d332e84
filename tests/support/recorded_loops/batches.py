"""Sound loops that verify several requests in one forward, padded to one length."""

from contextlib import ExitStack
from dataclasses import dataclass

import torch
from transformers import DynamicCache

import specprof
from recorded_loops.decoding import cache_keyword
from recorded_loops.plain import BURSTS, NEW_TOKENS, Drafts, PlainLoop

PAD = 0


class Padded:
    """A model and one cache of several sequences: what is padded or rejected is masked out."""

    def __init__(self, model, count):
        self.model = model
        self.cache = DynamicCache(config=model.config)
        self.mask = [[] for _ in range(count)]

    def length(self, number):
        """Tokens of a sequence in the cache."""
        return sum(self.mask[number])

    def feed(self, fed):
        """Feed each sequence its tokens, padded on the left; return [n, vocab] rows of each."""
        width = max(map(len, fed))
        ids, places = [], []
        for number, tokens in enumerate(fed):
            pads = width - len(tokens)
            start = self.length(number)
            ids.append([PAD] * pads + tokens)
            places.append([0] * pads + list(range(start, start + len(tokens))))
            self.mask[number] += [0] * pads + [1] * len(tokens)
        rows = self.model(
            torch.tensor(ids),
            attention_mask=self.attention_mask(),
            position_ids=torch.tensor(places),
            **{cache_keyword(self.model): self.cache},
        ).logits.float()
        return [row[width - len(tokens) :] for row, tokens in zip(rows, fed, strict=True)]

    def attention_mask(self):
        """Return [sequences, cached]."""
        return torch.tensor(self.mask)

    def cut(self, number, length):
        """Mask a sequence's tokens behind so many out."""
        places = [place for place, held in enumerate(self.mask[number]) if held]
        for place in places[length:]:
            self.mask[number][place] = 0


@dataclass
class Lane:
    """A sequence of the batch."""

    number: int
    text: list
    limit: int
    burst: object = None
    drafts: Drafts = None

    @property
    def ended(self):
        return len(self.text) >= self.limit


class BatchOfTwo(PlainLoop):
    """Two prompts of unlike length, in one forward of each model."""

    size = 2
    store = Padded

    def settings(self):
        return super().settings() | {"batch": self.size}

    @torch.inference_mode()
    def play(self, path, bursts=BURSTS, new=NEW_TOKENS):
        with specprof.record(path, **self.settings()) as log:
            for first in range(0, bursts, self.size):
                numbers = range(first, min(first + self.size, bursts))
                self.play_batch(
                    log, [self.open(number, place, new) for place, number in enumerate(numbers)]
                )

    def open(self, number, place, new):
        """Return a sequence; each prompt is a few tokens shorter than the one before."""
        text = self.prompt(number)[5 * place :]
        return Lane(place, text, len(text) + self.new_tokens(place, new))

    def new_tokens(self, place, new):
        """Return how many tokens a sequence gets."""
        return new

    def play_batch(self, log, lanes):
        """Decode until every sequence has its tokens."""
        self.begin_batch(lanes)
        with ExitStack() as opened:
            for lane in lanes:
                burst = log.burst(list(lane.text), request=lane.number)
                lane.burst = opened.enter_context(burst)
            while going := [lane for lane in lanes if not lane.ended]:
                with log.step() as step:
                    self.step(step, lanes, going)
                self.rounds += len(going)

    def begin_batch(self, lanes):
        """Feed all of the prompts but their last tokens to both models."""
        self.target, self.draft = (
            self.store(model, len(lanes)) for model in (self.target_model, self.draft_model)
        )
        for each in (self.target, self.draft):
            each.feed([lane.text[:-1] for lane in lanes])

    def step(self, step, lanes, going):
        """Play a round of every sequence that still decodes."""
        with step.span("draft"):
            self.propose_all(lanes, going)
        with step.span("verify"):
            rows = self.target.feed(
                [
                    self.due(self.target, each, going) + each.drafts.tokens * (each in going)
                    for each in lanes
                ]
            )
        for lane in going:
            with step.span("accept"):
                decided = rows[lane.number][-self.depth - 1 :]
                accepted, final = self.judge(lane.drafts, self.law(decided))
            tokens = lane.drafts.tokens
            emitted = [*tokens[:accepted], final]
            lane.text += emitted
            for each in (self.target, self.draft):
                each.cut(lane.number, len(lane.text) - 1)
            self.report_round(step.round(lane.burst), lane, decided, accepted, emitted)

    def due(self, store, lane, going):
        """Return a sequence's tokens that a model has not been fed yet."""
        return lane.text[store.length(lane.number) :] if lane in going else []

    def propose_all(self, lanes, going):
        """Draft for every sequence at once, token by token."""
        made = {each.number: ([], [], []) for each in going}
        fed = [self.due(self.draft, each, going) for each in lanes]
        for _ in range(self.depth):
            rows = self.draft.feed(fed)
            for number, (tokens, seen, laws) in made.items():
                seen.append(rows[number][-1])
                laws.append(self.draft_law(seen[-1]))
                tokens.append(self.draw(laws[-1]))
                fed[number] = tokens[-1:]
        for each in going:
            tokens, seen, laws = made[each.number]
            each.drafts = Drafts(tokens, torch.stack(seen), torch.stack(laws))

    def report_round(self, now, lane, decided, accepted, emitted):
        """Record a sequence's round of the step."""
        drafts, number = lane.drafts, lane.number
        now.drafted(drafts.tokens, draft_logits=drafts.rows, target_logits=decided)
        now.verdict(accepted, emitted)
        now.lengths(target=self.target.length(number), draft=self.draft.length(number))
        now.forwards(target=1, draft=self.depth)


class BatchOfThreeOneEarly(BatchOfTwo):
    """Three prompts; one has its tokens early, and its rows are idle from there on."""

    size = 3

    def new_tokens(self, place, new):
        return new // 3 if place == 1 else new
