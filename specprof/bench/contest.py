"""Who decodes fastest here: transformers' own loops and ours, in one process, in mirrored order.

Everybody decodes the same number of tokens on from the end of the same text, held in caches filled
beforehand, so that no prefill is in any of the times. A repetition plays all in one order and then
in the other, A B C C B A: what drifts falls on all alike. The next begins with B: who plays twice
running finds the processor's caches warm, and that falls on all alike too. Whoever can't play says
why and the others go on. Tells times and tokens; what they amount to is for others to say.
"""

import gc
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Literal

import msgspec
import torch

from specprof.backends.hf.generate import Generate
from specprof.backends.hf_assisted import HfAssisted
from specprof.backends.hf_generate import HfGenerate
from specprof.bench.repeated import Repeated
from specprof.engine.flat.proof import MAX_HALF_PRECISION_ERROR, MAX_ROUNDING_ERROR
from specprof.engine.instruments.bout import Bout
from specprof.engine.instruments.threads import threads
from specprof.engine.replay.decision import recorder_for, replay_status
from specprof.engine.setup import loading
from specprof.errors import SpecprofError, UsageError
from specprof.limits import check
from specprof.settings import Detail, Settings

Loop = Literal["generate", "assisted", "plain", "speculative"]
PEERS: dict[Loop, type[Generate]] = {"generate": HfGenerate, "assisted": HfAssisted}
"""transformers' own loops."""
PLAYED: tuple[Loop, ...] = ("plain", "speculative")
"""Our own."""
LEVELS: tuple[Detail, ...] = ("off", "rounds", "evidence")
LEAST = 2
"""Repetitions played however short the time."""
UNDRAFTED = {"drafter": "none", "draft": None, "draft_cache": None, "depth": 0}
"""Settings of plain decoding."""
Law = tuple[str, int, int, int]
Play = Callable[[int], Bout]
"""Decodes once with the draws of a seed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """Somebody who is to play."""

    name: str
    loop: Loop
    settings: Settings
    """Of ours `path`, `graphs` and `detail` count; a peer has none of them."""


@dataclass(frozen=True, slots=True)
class Strayed:
    """The first place where somebody's greedy tokens are not those they should be."""

    at: int
    """Tokens after the text before it."""
    of: str
    """Whose tokens they were held against."""
    gap: float | None
    """How far the two tokens lie apart, in standard deviations of the target's logits there."""
    tie: bool
    """Whether that is so near that rounding decides."""


@dataclass(slots=True, kw_only=True)
class Standing:
    """What came of an entry."""

    entry: Entry
    trouble: str | None = None
    """Why it didn't play."""
    threads: int | None = None
    """Threads of the processor it took."""
    replayed: bool | None = None
    """Whether its short forwards are replayed, the target's at least; None: a peer, or none."""
    unreplayed: str | None = None
    """Why those of the target, and of its draft where otherwise, are not."""
    bouts: list[Bout] = field(default_factory=list)
    """Two a repetition: one on the way out and one on the way back."""
    strayed: Strayed | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Contest:
    """What was played."""

    standings: list[Standing]
    settings: Settings
    """What was asked; `context` tokens of text everybody went on from by `max_new_tokens`."""
    repetitions: int
    device: str
    dtype: str
    seconds: float
    """What the repetitions took, loading and prefill apart."""
    stopped: bool = False
    """Whether the user ended it."""


def entries(settings: Settings) -> list[Entry]:
    """Return everybody who can be asked for `settings`: peers, then ours by path and detail.

    Where forwards can be recorded and replayed, ours without that too.
    Raises UsageError for what no run can have.
    """
    _check(settings)
    base = msgspec.structs.replace(
        settings,
        backend="native",
        workload="generate",
        ignore_eos=True,
        plain_steps=0,
        detail="off",
    )
    generate = msgspec.structs.replace(base, backend="hf-generate", **UNDRAFTED)
    assisted = msgspec.structs.replace(base, backend="hf-assisted")
    found = [
        Entry(name="generate", loop="generate", settings=generate),
        Entry(name=f"assisted K={settings.depth}", loop="assisted", settings=assisted),
    ]
    found += ours(base)
    if recorder_for(loading.device_for(settings.device)):
        found += [
            replace(each, name=each.name.replace(" off", " eager"))
            for each in ours(
                msgspec.structs.replace(base, graphs="off"), levels=("off",), plain=False
            )
        ]
    return found


