"""Watch transformers' own `generate` from outside: time and keep every turn of its loop.

The models' methods are wrapped for one call and unwrapped after it. transformers itself decides
what is fed, drawn, accepted and stored. Only the beginning and the end of a turn's parts are
marked, and the marks are read after the call. Knows nothing of captures.
"""

import functools
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from transformers import DynamicCache, StoppingCriteria

from specprof.backends.hf.prefilled import DEPTH_ATTRIBUTES, Candidates, Model, Prefix, hand_caches
from specprof.engine.instruments.stopwatch import Clock, Lap, Mark
from specprof.engine.patch import swapped
from specprof.engine.releases import GENERATE_CACHE


@dataclass(slots=True)
class Turn:
    """One turn of the loop: what was drafted and verified together. Its marks are not read yet."""

    context: int
    """Committed tokens before it."""
    lap: Lap
    depth_asked: int = 0
    """K as the candidate generator had it; 0 in plain decoding."""
    candidates: torch.Tensor | None = None
    """[1, context + drafted] the committed and the drafted tokens; None in plain decoding."""
    target_forwards: int = 0
    draft_forwards: int = 0
    target_length: int | None = None
    """Tokens in the target's cache at the end of the turn, after the rollback."""
    target_kv_bytes: int | None = None
    draft_kv_bytes: int | None = None
    """At the end of the turn; transformers rolls the draft's cache back in the next turn."""


