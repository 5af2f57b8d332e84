"""Fill transformers' own caches and hand them to `generate`, which then begins with decoding.

By itself, `generate` would feed the whole text in its first turn. Two methods of the target are
replaced during a call, so that it feeds only the tokens that the caches lack. transformers itself
still decides what is drawn, accepted and stored.
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
DEPTH_ATTRIBUTES = ("num_assistant_tokens", "num_output_tokens")
"""Where a candidate generator keeps the number of tokens to draft."""


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
        """Feed the `tokens` after those held, a chunk at a time."""
        for start in range(self.length, len(tokens), PREFILL_CHUNK):
            chunk = tokens[start : start + PREFILL_CHUNK]
            fed = on_device(chunk, self.model.device)[None]
            given = with_cache(self.model, self.cache)
            self.model(fed, **given, use_cache=True, logits_to_keep=1)
        self.cache.activate_past_recording()  # as `generate` does to a cache it will roll back

    def cut(self, length: int) -> None:
        """Forget all but the first `length` tokens, or all: a sliding window can't go back."""
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

    def begin_turn(self) -> None:
        """Count a turn that begins."""
        if not self.turns:
            self.begun = moment()
        self.turns += 1


def check_watchable(target: Model) -> None:
    """Refuse a release of transformers whose loop can't be given caches or watched.

    Raises EnvironmentMissing that says what it lacks.
    """
    generator = getattr(target, "_get_candidate_generator", None)
    prepare = getattr(target, "prepare_inputs_for_generation", None)
    if generator is None or prepare is None:
        name = "_get_candidate_generator" if generator is None else "prepare_inputs_for_generation"
        raise unwatchable_error(f"{type(target).__name__} has no {name}")
    if "next_sequence_length" not in signature(prepare).parameters:
        raise unwatchable_error("prepare_inputs_for_generation takes no next_sequence_length")
    if not hasattr(Cache, "activate_past_recording"):
        raise unwatchable_error("its caches have no activate_past_recording")


def check_generator(generator: Candidates, *, drafts: bool) -> None:
    """Refuse a candidate generator without the methods and attributes that are used here."""
    names = ["get_candidates", "update_candidate_strategy"] + ["assistant_kwargs"] * drafts
    missing = [name for name in names if not hasattr(generator, name)]
    if not any(hasattr(generator, name) for name in DEPTH_ATTRIBUTES):
        missing.append(" or ".join(DEPTH_ATTRIBUTES))
    if missing:
        raise unwatchable_error(f"{type(generator).__name__} has no {missing[0]}")


def unwatchable_error(what: str) -> EnvironmentMissing:
    """Return the error that says why transformers' own loop can't be watched."""
    return unfit(f"its generate can't be watched: {what}; --backend native needs none of it")


@contextmanager
def hand_caches(
    target: Model, prefix: Prefix, draft_prefix: Prefix | None, tally: Tally | None = None
) -> Iterator[None]:
    """Let calls of `target.generate` in the block go on from filled caches.

    The caller passes the target's cache to `generate`. The draft's cache can't be passed so: it is
    given to the candidate generator. `tally` counts each turn of the loop as it begins.
    """
    tally = tally or Tally()
    prepare = _feed_missing(target.prepare_inputs_for_generation, prefix, tally)
    get = _give_cache(target._get_candidate_generator, draft_prefix, tally)  # noqa: SLF001
    with (
        swapped(target, prepare_inputs_for_generation=prepare),
        swapped(target, _get_candidate_generator=get),
    ):
        yield


def _feed_missing(inner: Callable[..., Any], prefix: Prefix, tally: Tally) -> Callable[..., Any]:
    """Feed the first turn only the tokens that the cache lacks.

    Plain `generate` does so itself if it is given a cache; assisted `generate` would feed the whole
    text once more.
    """

    @functools.wraps(inner)
    def prepare(
        input_ids: torch.Tensor,
        next_sequence_length: int | None = None,
        **rest: object,
    ) -> object:
        if not tally.drafts:
            tally.begin_turn()
        held = prefix.length
        if rest.get("is_first_iteration") and next_sequence_length is None and held:
            next_sequence_length = input_ids.shape[1] - held
        return inner(input_ids, next_sequence_length=next_sequence_length, **rest)

    return prepare


def _give_cache(
    inner: Callable[..., Candidates], draft_prefix: Prefix | None, tally: Tally
) -> Callable[..., Candidates]:
    """Give the candidate generator the draft's filled cache."""

    def get(*args: object, **rest: object) -> Candidates:
        generator = inner(*args, **rest)
        held = draft_prefix is not None and draft_prefix.length
        check_generator(generator, drafts=bool(held))
        if draft_prefix is not None and held:
            generator.assistant_kwargs[GENERATE_CACHE] = draft_prefix.cache
        drafting, tally.drafts = generator.get_candidates, True

        def candidates(*given: object, **named: object) -> object:
            tally.begin_turn()
            return drafting(*given, **named)

        generator.get_candidates = candidates
        return generator

    return get
