"""A speculative loop without specprof's engine: Markov tables, numpy, a few lines."""

import numpy as np

VOCABULARY = 12
_made = np.random.default_rng(7)
TARGET = _made.normal(size=(VOCABULARY, VOCABULARY)) * 1.5  # [vocab, vocab]
DRAFT = TARGET + _made.normal(size=(VOCABULARY, VOCABULARY))


def target(ids):
    """Return [n, vocab] logits of [n] ids, as a model without a cache does."""
    return TARGET[ids]


def draft(ids):
    return DRAFT[ids]


def softmax(logits):
    shifted = np.exp(logits - logits.max(-1, keepdims=True))
    return shifted / shifted.sum(-1, keepdims=True)


class Loop:
    """Proposes, verifies and judges; `judge` is exact speculative sampling."""

    def __init__(self, seed=0, depth=3):
        self.random = np.random.default_rng(seed)
        self.depth = depth

    def draw(self, weights):
        return int(self.random.choice(len(weights), p=weights / weights.sum()))

    def propose(self, text):
        """Return [K] tokens, and the [K, vocab] logits that they were drawn from."""
        last, tokens, rows = text[-1], [], []
        for _ in range(self.depth):
            rows.append(DRAFT[last])
            last = self.draw(softmax(rows[-1]))
            tokens.append(last)
        return tokens, np.stack(rows)

    def verify(self, text, tokens):
        """Return [K+1, vocab] logits."""
        return TARGET[[text[-1], *tokens]]

    def judge(self, tokens, draft_logits, target_logits):
        """Return the number of accepted tokens, and the token after them."""
        draft_probs, target_probs = softmax(draft_logits), softmax(target_logits)
        for place, token in enumerate(tokens):
            if self.random.random() >= target_probs[place, token] / draft_probs[place, token]:
                left = np.maximum(target_probs[place] - draft_probs[place], 0)
                return place, self.draw(left)
        return len(tokens), self.draw(target_probs[-1])


def play(log, loop, prompt, new):
    """Record a burst of at least `new` tokens; return the text."""
    with log.burst(prompt) as burst:
        while len(burst.committed) < len(prompt) + new:
            with log.round() as now:
                tokens, draft_logits = loop.propose(burst.committed)
                target_logits = loop.verify(burst.committed, tokens)
                now.drafted(tokens, draft_logits=draft_logits, target_logits=target_logits)
                accepted, final = loop.judge(tokens, draft_logits, target_logits)
                now.verdict(accepted, [*tokens[:accepted], final])
    return burst.committed
