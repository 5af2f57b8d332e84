"""Make a run from settings: refuse early what can't work, load the models, wire the parts."""

from collections.abc import Callable, Sequence
from itertools import count
from typing import cast

import torch

from specprof import limits, registry
from specprof.engine.batch import SharedModel
from specprof.engine.decoder import Decoder
from specprof.engine.instruments.stopwatch import Stopwatch, clock_for
from specprof.engine.loop import Loop
from specprof.engine.replay.decision import check_replayed, decide, open_decoder
from specprof.engine.run import Lane, Run
from specprof.engine.sampling import ProcessedLaw
from specprof.engine.setup import loading, text
from specprof.engine.setup.fits import check_fits
from specprof.engine.stores.dense import Store
from specprof.errors import EnvironmentMissing, UsageError
from specprof.extend import Acceptance, Cache, Depth, Drafter, Parts, Shape
from specprof.plan import acceptance_in_force
from specprof.records import ModelFacts
from specprof.settings import Settings


def wire(settings: Settings) -> Run:
    """Return a run, with everything loaded and wired that it needs."""
    device = loading.device_for(settings.device)
    drafter = registry.get(Drafter, settings.drafter)
    capacity = _capacity(settings)
    named = [settings.target] + [settings.draft] * (settings.drafter == "draft-model")
    surveyed = loading.survey_models(named, settings, device)
    _check_memory(settings, capacity, device, surveyed)
    target = loading.load(settings.target, settings, device)
    draft = drafter.load(settings, target)
    loaded = [(each.facts, 0) for each in ([target, draft] if draft else [target])]
    _check_memory(settings, capacity, device, loaded)
    texts, source = _texts(settings, target)
    vocabulary = loading.shared_vocabulary(target, draft) if draft else target.facts.vocabulary
    decoders = _Decoders(settings, capacity, device, vocabulary)
    targets = decoders.open(settings.cache, target.model, waits_for_all=True)
    clock = clock_for(device)
    parts = [
        Parts(
            settings=settings,
            law=ProcessedLaw(settings.temperature, settings.top_k, settings.top_p),
            policy=registry.get(Depth, settings.depth_policy)(settings),
            generator=torch.Generator(device).manual_seed(settings.seed + sequence),
            watch=Stopwatch(clock),
            target=targets[sequence],
            draft=draft,
            decoder=decoders.drafts(sequence),
            store=decoders.store,
            capacity=capacity,
        )
        for sequence in range(settings.batch)
    ]
    lanes = [_lane(each, drafter, tokens) for each, tokens in zip(parts, texts, strict=True)]
    check_replayed(lanes[0].loop.target, settings)
    return Run(
        settings=settings,
        device=device,
        target=target,
        draft=draft,
        lanes=lanes,
        source=source,
        stop=frozenset() if settings.ignore_eos else target.stop_tokens,
    )


def _check_memory(
    settings: Settings,
    capacity: int,
    device: torch.device,
    models: Sequence[tuple[ModelFacts, int]],
) -> None:
    """Refuse a run whose caches, logits and weights yet to load don't fit in memory.

    `models` are facts, and the bytes that each model still has to load.
    """
    kinds = (settings.cache, settings.draft_cache or settings.cache)
    held = [registry.get(Cache, kind)(settings).held(capacity) for kind in kinds]
    check_fits(
        [facts for facts, _ in models],
        capacity,
        device,
        settings.batch,
        held[: len(models)],
        rows=_logit_rows(settings),
        weight_bytes=sum(size for _, size in models),
    )


def _logit_rows(settings: Settings) -> int:
    """Return the most rows of logits that one sequence holds at once."""
    if settings.workload == "ppl":
        return min(settings.score_step, settings.context)
    expanded = limits.max_expanded(settings) if settings.shape == "dynamic-tree" else 0
    return limits.max_drafted(settings) + expanded + 1