def ours(
    base: Settings, prefix: str = "", levels: Sequence[Detail] = LEVELS, *, plain: bool = True
) -> list[Entry]:
    """Return our own loops' entries: by path plain (or not) and speculative, by level of detail.

    Plain decoding drafts nothing, so there is no evidence to gather: `rounds` is all of its cost.
    """
    return [
        Entry(
            name=f"{prefix}{path} {'plain' if loop == 'plain' else f'K={base.depth}'} {detail}",
            loop=loop,
            settings=msgspec.structs.replace(base, path=path, detail=detail),
        )
        for path in ("modules", "flat")
        for loop in (PLAYED if plain else PLAYED[1:])
        for detail in levels
        if loop == "speculative" or detail != "evidence"
    ]


def law(settings: Settings) -> Law:
    """Return what decides, beside the models, which tokens are right: the target's own cache."""
    return settings.cache, settings.window, settings.sinks, settings.block


def _check(settings: Settings) -> None:
    if settings.depth < 1 or settings.draft is None:
        title = f"a contest was asked for with depth {settings.depth}, draft {settings.draft}"
        raise UsageError(title, "it times speculation too: name a draft, and a depth from 1 on")
    if settings.batch != 1:
        title = f"a contest was asked for with batch {settings.batch}"
        raise UsageError(title, "assisted generation decodes one sequence: use batch 1")
    check(settings)


def play(
    asked: Sequence[Entry],
    folder: Path,
    *,
    seconds: float,
    tell: Callable[[str], None],
    least: int = LEAST,
) -> Contest:
    """Play repetitions for `seconds`, at least so many; Ctrl-C ends it after what was played whole.

    `tell` hears how it goes. Captures are written into `folder`. Raises UsageError where nobody
    can play.
    """
    standings = [Standing(entry=entry) for entry in asked]
    with ExitStack() as undo:
        hall = _Hall(asked[0].settings, folder, undo)
        for entry in asked:
            hall.find(entry.settings)
        playing = [(each, player) for each in standings if (player := hall.admit(each, tell))]
        if not playing:
            raise UsageError(f"nobody can play: {standings[0].trouble}", "change what was asked")
        undo.callback(torch.set_num_threads, torch.get_num_threads())
        began, stopped = time.monotonic(), False
        seeds = count(asked[0].settings.seed + 1)
        repetitions = 0
        try:
            while repetitions < least or time.monotonic() - began < seconds:
                turned = repetitions % len(playing)
                order = playing[turned:] + playing[:turned]
                for each, bout in _repetition(order, next(seeds), next(seeds)):
                    each.bouts.append(bout)
                repetitions += 1
                tell(f"repetition {repetitions}, {time.monotonic() - began:.0f} of {seconds:g} s")
        except KeyboardInterrupt:
            if not repetitions:
                raise
            stopped = True
        took = time.monotonic() - began
        for each, _ in playing:
            del each.bouts[2 * repetitions :]
        hall.compare([each for each, _ in playing])
    base = max((entry.settings for entry in asked), key=lambda one: one.depth)
    return Contest(
        standings=standings,
        settings=msgspec.structs.replace(base, backend="native", path="auto", graphs="auto"),
        repetitions=repetitions,
        device=str(hall.device),
        dtype=str(loading.dtype_for(base.dtype, hall.device)).removeprefix("torch."),
        seconds=took,
        stopped=stopped,
    )


