"""What the backends that run transformers' own `generate` share: the walk, and its records.

A peer is observed from outside, so its captures hold counts, tokens and times but no probabilities.
It is given caches that hold a burst's text, like a server's prefix cache. So a burst's prefill is
the text that the walk added since the last burst, and every round is a whole one.
"""

import gc
import time
from abc import abstractmethod
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from itertools import takewhile
from typing import Any, ClassVar

import torch
from transformers import GenerationConfig
from transformers.utils import logging as transformers_logging

from specprof.backends.hf.prefilled import Model, Prefix, Tally, check_watchable, hand_caches
from specprof.backends.hf.watch import ChoiceMarker, GenerateWatcher, Turn
from specprof.engine.decoder import PREFILL_CHUNK
from specprof.engine.instruments.bout import Bout, finish_bout, synchronise
from specprof.engine.instruments.counters import Sampler
from specprof.engine.instruments.stopwatch import Clock, Lap, clock_for
from specprof.engine.instruments.threads import ALL_THREADS, fastest_count, threads
from specprof.engine.patch import swapped
from specprof.engine.releases import GENERATE_CACHE
from specprof.engine.setup import loading
from specprof.engine.setup.fits import check_fits
from specprof.engine.setup.header import header
from specprof.engine.setup.wiring import document
from specprof.errors import UsageError
from specprof.extend import Backend
from specprof.plan import FIRST_STOP, stops
from specprof.records import Burst, Drafted, Event, Header, Note, Plain, Prefill, Round
from specprof.settings import RunSpec, Settings

WARM_UP_TOKENS = 16
OUTSIDE_NOTE = (
    "observed from outside: no probabilities, and no length of the draft's cache, which "
    "transformers rolls back only when the next round begins; accept holds the target's rollback"
)
FILLED_NOTE = (
    "each burst begins with caches that hold its text but the last token: without them "
    "transformers would feed all of it and verify the first drafts in one pass, in the first round"
)
LOSSY_NOTE = (
    "above temperature 0 this peer may not be lossless: releases of transformers drew drafts from "
    "one law and judged them by another (huggingface/transformers#32867, #47932)"
)


