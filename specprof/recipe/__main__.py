"""Train the pocket family: ``python -m specprof.recipe --into FOLDER [--scale X]``.

Stages: a four-layer target, which is deepened to twelve layers and then trained at long range; then
both drafts, first on the text, then on the target's distributions (one target forward teaches
both).
"""

import argparse
from itertools import count
from pathlib import Path

import torch
from transformers import GPTNeoXForCausalLM as Model
from transformers import PreTrainedTokenizerFast

from specprof.pocket import corpus
from specprof.recipe.batches import Batches, scattered_positions, token_stream
from specprof.recipe.fit import fit
from specprof.recipe.losses import distance_from_target, logits_of, next_token_loss
from specprof.recipe.shapes import deepen, untrained_model
from specprof.recipe.tokenizer import train_tokenizer

SEED = 20_261_122
STAGE_STEPS = {"shallow": 1100, "deep": 900, "long": 260, "drafts": 800, "distil": 1800}
"""Steps at scale 1: they took 75 minutes on two CPU cores that did other work as well."""
LONG_SPAN = 20_480
LONG_SHARE = 0.6
DRAFTS = ("draft", "draft-small")


class Family:
    """The models in training, on one device, and the token stream they learn from."""

    def __init__(self, stream: torch.Tensor, device: str, scale: float) -> None:
        self.stream, self.device, self.scale = stream, device, scale
        self.seeds = count(SEED)
        self.text_loss = torch.compile(next_token_loss)
        self.target_distance = torch.compile(distance_from_target)

    def train_target(self) -> Model:
        """Return the target: shallow first, then deep, then at long range."""
        shallow = self.prepare(untrained_model("target", layers=4))
        self.train_on_text([shallow], "shallow", rows=16, length=256)
        deep = self.prepare(deepen(shallow, "target"))
        self.train_on_text([deep], "deep", rows=8, length=512, rate=0.6)
        self.train_long_range(deep)
        deep.eval().requires_grad_(requires_grad=False)
        return deep

    def train_drafts(self, target: Model) -> dict[str, Model]:
        """Return both drafts, trained on the text and then towards `target`."""
        drafts = {name: self.prepare(untrained_model(name)) for name in DRAFTS}
        self.train_on_text(list(drafts.values()), "drafts", rows=8, length=512)
        self.distil(target, list(drafts.values()))
        return drafts

    def prepare(self, model: Model) -> Model:
        """Move a model to the device and compile it by layer: one compilation serves all layers."""
        for layer in model.gpt_neox.layers:
            layer.compile()
        model.to(self.device).train()
        return model

    def windows(self, rows: int, length: int) -> Batches:
        """Return a fresh seeded sequence of windows."""
        return Batches(self.stream, rows, length, next(self.seeds))

    def train_on_text(
        self, models: list[Model], name: str, *, rows: int, length: int, rate: float = 1.0
    ) -> None:
        """Train on the text, to predict the next token."""

        def loss_of(tokens: torch.Tensor) -> torch.Tensor:
            labels = tokens.to(self.device)
            losses = [self.text_loss(logits_of(model, tokens), labels) for model in models]
            return torch.stack(losses).sum()

        fit(
            models,
            self.windows(rows, length),
            loss_of,
            steps=self.steps(name),
            name=name,
            rate=rate,
        )

    def train_long_range(self, target: Model) -> None:
        """Teach distances out to 20k: most samples get their positions scattered that far."""
        generator = torch.Generator().manual_seed(next(self.seeds))

        def loss_of(tokens: torch.Tensor) -> torch.Tensor:
            far = torch.rand((), generator=generator) < LONG_SHARE
            positions = scattered_positions(tokens.shape[1], LONG_SPAN, generator) if far else None
            return self.text_loss(logits_of(target, tokens, positions), tokens.to(self.device))

        fit(
            [target], self.windows(8, 512), loss_of, steps=self.steps("long"), name="long", rate=0.3
        )

    def distil(self, target: Model, drafts: list[Model]) -> None:
        """Train the drafts towards the target; one target forward teaches every draft."""

        def loss_of(tokens: torch.Tensor) -> torch.Tensor:
            with torch.no_grad():
                goal = logits_of(target, tokens)
            losses = [self.target_distance(logits_of(draft, tokens), goal) for draft in drafts]
            return torch.stack(losses).sum()

        fit(
            drafts,
            self.windows(8, 512),
            loss_of,
            steps=self.steps("distil"),
            name="distil",
            rate=0.7,
        )

    def steps(self, name: str) -> int:
        """Return the stage's steps at this scale."""
        return max(1, round(STAGE_STEPS[name] * self.scale))


def save(model: Model, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Write an ordinary half-precision checkpoint: config.json, safetensors, tokenizer.json."""
    plain = Model(model.config)
    plain.load_state_dict(model.state_dict())
    plain.half().save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def main() -> None:
    """Run every stage, saving each model as soon as it is done."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--into", type=Path, required=True)
    parser.add_argument("--scale", type=float, default=1.0, help="times the steps of every stage")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    asked = parser.parse_args()
    torch.manual_seed(SEED)
    tokenizer = train_tokenizer(corpus.training_texts(tests=False))
    family = Family(token_stream(tokenizer, SEED), asked.device, asked.scale)
    target = family.train_target()
    save(target, tokenizer, asked.into / "target")
    for name, draft in family.train_drafts(target).items():
        save(draft, tokenizer, asked.into / name)


main()
