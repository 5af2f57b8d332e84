"""transformers' own caches, filled beforehand and handed to `generate`, which then begins decoding.

Left alone, `generate` would feed the whole text in its first turn. Two methods of the target are
replaced for the length of a call, so that it feeds only what the caches lack; what is drawn,
accepted and stored stays its own.
"""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from inspect import signature
from typing import Any

import torch
from transformers import Cache, DynamicCache

from specprof.engine.decoder import PREFILL_CHUNK
from specprof.engine.instruments.bout import Moment, moment
from specprof.engine.patch import swapped
from specprof.engine.releases import GENERATE_CACHE, unfit, with_cache
from specprof.engine.transfer import on_device
from specprof.errors import EnvironmentMissing

Model = Any
"""A transformers causal language model; the package is untyped."""
Candidates = Any
"""One of transformers' candidate generators."""
DEPTHS = ("num_assistant_tokens", "num_output_tokens")
"""Where a candidate generator keeps how many tokens it is to draft."""


class Prefix:
    """The text one model has taken in before `generate` is called, in transformers' own cache."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.cache = DynamicCache(config=model.config.get_text_config(decoder=True))

    @property
    def length(self) -> int:
        """Tokens held."""
        return int(self.cache.get_seq_length())

    @torch.no_grad()
    def extend(self, tokens: list[int]) -> None:
        """Feed what `tokens` has beyond those held, a chunk at a time."""
        for start in range(self.length, len(tokens), PREFILL_CHUNK):
            chunk = tokens[start : start + PREFILL_CHUNK]
            fed = on_device(chunk, self.model.device)[None]
            given = with_cache(self.model, self.cache)
            self.model(fed, **given, use_cache=True, logits_to_keep=1)
        self.cache.activate_past_recording()  # as `generate` does to a cache it will roll back

    def cut(self, length: int) -> None:
        """Forget all but the first `length` tokens, or all: a sliding window has no way back."""
        if length >= self.length:
            return
        if any(self.cache.is_sliding):
            self.cache = DynamicCache(config=self.model.config.get_text_config(decoder=True))
        else:
            self.cache.crop(length - self.length)


class Tally:
    """Counts the turns of one call's loop, and keeps when the first began; nothing else."""

    def __init__(self) -> None:
        self.turns = 0
        self.drafts = False
        """Whether a turn begins with drafting."""
        self.begun: Moment = (0, 0)

    def turn(self) -> None:
        """Take note that a turn begins."""
        if not self.turns:
            self.begun = moment()
        self.turns += 1


def check_watchable(target: Model) -> None:
    """Refuse a release whose own loop has no longer the places it is handed caches and watched at.

    Raises EnvironmentMissing that says which.
    """
    generator = getattr(target, "_get_candidate_generator", None)
    prepare = getattr(target, "prepare_inputs_for_generation", None)
    if generator is None or prepare is None:
        name = "_get_candidate_generator" if generator is None else "prepare_inputs_for_generation"
        raise unwatchable(f"{type(target).__name__} has no {name}")
    if "next_sequence_length" not in signature(prepare).parameters:
        raise unwatchable("it isn't told by a length how much of the text is fed")
    if not hasattr(Cache, "activate_past_recording"):
        raise unwatchable("its caches aren't told that they will be rolled back")


def check_generator(generator: Candidates, *, drafts: bool) -> None:
    """Refuse a candidate generator that doesn't say what it is asked, or by what its draft runs."""
    names = ["get_candidates", "update_candidate_strategy"] + ["assistant_kwargs"] * drafts
    missing = [name for name in names if not hasattr(generator, name)]
    if not any(hasattr(generator, name) for name in DEPTHS):
        missing.append(" or ".join(DEPTHS))
    if missing:
        raise unwatchable(f"{type(generator).__name__} has no {missing[0]}")


def unwatchable(what: str) -> EnvironmentMissing:
    """Return the error that says why transformers' own loop can't be watched."""
    return unfit(f"its generate can't be watched: {what}; --backend native needs none of it")


@contextmanager
def handed(
    target: Model, prefix: Prefix, draft_prefix: Prefix | None, tally: Tally | None = None
) -> Iterator[None]:
    """Let calls of `target.generate` in the block go on from filled caches.

    The caller passes the target's cache as `generate` takes one; the draft's has no such door and
    is given to the candidate generator. `tally` is told as each turn of the loop begins.
    """
    tally = tally or Tally()
    sliced = _sliced(target.prepare_inputs_for_generation, prefix, tally)
    given = _given(target._get_candidate_generator, draft_prefix, tally)  # noqa: SLF001
    with (
        swapped(target, prepare_inputs_for_generation=sliced),
        swapped(target, _get_candidate_generator=given),
    ):
        yield


def _sliced(inner: Callable[..., Any], prefix: Prefix, tally: Tally) -> Callable[..., Any]:
    """Feed the first turn only what the cache lacks.

    Plain `generate` slices so itself when it is handed a cache; assisted `generate` would feed
    the whole text once more.
    """

    @functools.wraps(inner)
    def prepare(
        input_ids: torch.Tensor,
        next_sequence_length: int | None = None,
        **rest: object,
    ) -> object:
        if not tally.drafts:
            tally.turn()
        held = prefix.length
        if rest.get("is_first_iteration") and next_sequence_length is None and held:
            next_sequence_length = input_ids.shape[1] - held
        return inner(input_ids, next_sequence_length=next_sequence_length, **rest)

    return prepare


def _given(
    inner: Callable[..., Candidates], draft_prefix: Prefix | None, tally: Tally
) -> Callable[..., Candidates]:
    """Hand the candidate generator the draft's filled cache."""

    def get(*args: object, **rest: object) -> Candidates:
        generator = inner(*args, **rest)
        held = draft_prefix is not None and draft_prefix.length
        check_generator(generator, drafts=bool(held))
        if draft_prefix is not None and held:
            generator.assistant_kwargs[GENERATE_CACHE] = draft_prefix.cache
        drafting, tally.drafts = generator.get_candidates, True

        def candidates(*given: object, **named: object) -> object:
            tally.turn()
            return drafting(*given, **named)

        generator.get_candidates = candidates
        return generator

    return get