class Generate(Backend):
    """Calls `generate` once a burst and records the turns of its loop as rounds."""

    drafter: ClassVar[str]
    """The drafter it stands for; any other is refused."""
    policies: ClassVar[tuple[str, ...]] = ("fixed",)
    """Depth policies it supports."""
    sampled: ClassVar[str] = "rejection"
    """The rule by which it judges drafts above temperature 0."""
    needs_draft: ClassVar[bool] = False

    @abstractmethod
    def options(self, settings: Settings) -> dict[str, object]:
        """Return the options of `generate`, beside the text, the caches and the length."""

    def marks(self) -> dict[str, object]:
        """Return further options of `generate`, for when it is watched."""
        return {}

    def acceptance(self, settings: Settings) -> str:
        """Return the name of the rule transformers judges drafts by."""
        return self.sampled if settings.temperature else "greedy"

    def pins(self, settings: Settings) -> dict[str, object]:
        """Return generation settings of the draft model."""
        del settings
        return {}

    def notes(self, settings: Settings) -> list[str]:
        """Return what a reader of the capture should know about this peer."""
        return [OUTSIDE_NOTE, FILLED_NOTE] + ([LOSSY_NOTE] if settings.temperature else [])

    def run(self, spec: RunSpec, command: list[str]) -> Generator[Event]:
        """Load the models, then yield a header and, burst by burst, all that is measured."""
        with self.ready(spec.settings), ExitStack() as undo:
            self.origin_ns = time.perf_counter_ns()
            sampler = Sampler(self.device, self._now)
            yield self._header(spec, command)
            for text in filter(None, [sampler.absent, *self.notes(spec.settings)]):
                yield Note(at_ns=self._now(), text=text)
            undo.callback(sampler.stop)
            sampler.start()
            for burst, context in enumerate(stops(spec.settings)):
                yield from self._burst(burst, context)
                yield from sampler.drain()
            yield from sampler.finish()

    @contextmanager
    def ready(self, settings: Settings) -> Iterator[None]:
        """Load, pin and warm up what `settings` ask for; undo it all when the block ends.

        Raises UsageError for settings that transformers' loop doesn't support.
        """
        gc.collect()  # frees what an earlier run of a sweep left
        self.settings = settings
        self._refuse(settings)
        self._load(settings)
        check_watchable(self.target.model)
        with ExitStack() as undo:
            undo.callback(transformers_logging.set_verbosity, transformers_logging.get_verbosity())
            transformers_logging.set_verbosity_error()  # it would comment on these calls
            self._pin(undo)
            self._warm_up()
            undo.callback(gc.unfreeze)
            yield

    def play_unwatched(self, *, seed: int) -> Bout:
        """Decode on from the end of the text without being watched; the caches keep the text.

        The clock starts when the first turn begins: setting up the call is no decoding. Raises
        UsageError if the draft would read the text within the first turn.
        """
        if self.draft and not self.draft_prefix:
            title = f"{self.draft.facts.name} reads the text by a tokenizer of its own"
            raise UsageError(title, "its prefill can't be timed apart: choose another draft")
        tokens = self.tokens[: self.settings.context]
        self._prefill(tokens)
        torch.manual_seed(seed)
        tally, known = Tally(), torch.tensor([tokens], device=self.device)
        synchronise(self.device)
        with hand_caches(self.target.model, self.prefix, self.draft_prefix, tally):
            model: Model = self.target.model
            made = model.generate(
                known,
                attention_mask=torch.ones_like(known),
                **{GENERATE_CACHE: self.prefix.cache},
                max_new_tokens=self.settings.max_new_tokens,
                **self.options(self.settings),
            )
            bout = finish_bout(tally.begun, tally.turns, made[0, len(tokens) :].tolist())
        self._cut(len(tokens))
        return bout

    def _refuse(self, settings: Settings) -> None:
        """Refuse early a setting that transformers' loop doesn't support; name what it does."""
        allowed: dict[str, tuple[object, ...]] = {
            "drafter": (self.drafter,),
            "depth_policy": self.policies,
            "acceptance": ("auto", self.acceptance(settings)),
            "cache": ("dense",),
            "draft_cache": (None, "dense"),
            "shape": ("chain",),
            "batch": (1,),
            "workload": ("walk", "generate"),
        }
        for field, values in allowed.items():
            asked = getattr(settings, field)
            if asked not in values:
                option = "--" + field.replace("_", "-")
                title = f"{option} {asked} was asked of the backend {settings.backend}"
                known = " or ".join(str(value) for value in values if value is not None)
                raise UsageError(title, f"its loop is transformers' own: it supports {known}")
        if self.drafter != "none" and settings.depth == 0:
            hint = "use --backend hf-generate --drafter none for plain decoding"
            raise UsageError(f"the backend {settings.backend} was asked for --depth 0", hint)
        if self.needs_draft and settings.draft is None:
            title = f"the backend {settings.backend} needs a draft model"
            raise UsageError(title, "name one with --draft")

    def _load(self, settings: Settings) -> None:
        self.device = loading.device_for(settings.device)
        capacity = settings.context + settings.max_new_tokens + settings.plain_steps
        named = [settings.target] + [settings.draft] * self.needs_draft
        surveyed = loading.survey_models(named, settings, self.device)
        check_fits(
            [facts for facts, _ in surveyed],
            capacity + settings.depth,
            self.device,
            rows=settings.depth + 1,
            weight_bytes=sum(size for _, size in surveyed),
        )
        self.target = loading.load(settings.target, settings, self.device)
        self.draft = None
        if self.needs_draft and settings.draft is not None:
            self.draft = loading.load(settings.draft, settings, self.device)
        self.tokens, self.source = document(settings, self.target)
        self.stop = frozenset() if settings.ignore_eos else self.target.stop_tokens
        self.clock: Clock = clock_for(self.device)
        drafting = self.draft.model if self.draft else None
        self.onlooker = GenerateWatcher(self.target.model, drafting, self.clock)
        self.prefix = Prefix(self.target.model)
        self.draft_prefix = self._draft_prefix()
        self._index = 0

    def _draft_prefix(self) -> Prefix | None:
        """Return the draft's own prefix; None without a draft, or if its text is re-tokenised."""
        return Prefix(self.draft.model) if self.draft else None

    def _pin(self, undo: ExitStack) -> None:
        """Set every generation setting that counts, so that no checkpoint's own one applies."""
        undo.enter_context(swapped(self.target.model, generation_config=self._config()))
        if self.draft:
            pinned = self._config(**self.pins(self.settings))
            undo.enter_context(swapped(self.draft.model, generation_config=pinned))

    def _config(self, **pins: object) -> GenerationConfig:
        """Return the law asked for; by default `generate` would cut to the 50 likeliest tokens."""
        settings, law = self.settings, dict[str, object]()
        if settings.temperature:
            law = {name: getattr(settings, name) for name in ("temperature", "top_k", "top_p")}
        return GenerationConfig(
            do_sample=settings.temperature > 0,
            eos_token_id=sorted(self.stop) or None,
            pad_token_id=min(self.stop, default=None),  # the assistant masks any other in the text
            **law,
            **pins,
        )

    def _warm_up(self) -> None:
        """Decode a few uncounted tokens; on a CPU measure the best thread counts too."""
        self.prefill_threads = ALL_THREADS
        self._decode_unrecorded()
        if self.device.type == "cpu":
            asked = self.settings.threads
            models = (self.target.facts, self.draft and self.draft.facts)
            key = (self.settings.backend, *models)
            self.prefill_threads = asked or fastest_count(
                self._prefill_unrecorded, ("prefill", *key)
            )
            torch.set_num_threads(asked or fastest_count(self._decode_unrecorded, ("decode", *key)))
        self._cut(1)
        if self.draft:  # a schedule may have moved K
            drafting: Model = self.draft.model
            drafting.generation_config.update(**self.pins(self.settings))
        torch.manual_seed(self.settings.seed)  # `generate` draws from torch's own generator
        gc.collect()
        gc.freeze()  # loaded objects stay: a collection during a round need not walk them

    def _prefill_unrecorded(self) -> None:
        self._cut(1)
        self.prefix.extend(self.tokens[: min(PREFILL_CHUNK, self.settings.context) - 1])

    def _decode_unrecorded(self) -> None:
        tokens = self.tokens[:FIRST_STOP]
        self._cut(len(tokens))
        prefill = self._prefill(tokens)
        self._generate(tokens, min(WARM_UP_TOKENS, self.settings.max_new_tokens), prefill)

    def _cut(self, context: int) -> None:
        """Forget all but the first `context` tokens, and the last ones, which a round feeds."""
        self.prefix.cut(context - 1)
        if self.draft_prefix:
            self.draft_prefix.cut(max(context - 2, 0))

    def _burst(self, burst: int, context: int) -> Iterator[Event]:
        """Feed the text up to `context`, let `generate` go on from there, and record its rounds."""
        clock, tokens = self.clock, self.tokens[:context]
        started_ns, started = self._now(), clock.mark()
        fed = context - 1 - self.prefix.length
        prefill = self._prefill(tokens)
        turns, emitted = self._generate(tokens, self.settings.max_new_tokens, prefill)
        wall_ns = clock.between(started, clock.mark())
        yield Prefill(
            burst=burst,
            context=context,
            fed=fed,
            start_ns=prefill.at_ns - self.origin_ns,
            wall_ns=prefill.wall_ns(),
            spans=prefill.spans(),
        )
        played = [turn for turn in turns if turn.context < context + len(emitted)]
        yield from self._rounds(burst, tokens + emitted, played)
        yield Burst(
            burst=burst,
            start_ns=started_ns,
            wall_ns=wall_ns,
            rounds=len(played),
            emitted=len(emitted),
            finish="eos" if emitted[-1] in self.stop else "length",
        )
        if self.settings.plain_steps and self.drafter != "none":
            yield self._plain(burst, tokens + emitted)
        self._cut(context)

    def _prefill(self, tokens: list[int]) -> Lap:
        """Fill the caches with `tokens` but the last; the draft's also lacks the one before it.

        transformers leaves the draft's cache so after every round. Without a prefix for the draft
        the lap stays open: it ends with the draft's first pass over the text.
        """
        clock = self.clock
        lap = Lap(clock, time.perf_counter_ns(), clock.mark())
        with threads(self.prefill_threads):
            self.prefix.extend(tokens[:-1])
            filled = clock.mark()
            lap.marks.append(("prefill-target", None, lap.start, filled))
            if self.draft_prefix:
                self.draft_prefix.extend(tokens[:-2])
                lap.marks.append(("prefill-draft", None, filled, clock.mark()))
        if not self.draft or self.draft_prefix:
            lap.end = clock.mark()
        return lap

    def _generate(
        self, tokens: list[int], new_tokens: int, prefill: Lap
    ) -> tuple[list[Turn], list[int]]:
        return self.onlooker.generate(
            tokens,
            self.prefix,
            self.draft_prefix,
            cold=prefill if prefill.end is None else None,
            max_new_tokens=new_tokens,
            **self.options(self.settings),
            **self.marks(),
        )

    def _plain(self, burst: int, committed: list[int]) -> Plain:
        """Time the target's plain `generate` from where the burst ended, with draws of its own."""
        devices = [] if self.device.type == "cpu" else [self.device]
        with torch.random.fork_rng(devices, device_type=devices[0].type if devices else "cuda"):
            turns, _ = self.onlooker.generate(
                committed,
                self.prefix,
                None,
                max_new_tokens=self.settings.plain_steps,
                **plain_options(self.onlooker),
                eos_token_id=None,
            )
        steps = [turn.lap.wall_ns() for turn in turns[: self.settings.plain_steps]]
        return Plain(burst=burst, context=len(committed), steps_ns=steps)

    def _rounds(self, burst: int, committed: list[int], turns: list[Turn]) -> Iterator[Round]:
        ends = [turn.context for turn in turns[1:]] + [len(committed)]
        for turn, end in zip(turns, ends, strict=True):
            self._index += 1
            if self.settings.detail != "off":
                yield self._round(burst, turn, committed[turn.context : end])

    def _round(self, burst: int, turn: Turn, emitted: list[int]) -> Round:
        drafted = judge_drafts(turn, emitted)
        return Round(
            index=self._index - 1,
            burst=burst,
            context=turn.context,
            depth_asked=turn.depth_asked,
            drafted=drafted,
            accepted=sum(each.accepted for each in drafted),
            emitted=emitted,
            start_ns=turn.lap.at_ns - self.origin_ns,
            wall_ns=turn.lap.wall_ns(),
            spans=turn.lap.spans(),
            target_forwards=turn.target_forwards,
            draft_forwards=turn.draft_forwards,
            target_length=turn.target_length,
            target_kv_bytes=turn.target_kv_bytes,
            draft_kv_bytes=turn.draft_kv_bytes,
        )

    def _header(self, spec: RunSpec, command: list[str]) -> Header:
        return header(
            spec,
            command,
            target=self.target,
            draft=self.draft,
            acceptance=self.acceptance(spec.settings),
            lossless=None,  # from outside it can't be known
            clock=self.clock,
            device=self.device,
            source=self.source,
        )

    def _now(self) -> int:
        return time.perf_counter_ns() - self.origin_ns


def judge_drafts(turn: Turn, emitted: list[int]) -> list[Drafted]:
    """Return a turn's drafted tokens and which of them stood, as the emitted tokens show.

    The token after a rejection is never the rejected one: greedily it is another first choice, and
    under rejection the rejected token has no mass in the residual. So the drafts that stood are
    those emitted as drafted. If a block was cut at its end, only the part left is known as judged.
    """
    if turn.candidates is None:
        return []
    tokens: list[int] = turn.candidates[0, turn.context :].tolist()
    alike = (drafted == stood for drafted, stood in zip(tokens, emitted, strict=False))
    accepted = sum(takewhile(bool, alike))
    reached = accepted + (len(emitted) > accepted)
    return [
        Drafted(token, index - 1, index < reached, index < accepted)
        for index, token in enumerate(tokens)
    ]


def plain_options(onlooker: GenerateWatcher) -> dict[str, Any]:
    """Return the options that make `generate` mark each choice of plain decoding."""
    return {"stopping_criteria": [ChoiceMarker(onlooker)]}