class GenerateWatcher:
    """Watches one target, and the draft that assists it if there is one."""

    def __init__(self, target: Model, draft: Model | None, clock: Clock) -> None:
        self.target = target
        self.draft = draft
        self.clock = clock
        self.turns: list[Turn] = []
        self._generator: Candidates = None
        self._context = 0
        self._drafting = False
        self._cold: Lap | None = None
        self._prefixes: tuple[Prefix, Prefix | None]
        self._begun: dict[str, Mark] = {}

    def generate(
        self,
        tokens: list[int],
        prefix: Prefix,
        draft_prefix: Prefix | None,
        cold: Lap | None = None,
        **options: object,
    ) -> tuple[list[Turn], list[int]]:
        """Call the target's `generate`; return its turns and the tokens it emitted.

        `cold` is an open lap of a prefill, if no prefix could be made for the draft: it ends with
        the draft's first pass over the text. `options` are those of `generate`.
        """
        self.turns, self._context, self._drafting, self._cold = [], len(tokens), False, cold
        self._prefixes, self._generator = (prefix, draft_prefix), None
        known = torch.tensor([tokens], device=self.target.device)
        with self._watch():
            made = self.target.generate(
                known,
                attention_mask=torch.ones_like(known),
                **{GENERATE_CACHE: prefix.cache},
                return_dict_in_generate=True,
                **options,
            )
            self._close()
        emitted: list[int] = made.sequences[0, len(tokens) :].tolist()
        return self.turns, emitted

    @contextmanager
    def _watch(self) -> Iterator[None]:
        target = self.target
        with ExitStack() as undo:
            for each in {id(model): model for model in (target, self.draft) if model}.values():
                undo.callback(each.register_forward_pre_hook(self._pass_begins).remove)
                undo.callback(each.register_forward_hook(self._pass_ends).remove)
            undo.enter_context(hand_caches(target, *self._prefixes))
            wrapped = self._wrap_generator(target._get_candidate_generator)  # noqa: SLF001
            undo.enter_context(swapped(target, _get_candidate_generator=wrapped))
            yield

    def _wrap_generator(self, inner: Callable[..., Candidates]) -> Callable[..., Candidates]:
        """Wrap the candidate generator's methods, so that its drafting is marked."""

        def get(*args: object, **rest: object) -> Candidates:
            generator = self._generator = inner(*args, **rest)
            generator.get_candidates = functools.partial(self._draft, generator.get_candidates)
            generator.update_candidate_strategy = functools.partial(
                self._end_accept, generator.update_candidate_strategy
            )
            return generator

        return get

    def _draft(
        self,
        inner: Callable[..., tuple[torch.Tensor, Any]],
        input_ids: torch.Tensor,
        **rest: object,
    ) -> tuple[torch.Tensor, Any]:
        self._close()
        self._context = input_ids.shape[1]
        if self._cold is None:
            self._open()
        self._drafting = True
        candidates, logits = inner(input_ids, **rest)
        self._drafting = False
        self._end_cold_prefill()
        self._span("draft", None)
        self.turns[-1].candidates = candidates
        return candidates, logits

    def _end_accept(self, inner: Callable[..., None], *args: object, **rest: object) -> None:
        self._span("accept", None)
        inner(*args, **rest)

    def mark_choice(self) -> None:
        """Mark that plain decoding has chosen its token."""
        self._span("accept", None)

    def _pass_begins(self, *_: object) -> None:
        """Mark the start of a forward pass: while drafting it is the draft's, else the target's.

        Both may be the same model, so the model doesn't show which it is.
        """
        if self._generator is None:
            self._close()
            self._context += bool(self.turns)
            self._open()
        self._begun["step" if self._drafting else "verify"] = self.clock.mark()

    def _pass_ends(self, *_: object) -> None:
        if not self._drafting:
            self._span("verify", None)
            self._begun["accept"] = self.clock.mark()
            self.turns[-1].target_forwards += 1
        elif self._cold is None:
            self._span("step", "draft")
            self.turns[-1].draft_forwards += 1
        else:
            mark = self.clock.mark()
            self._cold.marks.append(("prefill-draft", None, self._begun["step"], mark))
            self._end_cold_prefill()

    def _end_cold_prefill(self) -> None:
        """End the prefill that lasted into the first turn, if there is one, and begin the turn."""
        if self._cold is not None:
            self._cold.end = self.clock.mark()
            self._cold = None
            self._open()

    def _span(self, name: str, parent: str | None) -> None:
        marks = self.turns[-1].lap.marks
        marks.append((name, parent, self._begun[name], self.clock.mark()))

    def _open(self) -> None:
        lap = Lap(self.clock, time.perf_counter_ns(), self.clock.mark())
        self._begun["draft"] = lap.start
        asked = next((name for name in DEPTH_ATTRIBUTES if hasattr(self._generator, name)), None)
        depth = int(getattr(self._generator, asked)) if asked else 0
        self.turns.append(Turn(self._context, lap, depth))

    def _close(self) -> None:
        """End the open turn, if any, and read how much its caches hold."""
        if not self.turns or self.turns[-1].lap.end is not None:
            return
        turn = self.turns[-1]
        turn.lap.end = self.clock.mark()
        turn.target_length = self._prefixes[0].length
        turn.target_kv_bytes = kv_bytes(self._prefixes[0].cache)
        drafts = getattr(self._generator, "assistant_kwargs", {}).get(GENERATE_CACHE)
        turn.draft_kv_bytes = kv_bytes(drafts) if drafts is not None else None


class ChoiceMarker(StoppingCriteria):  # type: ignore[misc]  # transformers is untyped here
    """Never stops decoding; it marks that a plain step has chosen its token."""

    def __init__(self, onlooker: GenerateWatcher) -> None:
        self.onlooker = onlooker
        self.never = torch.zeros(1, dtype=torch.bool, device=onlooker.target.device)

    def __call__(self, *_: object, **__: object) -> torch.Tensor:
        """Return [1] False."""
        self.onlooker.mark_choice()
        return self.never


def kv_bytes(cache: DynamicCache) -> int:
    """Return the bytes of the keys and values a cache holds, over all layers."""
    return sum(
        states.numel() * states.element_size()
        for layer in cache.layers
        if layer.is_initialized
        for states in (layer.keys, layer.values)
    )