class _Decoders:
    """Opens models to decode with: a decoder for every sequence, over caches of the run's kinds."""

    def __init__(
        self, settings: Settings, capacity: int, device: torch.device, vocabulary: int
    ) -> None:
        self.settings = settings
        self.capacity = capacity
        self.device = device
        self.vocabulary = vocabulary
        self.draft_cache = settings.draft_cache or settings.cache
        self._drafts: list[list[Decoder]] = []

    def open(
        self, cache: str, module: torch.nn.Module, *, waits_for_all: bool = False
    ) -> list[Decoder]:
        """Return a decoder of `module` for each sequence; in a batch they share their forwards."""
        kind = registry.get(Cache, cache)(self.settings)
        stores = [kind.open(module, self.capacity) for _ in range(self.settings.batch)]
        if len(stores) > 1 and any(type(store) is not Store for store in stores):
            title = f"cache {cache!r} was asked for batch {len(stores)}"
            raise UsageError(title, "it keeps one sequence: use batch 1, or cache dense")
        forwards = decide(module, stores[0], self.device, self.settings)
        if len(stores) == 1:
            return [open_decoder(module, stores[0], self.device, self.vocabulary, forwards)]
        shared = SharedModel(
            module,
            stores,
            self.device,
            self.vocabulary,
            waits_for_all=waits_for_all,
            forwards=forwards,
        )
        return [*shared.decoders]

    def drafts(self, sequence: int) -> Callable[[torch.nn.Module], Decoder]:
        """Return the function that opens a drafter's models for one sequence.

        The nth model that it opens shares its forwards with the nth of every other sequence.
        """
        asked = count()

        def decoder(module: torch.nn.Module) -> Decoder:
            number = next(asked)
            if number == len(self._drafts):
                self._drafts.append(self.open(self.draft_cache, module))
            return self._drafts[number][sequence]

        return decoder

    def store(self, module: torch.nn.Module) -> Store:
        """Return a cache alone. Raises UsageError in a batch, whose forwards are shared."""
        if self.settings.batch > 1:
            title = f"drafter {self.settings.drafter!r} was asked for batch {self.settings.batch}"
            raise UsageError(title, "it decodes in its own way, one sequence: use batch 1")
        return registry.get(Cache, self.draft_cache)(self.settings).open(module, self.capacity)


def _lane(parts: Parts, drafter: type[Drafter], tokens: list[int]) -> Lane:
    rule = acceptance_in_force(parts.settings)
    acceptance = registry.get(Acceptance, rule)()
    loop = Loop(parts=parts, drafter=drafter(parts), acceptance=acceptance)
    return Lane(loop=loop, tokens=tokens)


def _capacity(settings: Settings) -> int:
    """Return the most tokens a cache ever holds: text, new ones, one round's drafts."""
    shape = registry.get(Shape, settings.shape)
    policy = registry.get(Depth, settings.depth_policy)(settings)
    new = settings.max_new_tokens + settings.plain_steps
    return settings.context + new + shape.room(settings, policy.bound) + 1


def document(settings: Settings, target: loading.Loaded) -> tuple[list[int], str]:
    """Return the text's tokens, and its source."""
    texts, source = _texts(settings, target)
    return texts[0], source


def _texts(settings: Settings, target: loading.Loaded) -> tuple[list[list[int]], str]:
    """Return each sequence's tokens and their source; random tokens if there is no tokenizer."""
    if target.tokenizer is None:
        generator = torch.Generator().manual_seed(settings.seed)
        size = (settings.batch, settings.context)
        drawn = torch.randint(target.facts.vocabulary, size, generator=generator)
        return cast("list[list[int]]", drawn.tolist()), f"random tokens, seed {settings.seed}"
    found, source = text.document(settings)
    if settings.batch > 1:
        source += f"; {settings.batch} stretches of it, evenly apart"
    texts = text.stretches(target.tokenizer, found, settings.context, settings.batch)
    known, last = target.facts.vocabulary, max(map(max, texts))
    if last >= known:
        title = (
            f"the tokenizer of {target.facts.name} makes the id {last}; its model has {known} ids"
        )
        raise EnvironmentMissing(title, "its tokenizer belongs to another model: download it again")
    return texts, source
