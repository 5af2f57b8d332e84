"""The two models of a user's loop: their names in the header, and their logits for the recheck.

A model is a Hugging Face causal model, a function from token ids to logits, or a mere name, which
gives no logits.
"""

from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import torch

from specprof import registry
from specprof.engine.recheck.readings import Readings
from specprof.engine.recheck.recheck import Processor, Reference
from specprof.engine.setup.loading import Loaded, facts_of
from specprof.errors import UsageError
from specprof.extend import Acceptance, Cache
from specprof.settings import Settings

Rows = Any
"""[n, vocab] as a tensor, a numpy array or nested lists."""
Ask = Callable[[list[int]], Rows]
"""A function from [n] token ids to the [n, vocab] raw logits after each token, without a cache."""
Model = torch.nn.Module | Ask | str


@dataclass(frozen=True, slots=True)
class Models:
    """The models of a loop, and what it does to their rows before it decides by them."""

    target: Model
    draft: Model | None = None
    processor: Processor | None = None
    draft_processor: Processor | None = None


class Answers(torch.nn.Module):
    """Wraps a function as a causal model, of which only the plain forward is called."""

    def __init__(self, ask: Ask) -> None:
        super().__init__()
        self.ask = ask
        nothing = torch.empty(0, dtype=torch.bfloat16)
        self.place = torch.nn.Parameter(nothing, requires_grad=False)
        """Callers read device and data type from a parameter: here the host, and the type that
        rounds most, because a function's own type is not known."""

    def forward(
        self, tokens: torch.Tensor, *, use_cache: bool, logits_to_keep: int
    ) -> SimpleNamespace:
        """Return `.logits` [1, kept, vocab] of [1, n] tokens.

        Raises UsageError if the function does not return [n, vocab].
        """
        del use_cache
        told = self.ask(tokens[0].tolist())
        try:
            rows = torch.as_tensor(told)
        except (TypeError, ValueError, RuntimeError) as trouble:
            title = f"the recheck asked for logits and got no rows of numbers: {trouble}"
            raise UsageError(
                title, "return the raw logits of every prefix: [n, vocab]"
            ) from trouble
        if rows.ndim != 2 or rows.shape[0] != tokens.shape[1]:  # noqa: PLR2004 - rows, vocabulary
            title = f"the recheck passed {tokens.shape[1]} tokens and got rows {list(rows.shape)}"
            raise UsageError(title, "return the raw logits after every token: [n, vocab]")
        return SimpleNamespace(logits=rows[None, -logits_to_keep:])


def model_name(model: Model) -> str:
    """Return the model's name for the header."""
    if isinstance(model, str):
        return model
    if isinstance(model, torch.nn.Module):
        config = getattr(model, "config", None)
        return str(getattr(config, "name_or_path", "") or type(model).__name__)
    return str(getattr(model, "__name__", type(model).__name__))


def name_models(target: Model, draft: Model | None) -> tuple[str, str | None]:
    """Return the names of both models for the header.

    Two models of one name count as one model only if they are the same object, or mere names: two
    functions may both be called `forward`, and a draft may be the target with rounded weights.
    """
    own = model_name(target)
    if draft is None:
        return own, None
    other = model_name(draft)
    alike = own == other and target is not draft and not isinstance(draft, str)
    return own, f"{other} (draft)" if alike else other


def as_loaded(model: Model | None) -> Loaded | None:
    """Return a Hugging Face model as the engine's `Loaded`; None if it is no such model."""
    if isinstance(model, torch.nn.Module) and hasattr(model, "config"):
        return Loaded(model, None, facts_of(model_name(model), model))
    return None


def make_reference(
    models: Models, settings: Settings, readings: Readings, acceptance: Acceptance
) -> Reference | None:
    """Return the models by which bursts are rechecked; None if the target is a mere name."""
    draft = models.draft
    clean = _clean_module(models.target, settings, settings.cache)
    if clean is None:
        return None
    own = (
        None
        if draft is None
        else _clean_module(draft, settings, settings.draft_cache or settings.cache)
    )
    return Reference(
        target=clean,
        draft=own,
        certain=draft is None or readings.draws,
        law=readings.law,
        acceptance=acceptance,
        readings=readings,
        processor=models.processor,
        draft_processor=models.draft_processor,
    )


def _clean_module(model: Model, settings: Settings, cache: str) -> torch.nn.Module | None:
    if isinstance(model, str):
        return None
    if not isinstance(model, torch.nn.Module):
        return Answers(model)
    return registry.get(Cache, cache)(settings).plain(model)