class _Hall:
    """Makes players of entries; engines that differ in detail only are one."""

    def __init__(self, base: Settings, folder: Path, undo: ExitStack) -> None:
        """Load the target of `base`, which everybody needs, so that a wrong name ends it here."""
        self.device = loading.device_for(base.device)
        loading.load(base.target, base, self.device)
        self.folder = folder
        self.undo = undo
        self.engines: dict[Settings, Repeated] = {}
        self._refused: dict[Settings, SpecprofError] = {}
        undo.callback(gc.unfreeze)

    def find(self, settings: Settings) -> None:
        """Load the draft model of an entry: a wrong name ends the contest before it begins."""
        if settings.draft and settings.drafter == "draft-model":
            loading.load(settings.draft, settings, self.device)

    def admit(self, standing: Standing, tell: Callable[[str], None]) -> Play | None:
        """Return what plays an entry, once played already; None where it can't, and why."""
        tell(f"{standing.entry.name}: a first play, not counted")
        refusals = (Exception,) if standing.entry.loop in PEERS else (SpecprofError,)
        try:
            standing.threads, player = self._player(standing.entry)
            standing.replayed, standing.unreplayed = self._replays(standing.entry)
            player(standing.entry.settings.seed)
        except refusals as trouble:  # of transformers anything; of ours what is meant to be told
            standing.trouble = _told(trouble)
            return None
        return player

    def _player(self, entry: Entry) -> tuple[int, Play]:
        """Return the threads an entry takes, and what plays it with them."""
        kind = PEERS.get(entry.loop)
        if kind is None:
            alone, detail = entry.loop == "plain", entry.settings.detail
            engine = self._engine(entry)
            return engine.threads, lambda seed: _with(
                engine.threads, lambda: engine.play(detail, alone=alone, seed=seed)
            )
        peer = kind()
        self.undo.enter_context(peer.ready(entry.settings))
        counted = torch.get_num_threads()
        return counted, lambda seed: _with(counted, lambda: peer.bare(seed=seed))

    def _replays(self, entry: Entry) -> tuple[bool | None, str | None]:
        """Return whether an entry's short forwards are replayed, and whose are not, and why."""
        if entry.loop in PEERS:
            return None, None
        engine = self._engine(entry).run.loop
        draft = engine.drafter.draft if entry.loop == "speculative" else None
        ours, theirs = replay_status(engine.target)[1], replay_status(draft)[1]
        told = [ours, f"of the draft: {theirs}" if theirs and theirs != ours else None]
        return ours is None, "; ".join(filter(None, told)) or None

    def _engine(self, entry: Entry) -> Repeated:
        """Return the engine an entry is played by; plain decoding does without a draft if it must.

        Raises what the settings are refused with.
        """
        settings = msgspec.structs.replace(entry.settings, detail="off")
        try:
            return self._opened(settings)
        except SpecprofError:
            if entry.loop != "plain":
                raise
        return self._opened(msgspec.structs.replace(settings, **UNDRAFTED))

    def _opened(self, settings: Settings) -> Repeated:
        if settings in self._refused:
            raise self._refused[settings]
        if settings not in self.engines:
            try:
                self.engines[settings] = Repeated(settings, self.folder)
            except SpecprofError as trouble:
                self._refused[settings] = trouble
                raise
        return self.engines[settings]

    def compare(self, standings: Sequence[Standing]) -> None:
        """Hold greedy tokens against those of the first entry that reads by the same law."""
        firsts: dict[Law, Standing] = {}
        for each in standings:
            if each.entry.settings.temperature == 0:
                right = firsts.setdefault(law(each.entry.settings), each)
                each.strayed = self._strayed(each, right)

    def _strayed(self, standing: Standing, right: Standing) -> Strayed | None:
        """Return where any of an entry's plays first left the `right` tokens; None: nowhere."""
        wanted = right.bouts[0].emitted
        for bout in standing.bouts:
            pairs = enumerate(zip(bout.emitted, wanted, strict=True))
            at = next((place for place, (ours, theirs) in pairs if ours != theirs), None)
            if at is not None:
                gap = self._gap(standing.entry.settings, wanted[: at + 1], bout.emitted[at])
                return Strayed(at, right.entry.name, gap, gap is not None and gap <= self._noise)
        return None

    def _gap(self, settings: Settings, tokens: list[int], other: int) -> float | None:
        """Return how far two tokens lie apart by an engine of the same law, where one plays."""
        engines = (one for key, one in self.engines.items() if law(key) == law(settings))
        engine = next(engines, None)
        return engine.gap(tokens, other) if engine else None

    @property
    def _noise(self) -> float:
        """What rounding explains, in standard deviations of the logits."""
        held = next(iter(self.engines.values())).run.target.model
        return MAX_ROUNDING_ERROR.get(next(held.parameters()).dtype, MAX_HALF_PRECISION_ERROR)


def _with(count: int, play_: Callable[[], Bout]) -> Bout:
    with threads(count):
        return play_()


def _repetition(
    playing: Sequence[tuple[Standing, Play]], out: int, back: int
) -> Iterator[tuple[Standing, Bout]]:
    """Play everybody with the seed `out`, then in the other order with the seed `back`."""
    for seed, order in ((out, playing), (back, playing[::-1])):
        for standing, player in order:
            yield standing, player(seed)


def _told(trouble: Exception) -> str:
    """Return an error on one line."""
    if isinstance(trouble, SpecprofError):
        return f"{trouble.title}; {trouble.hint}"
    return f"{type(trouble).__name__}: {str(trouble).strip().partition(chr(10))[0]}"
