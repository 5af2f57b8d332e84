"""specprof's own decode loop over Hugging Face models: the backend that is measured in full."""

import gc
import time
from collections.abc import Generator, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import TypeVar, cast

import torch

from specprof import __version__, registry
from specprof.engine import machine, model, text
from specprof.engine.decoder import PREFILL_CHUNK, CausalModel
from specprof.engine.loop import Engine
from specprof.engine.recheck import recheck
from specprof.engine.rounds import Scribe
from specprof.engine.sampler import Sampler
from specprof.engine.sampling import ProcessedLaw
from specprof.engine.stopwatch import Stopwatch, clock_facts, clock_for
from specprof.engine.threads import EVERY, fastest, threads
from specprof.errors import UsageError
from specprof.extend import Acceptance, Backend, Cache, Drafter
from specprof.plan import FIRST_STOP, acceptance_in_force, stops
from specprof.records import (
    Burst,
    Event,
    Header,
    Note,
    Plain,
    Prefill,
    Recheck,
    Round,
    RunSpec,
    Settings,
)

Added = TypeVar("Added")
WARM_UP_TOKENS = 16


class Native(Backend):
    """Walks over a text or generates from a prompt, yielding each round as it is played."""

    def run(self, spec: RunSpec, command: list[str]) -> Generator[Event]:
        """Load the models, then yield a header and, burst by burst, all that is measured."""
        self._prepare(spec.settings)
        self._warm_up()
        yield self._header(spec, command)
        yield from self._notes()
        self.sampler.start()
        try:
            for burst, context in enumerate(stops(spec.settings)):
                yield from self._burst(burst, context)
                yield from self.sampler.drain()
        finally:
            self.sampler.stop()
            gc.unfreeze()  # else the next run of a sweep could never free this one's caches
        yield from self.sampler.drain()

    def _notes(self) -> Iterator[Note]:
        if self.sampler.absent:
            yield Note(at_ns=self._now(), text=self.sampler.absent)
        widths = {each.facts.vocabulary for each in (self.target, self.draft) if each}
        if len(widths) > 1:
            text = f"embeddings of {max(widths)} and {min(widths)} ids: those past the "
            text += f"first {min(widths)}, no tokens of the tokenizer, are left out of both laws"
            yield Note(at_ns=self._now(), text=text)

    def _prepare(self, settings: Settings) -> None:
        """Load and wire everything a run needs, refusing early whatever can't work."""
        gc.collect()  # what an earlier run of a sweep left
        self.settings = settings
        self.device = model.device_for(settings.device)
        drafter = self._member(Drafter, "drafter", settings.drafter)
        self.target = model.load(settings.target, settings, self.device)
        self._vocabulary = self.target.facts.vocabulary
        self.draft = self._load_draft(settings) if drafter.needs_draft_model else None
        new = settings.max_new_tokens + settings.plain_steps
        self._capacity = settings.context + new + settings.depth + 1
        loaded = [self.target] + ([self.draft] if self.draft else [])
        machine.check_fits([each.facts for each in loaded], self._capacity, self.device)
        self.tokens = self._document()
        law = ProcessedLaw(settings.temperature, settings.top_k, settings.top_p)
        self.acceptance_name = acceptance_in_force(settings)
        clock = clock_for(self.device)
        self.engine = Engine(
            target=self._decoder(self.target),
            drafter=drafter(self._decoder(self.draft) if self.draft else None, law),
            acceptance=self._member(Acceptance, "acceptance", self.acceptance_name)(),
            law=law,
            generator=torch.Generator(self.device).manual_seed(settings.seed),
            watch=Stopwatch(clock),
        )
        self.prefill_threads = EVERY
        self.origin_ns = time.perf_counter_ns()
        self.sampler = Sampler(self.device, self._now)
        self.scribe = Scribe(
            law=law,
            acceptance=self.engine.acceptance,
            detail=settings.detail,
            origin_ns=self.origin_ns,
            late=clock.late,
        )

    def _burst(self, burst: int, context: int) -> Iterator[Event]:
        """Feed the text up to `context`, decode from there, and forget what was decoded."""
        watch, settings = self.engine.watch, self.settings
        started_ns, started = self._now(), watch.clock.mark()
        committed = self.tokens[:context]
        yield self._prefill(burst, committed)
        rounds: list[Round] = []
        for one in self._rounds(burst, committed):
            rounds.append(one)
            yield one
        wall_ns = watch.clock.between(started, watch.clock.mark())
        yield Burst(
            burst=burst,
            start_ns=started_ns,
            wall_ns=wall_ns,
            rounds=self._played,
            emitted=len(committed) - context,
            finish="eos" if committed[-1] in self._stop_tokens() else "length",
        )
        if settings.depth and settings.plain_steps:
            yield self._plain(burst, list(committed))
        if context <= settings.recheck_context and any(one.drafted for one in rounds):
            yield from self._recheck(committed, rounds)
        self._roll_back_to(context)

    def _plain(self, burst: int, committed: list[int]) -> Plain:
        """Time the target alone from where the burst ended: the same loop, nothing drafted."""
        context, nobody = len(committed), self._member(Drafter, "drafter", "none")
        alone = replace(self.engine, drafter=nobody(None, self.engine.law))
        steps = list(
            alone.rounds(committed, depth=0, new_tokens=self.settings.plain_steps, stop=frozenset())
        )
        return Plain(burst=burst, context=context, steps_ns=[one.lap.wall_ns() for one in steps])

    def _recheck(self, committed: list[int], rounds: list[Round]) -> Iterator[Recheck]:
        """Recompute the burst without a cache, where there is evidence to hold against it."""
        if self.draft and self.settings.detail == "evidence":
            law, rule = self.engine.law, self.engine.acceptance
            with threads(self.prefill_threads):
                again = recheck(self.target.model, self.draft.model, committed, rounds, law, rule)
            yield again

    def _rounds(self, burst: int, committed: list[int]) -> Iterator[Round]:
        settings = self.settings
        self._played = 0
        for played in self.engine.rounds(
            committed,
            depth=settings.depth,
            new_tokens=settings.max_new_tokens,
            stop=self._stop_tokens(),
        ):
            self._played += 1
            yield from self.scribe.take(played, burst, settings.depth)
        yield from self.scribe.flush(burst, settings.depth)
        self.observe_ns = self.scribe.observe_ns

    def _prefill(self, burst: int, committed: list[int]) -> Prefill:
        target, watch = self.engine.target, self.engine.watch
        fed = len(committed) - 1 - target.length
        watch.begin()
        with threads(self.prefill_threads):
            with watch.span("prefill-target"):
                target.prefill(committed[target.length : -1])
            with watch.span("prefill-draft"):
                self.engine.drafter.prefill(committed)
        lap = watch.finish()
        return Prefill(
            burst=burst,
            context=len(committed),
            fed=fed,
            start_ns=lap.at_ns - self.origin_ns,
            wall_ns=lap.wall_ns(),
            spans=lap.spans(),
        )

    def _warm_up(self) -> None:
        """Decode a few tokens nobody counts: first calls allocate, choose kernels, fill caches.

        On a CPU this is also where the thread counts are measured.
        """
        self._decode_untold()
        if self.device.type == "cpu":
            asked = self.settings.threads
            self.prefill_threads = asked or fastest(self._prefill_untold)
            torch.set_num_threads(asked or fastest(self._decode_untold))
        self._roll_back_to(1)
        self.engine.generator.manual_seed(self.settings.seed)
        gc.collect()
        gc.freeze()  # what is loaded stays: no collection in a round need walk it again

    def _prefill_untold(self) -> None:
        self._roll_back_to(1)
        self.engine.target.prefill(self.tokens[: min(PREFILL_CHUNK, self.settings.context) - 1])

    def _decode_untold(self) -> None:
        self._roll_back_to(min(FIRST_STOP, self.engine.target.length + 1))
        committed = self.tokens[: min(FIRST_STOP, self.settings.context)]
        context = len(committed)
        self.engine.target.prefill(committed[self.engine.target.length : -1])
        self.engine.drafter.prefill(committed)
        for _ in self.engine.rounds(
            committed,
            depth=self.settings.depth,
            new_tokens=min(WARM_UP_TOKENS, self.settings.max_new_tokens),
            stop=frozenset(),
        ):
            pass
        self._roll_back_to(context)

    def _roll_back_to(self, context: int) -> None:
        self.engine.target.rollback(context - 1)
        self.engine.drafter.rollback(context)

    def _load_draft(self, settings: Settings) -> model.Loaded:
        if settings.draft is None:
            title = f"the drafter {settings.drafter!r} needs a draft model"
            raise UsageError(title, "name one with --draft, or use --drafter none")
        draft = model.load(settings.draft, settings, self.device)
        self._vocabulary = model.shared_vocabulary(self.target, draft)
        return draft

    def _decoder(self, loaded: model.Loaded) -> CausalModel:
        cache = self._member(Cache, "cache", self.settings.cache)()
        store = cache.open(loaded.model, self._capacity)
        return CausalModel(loaded.model, store, self.device, self._vocabulary)

    def _document(self) -> list[int]:
        """Return the text's tokens; without a tokenizer (dummy weights) any tokens will do."""
        settings = self.settings
        if self.target.tokenizer is None:
            self.source = f"random tokens, seed {settings.seed}"
            generator = torch.Generator().manual_seed(settings.seed)
            size = (settings.context,)
            drawn = torch.randint(self.target.facts.vocabulary, size, generator=generator)
            return cast("list[int]", drawn.tolist())
        found, self.source = text.document(settings)
        return text.encode(self.target.tokenizer, found, settings.context)

    def _stop_tokens(self) -> frozenset[int]:
        if self.settings.ignore_eos:
            return frozenset()
        config = self.target.model.generation_config
        ends = getattr(config, "eos_token_id", None)
        return frozenset(ends if isinstance(ends, list) else [] if ends is None else [ends])

    @staticmethod
    def _member(base: type[Added], kind: str, name: str) -> type[Added]:
        return registry.load(base, registry.member(kind, name))

    def _now(self) -> int:
        return time.perf_counter_ns() - self.origin_ns

    def _header(self, spec: RunSpec, command: list[str]) -> Header:
        return Header(
            specprof=__version__,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            spec=spec,
            command=command,
            target=self.target.facts,
            draft=self.draft.facts if self.draft else None,
            acceptance=self.acceptance_name,
            clock=clock_facts(self.engine.watch.clock),
            device=str(self.device),
            machine=machine.machine_facts(self.device),
            versions=machine.package_versions(),
            text=self.source,
        )
