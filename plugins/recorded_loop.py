"""An example of recording your own loop: two Hugging Face models and thirty lines of decoding.

    python plugins/recorded_loop.py run.jsonl && specprof diagnose run.jsonl
    python plugins/recorded_loop.py run.jsonl --bug draft-keeps-rejected

The loop is written as it would be without specprof. The lines that begin with `now.` record what
happens. `--bug` breaks the loop on purpose, as loops in public repositories were broken.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, DynamicCache

import specprof
from specprof import pocket
from specprof.engine.releases import with_cache
from specprof.pocket.corpus import held_out_text
from specprof.recording import Log

BUGS = ("draft-keeps-rejected", "correction-from-target")
"""Rejected tokens stay in the draft's cache; corrections are drawn from the target's whole law."""


class Cached:
    """A model and what it has read; a rollback forgets the newest tokens."""

    def __init__(self, model: torch.nn.Module) -> None:
        self.model = model
        self.cache = DynamicCache(config=model.config)

    @property
    def length(self) -> int:
        """Tokens read and not forgotten."""
        return int(self.cache.get_seq_length())

    def feed(self, tokens: Sequence[int]) -> torch.Tensor:
        """Return [n, vocab] raw logits, one row after each of the [n] tokens."""
        fed = torch.tensor([list(tokens)])
        logits: torch.Tensor = self.model(fed, **with_cache(self.model, self.cache)).logits[0]
        return logits

    def rollback(self, length: int) -> None:
        """Keep the first `length` tokens."""
        if length < self.length:
            self.cache.crop(length - self.length)


def draw(weights: torch.Tensor) -> int:
    """Draw a token by [vocab] weights."""
    return int(torch.multinomial(weights, 1))


def propose(draft: Cached, text: list[int], depth: int) -> tuple[list[int], torch.Tensor]:
    """Draft `depth` tokens after `text`; return them, and [depth, vocab] the logits drawn from."""
    fed = text[draft.length :] or text[-1:]  # if the cache holds too much, feed the last token
    tokens, rows = list[int](), list[torch.Tensor]()
    for _ in range(depth):
        rows.append(draft.feed(fed)[-1])
        tokens.append(draw(rows[-1].softmax(-1)))
        fed = tokens[-1:]
    return tokens, torch.stack(rows)


def judge(
    tokens: Sequence[int], draft: torch.Tensor, target: torch.Tensor, bug: str | None
) -> tuple[int, int]:
    """Return how many of [K] tokens are accepted, and the token after them.

    It is algorithm 1 of arXiv 2211.17192. draft: [K, vocab] and target: [K+1, vocab] are
    probabilities.
    """
    for place, token in enumerate(tokens):
        if torch.rand(()) >= target[place, token] / draft[place, token]:
            whole = bug == "correction-from-target"
            left = target[place] if whole else (target[place] - draft[place]).clamp(min=0)
            return place, draw(left)
    return len(tokens), draw(target[-1])


def decode(
    log: Log,
    target: Cached,
    draft: Cached,
    prompt: list[int],
    *,
    new: int,
    bug: str | None,
) -> list[int]:
    """Extend `prompt` by `new` tokens or a few more; return the whole text."""
    depth = log.settings.depth
    text = list(prompt)
    target.feed(text[:-1])
    draft.feed(text[:-1])
    while len(text) < len(prompt) + new:
        with log.round() as now:
            with now.span("draft"):
                tokens, draft_logits = propose(draft, text, depth)
            with now.span("verify"):
                target_logits = target.feed([text[-1], *tokens])
            now.drafted(tokens, draft_logits=draft_logits, target_logits=target_logits)
            with now.span("accept"):
                laws = draft_logits.softmax(-1), target_logits.softmax(-1)
                accepted, final = judge(tokens, *laws, bug)
                emitted = [*tokens[:accepted], final]
            now.verdict(accepted, emitted)
            with now.span("rollback"):
                text += emitted
                target.rollback(len(text) - 1)
                if bug != "draft-keeps-rejected":
                    draft.rollback(len(text) - 1)
            now.lengths(target=target.length, draft=draft.length)
            now.forwards(target=1, draft=depth)
    return text


@torch.inference_mode()
def run(path: Path, bug: str | None = None, *, bursts: int = 24, new: int = 48) -> None:
    """Decode from several places of the pocket family's held-out text, recorded at `path`."""
    torch.manual_seed(0)
    folders = [pocket.folder(f"pocket/{name}") for name in ("target", "draft")]
    models = [AutoModelForCausalLM.from_pretrained(folder).eval() for folder in folders]
    tokens = AutoTokenizer.from_pretrained(folders[0])(held_out_text()[:20_000])["input_ids"]
    target, draft = models
    with specprof.record(
        path, target=target, draft=draft, temperature=1.0, depth=4, engine=Path(__file__).name
    ) as log:
        for burst in range(bursts):
            prompt = tokens[burst * 64 : burst * 64 + 96]
            with log.burst(prompt):
                decode(log, Cached(target), Cached(draft), prompt, new=new, bug=bug)


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("path", type=Path, help="the capture to write")
    options.add_argument("--bug", choices=BUGS)
    asked = options.parse_args()
    run(asked.path, asked.bug)
