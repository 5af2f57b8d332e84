"""From settings to the parts that play: loads, refuses early what can't work, wires the rest."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import TypeVar, cast

import torch

from specprof import limits, registry
from specprof.engine import model, text
from specprof.engine.batch import Table
from specprof.engine.cache import Store
from specprof.engine.decoder import Decoder, Runs
from specprof.engine.fits import check_fits
from specprof.engine.flat.proof import way
from specprof.engine.graphs import check_replayed, opened, recorder, refusal
from specprof.engine.loop import Engine
from specprof.engine.sampling import ProcessedLaw
from specprof.engine.stopwatch import Stopwatch, clock_for
from specprof.errors import EnvironmentMissing, UsageError
from specprof.extend import Acceptance, Cache, Depth, Drafter, Rig, Shape
from specprof.plan import acceptance_in_force
from specprof.records import ModelFacts
from specprof.settings import Settings

Added = TypeVar("Added")


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """One sequence of a run: the text it decodes over, and the parts that play it."""

    rig: Rig
    engine: Engine
    tokens: list[int]
    """The text to decode over."""

    def roll_back_to(self, context: int) -> None:
        """Forget everything but the first `context` tokens of the text."""
        self.engine.target.rollback(context - 1)
        self.engine.drafter.rollback(context)

    def draw_anew(self) -> None:
        """Begin the sequence's random draws from the start, and what its depth policy learns."""
        self.rig.generator.manual_seed(self.rig.generator.initial_seed())
        vars(self.rig.policy).update(vars(type(self.rig.policy)(self.rig.settings)))

    def alone(self) -> Engine:
        """Return the target playing by itself: the same loop, nothing drafted, its own draws."""
        parts, drawn = self.engine, self.engine.generator
        return Engine(
            target=parts.target,
            drafter=member(Drafter, "drafter", "none")(self.rig),
            acceptance=parts.acceptance,
            law=parts.law,
            policy=member(Depth, "depth", "fixed")(self.rig.settings),
            generator=torch.Generator(drawn.device).manual_seed(drawn.initial_seed()),
            watch=parts.watch,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Wired:
    """A run ready to be played."""

    settings: Settings
    device: torch.device
    target: model.Loaded
    draft: model.Loaded | None
    lanes: list[Lane]
    """One a sequence; what is said of a run and not of a sequence is the first one's."""
    source: str
    """Where the text came from."""
    stop: frozenset[int]
    """Tokens that end a burst."""

    @property
    def rig(self) -> Rig:
        """What the first sequence's parts were made from."""
        return self.lanes[0].rig

    @property
    def engine(self) -> Engine:
        """The first sequence's; the only one but in a batch."""
        return self.lanes[0].engine

    @property
    def tokens(self) -> list[int]:
        """The first sequence's text."""
        return self.lanes[0].tokens

    def roll_back_to(self, context: int) -> None:
        """Forget everything but the first `context` tokens of each sequence's text."""
        for lane in self.lanes:
            lane.roll_back_to(context)


def wire(settings: Settings) -> Wired:
    """Load and wire everything a run needs."""
    device = model.device_for(settings.device)
    drafter = member(Drafter, "drafter", settings.drafter)
    capacity = _capacity(settings)
    named = [settings.target] + [settings.draft] * (settings.drafter == "draft-model")
    looked = model.look(named, settings, device)
    _check_room(settings, capacity, device, looked)
    target = model.load(settings.target, settings, device)
    draft = drafter.load(settings, target)
    loaded = [(each.facts, 0) for each in ([target, draft] if draft else [target])]
    _check_room(settings, capacity, device, loaded)
    texts, source = _texts(settings, target)
    vocabulary = model.shared_vocabulary(target, draft) if draft else target.facts.vocabulary
    decoders = _Decoders(settings, capacity, device, vocabulary)
    targets = decoders.open(settings.cache, target.model, patient=True)
    clock = clock_for(device)
    rigs = [
        Rig(
            settings=settings,
            law=ProcessedLaw(settings.temperature, settings.top_k, settings.top_p),
            policy=member(Depth, "depth", settings.depth_policy)(settings),
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
    lanes = [_lane(rig, drafter, tokens) for rig, tokens in zip(rigs, texts, strict=True)]
    check_replayed(lanes[0].engine.target, settings)
    return Wired(
        settings=settings,
        device=device,
        target=target,
        draft=draft,
        lanes=lanes,
        source=source,
        stop=frozenset() if settings.ignore_eos else target.stop_tokens,
    )


def _check_room(
    settings: Settings,
    capacity: int,
    device: torch.device,
    models: Sequence[tuple[ModelFacts, int]],
) -> None:
    """Refuse what memory can't hold: caches, logits, and of each model the bytes yet to load."""
    kinds = (settings.cache, settings.draft_cache or settings.cache)
    held = [member(Cache, "cache", kind)(settings).held(capacity) for kind in kinds]
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
    """Return the most rows of logits that are there at once, of one sequence."""
    if settings.workload == "ppl":
        return min(settings.score_step, settings.context)
    expanded = limits.expanded_at_most(settings) if settings.shape == "dynamic-tree" else 0
    return limits.drafted_at_most(settings) + expanded + 1


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

    def open(self, cache: str, module: torch.nn.Module, *, patient: bool = False) -> list[Decoder]:
        """Return one decoder of `module` a sequence; those of a batch share their forwards."""
        kind = member(Cache, "cache", cache)(self.settings)
        stores = [kind.open(module, self.capacity) for _ in range(self.settings.batch)]
        runs = way(module, self.settings.path).runs
        if len(stores) == 1:
            return [self._alone(module, stores[0], runs)]
        if any(type(store) is not Store for store in stores):
            title = f"cache {cache!r} was asked for batch {len(stores)}"
            raise UsageError(title, "it keeps one sequence: use batch 1, or cache dense")
        table = Table(module, stores, self.device, self.vocabulary, patient=patient, runs=runs)
        for seat in table.seats:
            seat.unreplayed = refusal(
                module, seat.store, recorder(self.device), runs=runs, settings=self.settings
            )
        return [*table.seats]

    def _alone(self, module: torch.nn.Module, store: Store, runs: Runs) -> Decoder:
        return opened(
            module, store, self.device, self.vocabulary, runs=runs, settings=self.settings
        )

    def drafts(self, sequence: int) -> Callable[[torch.nn.Module], Decoder]:
        """Return what opens a drafter's models for one sequence: its nth is every other's nth."""
        asked = count()

        def decoder(module: torch.nn.Module) -> Decoder:
            number = next(asked)
            if number == len(self._drafts):
                self._drafts.append(self.open(self.draft_cache, module))
            return self._drafts[number][sequence]

        return decoder

    def store(self, module: torch.nn.Module) -> Store:
        """Return a cache alone; refused in a batch, whose forwards are shared."""
        if self.settings.batch > 1:
            title = f"drafter {self.settings.drafter!r} was asked for batch {self.settings.batch}"
            raise UsageError(title, "it decodes in its own way, one sequence: use batch 1")
        return member(Cache, "cache", self.draft_cache)(self.settings).open(module, self.capacity)


def _lane(rig: Rig, drafter: type[Drafter], tokens: list[int]) -> Lane:
    rule = acceptance_in_force(rig.settings)
    engine = Engine(
        target=rig.target,
        drafter=drafter(rig),
        acceptance=member(Acceptance, "acceptance", rule)(),
        law=rig.law,
        policy=rig.policy,
        generator=rig.generator,
        watch=rig.watch,
    )
    return Lane(rig=rig, engine=engine, tokens=tokens)


def member(base: type[Added], kind: str, name: str) -> type[Added]:
    """Return the registry's member of that name; an unknown one lists the known."""
    return registry.load(base, registry.member(kind, name))


def _capacity(settings: Settings) -> int:
    """Return the most tokens a cache ever holds: text, new ones, one round's drafts."""
    shape = member(Shape, "shape", settings.shape)
    policy = member(Depth, "depth", settings.depth_policy)(settings)
    new = settings.max_new_tokens + settings.plain_steps
    return settings.context + new + shape.room(settings, policy.bound) + 1


def document(settings: Settings, target: model.Loaded) -> tuple[list[int], str]:
    """Return the text's tokens, and where it came from."""
    texts, source = _texts(settings, target)
    return texts[0], source


def _texts(settings: Settings, target: model.Loaded) -> tuple[list[list[int]], str]:
    """Return each sequence's tokens; without a tokenizer (dummy weights) any tokens will do."""
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
            f"the tokenizer of {target.facts.name} makes the id {last}, and its model has {known}"
        )
        raise EnvironmentMissing(title, "its tokenizer belongs to another model: download it again")
    return texts, source
