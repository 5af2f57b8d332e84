"""From settings to the parts that play: loads, refuses early what can't work, wires the rest."""

from dataclasses import dataclass
from typing import TypeVar, cast

import torch

from specprof import registry
from specprof.engine import machine, model, text
from specprof.engine.cache import Store
from specprof.engine.decoder import CausalModel
from specprof.engine.loop import Engine
from specprof.engine.sampling import ProcessedLaw
from specprof.engine.stopwatch import Stopwatch, clock_for
from specprof.extend import Acceptance, Cache, Depth, Drafter, Rig, Shape
from specprof.plan import acceptance_in_force
from specprof.records import Settings

Added = TypeVar("Added")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wired:
    """A run ready to be played."""

    settings: Settings
    device: torch.device
    target: model.Loaded
    draft: model.Loaded | None
    rig: Rig
    engine: Engine
    tokens: list[int]
    """The text to decode over."""
    source: str
    """Where it came from."""
    stop: frozenset[int]
    """Tokens that end a burst."""

    def roll_back_to(self, context: int) -> None:
        """Forget everything but the first `context` tokens of the text."""
        self.engine.target.rollback(context - 1)
        self.engine.drafter.rollback(context)

    def alone(self) -> Engine:
        """Return the target playing by itself: the same loop, nothing drafted, its own draws."""
        parts = self.engine
        return Engine(
            target=parts.target,
            drafter=member(Drafter, "drafter", "none")(self.rig),
            acceptance=parts.acceptance,
            law=parts.law,
            policy=member(Depth, "depth", "fixed")(self.settings),
            generator=torch.Generator(self.device).manual_seed(self.settings.seed),
            watch=parts.watch,
        )


def wire(settings: Settings) -> Wired:
    """Load and wire everything a run needs."""
    device = model.device_for(settings.device)
    drafter = member(Drafter, "drafter", settings.drafter)
    target = model.load(settings.target, settings, device)
    draft = drafter.load(settings, target)
    policy = member(Depth, "depth", settings.depth_policy)(settings)
    capacity = _capacity(settings, policy)
    loaded = [target] + ([draft] if draft else [])
    machine.check_fits([each.facts for each in loaded], capacity, device)
    tokens, source = _document(settings, target)
    vocabulary = model.shared_vocabulary(target, draft) if draft else target.facts.vocabulary

    def store(cache: str, module: torch.nn.Module) -> Store:
        return member(Cache, "cache", cache)(settings).open(module, capacity)

    def decoder(cache: str, module: torch.nn.Module) -> CausalModel:
        return CausalModel(module, store(cache, module), device, vocabulary)

    draft_cache = settings.draft_cache or settings.cache
    rig = Rig(
        settings=settings,
        law=ProcessedLaw(settings.temperature, settings.top_k, settings.top_p),
        policy=policy,
        generator=torch.Generator(device).manual_seed(settings.seed),
        watch=Stopwatch(clock_for(device)),
        target=decoder(settings.cache, target.model),
        draft=draft,
        decoder=lambda module: decoder(draft_cache, module),
        store=lambda module: store(draft_cache, module),
        capacity=capacity,
    )
    engine = Engine(
        target=rig.target,
        drafter=drafter(rig),
        acceptance=member(Acceptance, "acceptance", acceptance_in_force(settings))(),
        law=rig.law,
        policy=policy,
        generator=rig.generator,
        watch=rig.watch,
    )
    return Wired(
        settings=settings,
        device=device,
        target=target,
        draft=draft,
        rig=rig,
        engine=engine,
        tokens=tokens,
        source=source,
        stop=frozenset() if settings.ignore_eos else target.stop_tokens,
    )


def member(base: type[Added], kind: str, name: str) -> type[Added]:
    """Return the registry's member of that name; an unknown one lists the known."""
    return registry.load(base, registry.member(kind, name))


def _capacity(settings: Settings, policy: Depth) -> int:
    """Return the most tokens a cache ever holds: text, new ones, one round's drafts."""
    shape = member(Shape, "shape", settings.shape)
    new = settings.max_new_tokens + settings.plain_steps
    return settings.context + new + shape.room(settings, policy.bound) + 1


def _document(settings: Settings, target: model.Loaded) -> tuple[list[int], str]:
    """Return the text's tokens; without a tokenizer (dummy weights) any tokens will do."""
    if target.tokenizer is None:
        generator = torch.Generator().manual_seed(settings.seed)
        size = (settings.context,)
        drawn = torch.randint(target.facts.vocabulary, size, generator=generator)
        return cast("list[int]", drawn.tolist()), f"random tokens, seed {settings.seed}"
    found, source = text.document(settings)
    return text.encode(target.tokenizer, found, settings.context), source
