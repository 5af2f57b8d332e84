"""The target drafts for itself, with an exactly known amount of uniform noise.

The positive control (theory 7.4, row J). The draft's law is (1 - noise) * target + noise * uniform,
so a place owes 1 - noise * TV(target, uniform), greedy 1 - noise * (1 - 1/vocabulary). The output
must still follow the target's law. Drafts do get rejected, unlike those of draft = target, so
rollback is exercised. Top-k and top-p cut the mixture as they cut the target's law. The draft then
still follows exactly the law it declares, but the acceptance it owes is not that of the formula.
"""

from collections.abc import Callable, Sequence
from types import SimpleNamespace

import torch

from specprof.engine.decoder import Decoder
from specprof.engine.drafting import ModelDrafter
from specprof.engine.setup.loading import Loaded
from specprof.extend import Law, Parts
from specprof.settings import Settings

Perturb = Callable[[torch.Tensor], torch.Tensor]
"""From [..., vocab] logits to other logits of that shape."""


class PerturbedSelf(ModelDrafter):
    """Draft = target but for `Settings.noise`."""

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        noise, temperature = parts.settings.noise, parts.settings.temperature

        def stray(logits: torch.Tensor) -> torch.Tensor:
            return stray_choices(logits, noise, parts.generator)

        def mix(logits: torch.Tensor) -> torch.Tensor:
            return mix_uniform(logits, noise, parts.law, temperature)

        self.draft: Decoder = PerturbedDecoder(self.draft, stray if parts.law.greedy else mix)
        # A greedy draft strays at random places: no module can recompute them.
        plain = None if parts.law.greedy else self.plain
        self.plain = PerturbedModule(plain, mix) if plain is not None else None

    @classmethod
    def load(cls, settings: Settings, target: Loaded) -> Loaded:
        """Return the target itself."""
        del settings
        return target


def mix_uniform(logits: torch.Tensor, noise: float, law: Law, temperature: float) -> torch.Tensor:
    """Return [..., vocab] logits whose law is (1 - noise) * law of `logits` + noise * uniform.

    They are multiplied by the temperature, because the law divides by it again.
    """
    probs = law.probs(logits) * (1 - noise) + noise / logits.shape[-1]
    return probs.log() * temperature


def stray_choices(logits: torch.Tensor, noise: float, generator: torch.Generator) -> torch.Tensor:
    """Return [rows, vocab] logits; a row's first choice is a random token with chance `noise`."""
    rows, vocabulary = logits.shape
    strangers = torch.randint(vocabulary, (rows, 1), generator=generator, device=logits.device)
    coins = torch.rand((rows, 1), generator=generator, device=logits.device)
    raised = logits.amax(-1, keepdim=True) + 1  # above any tie
    chosen = torch.where(coins < noise, raised, logits.gather(1, strangers))
    return logits.scatter(1, strangers, chosen)


class PerturbedDecoder:
    """A decoder of perturbed logits; its cache and its forwards are the inner decoder's."""

    def __init__(self, inner: Decoder, perturb: Perturb) -> None:
        self.inner = inner
        self.perturb = perturb
        self.device = inner.device
        self.forwards = inner.forwards

    @property
    def length(self) -> int:
        """Tokens fed and not rolled back."""
        return self.inner.length

    @property
    def kv_bytes(self) -> int:
        """Bytes those tokens take in the cache."""
        return self.inner.kv_bytes

    @property
    def evicted(self) -> int | None:
        """Tokens the cache has dropped so far; None where it never drops any."""
        return self.inner.evicted

    def feed(self, tokens: torch.Tensor, parents: torch.Tensor | None = None) -> torch.Tensor:
        """Append [n] tokens, a chain or a tree; return [n, vocab] perturbed logits."""
        logits = self.inner.feed(tokens, parents)
        self.forwards = self.inner.forwards
        return self.perturb(logits)

    def prefill(self, tokens: Sequence[int]) -> None:
        """Append known tokens whose logits are not needed."""
        self.inner.prefill(tokens)
        self.forwards = self.inner.forwards

    def keep(self, branch: Sequence[int]) -> None:
        """Keep the tree's nodes on one `branch`, and forget the other nodes."""
        self.inner.keep(branch)

    def rollback(self, length: int) -> None:
        """Forget all but the first `length` tokens."""
        self.inner.rollback(length)


class PerturbedModule(torch.nn.Module):
    """A model's plain forward with perturbed logits, for the recheck."""

    def __init__(self, inner: torch.nn.Module, perturb: Perturb) -> None:
        super().__init__()
        self.inner = inner
        self.perturb = perturb

    def forward(self, tokens: torch.Tensor, **given: object) -> SimpleNamespace:
        """Return an output whose `logits` [1, n, vocab] are perturbed."""
        return SimpleNamespace(logits=self.perturb(self.inner(tokens, **given).logits.float()))
