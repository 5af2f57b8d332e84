"""Find what decodes fastest: transformers' own loops and ours, in one process, in mirrored order.

Every entry decodes the same number of tokens after the same text. The caches hold that text before,
so no time includes prefill. A repetition plays all entries in one order and then in the reverse,
A B C C B A, so a drift falls on all alike. The next repetition begins with B: an entry that plays
twice in a row finds the processor's caches warm, and this falls on all alike too. If an entry can't
play, its trouble is recorded and the others go on. The result is times and tokens; other modules
compare them.
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
OWN_LOOPS: tuple[Loop, ...] = ("plain", "speculative")
DETAIL_LEVELS: tuple[Detail, ...] = ("off", "rounds", "evidence")
MIN_REPETITIONS = 2
"""Played even if the time is shorter."""
PLAIN_SETTINGS = {"drafter": "none", "draft": None, "draft_cache": None, "depth": 0}
"""Settings of plain decoding."""
CacheLaw = tuple[str, int, int, int]
Play = Callable[[int], Bout]
"""Decodes once with the draws of a seed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A loop that is to play, and its settings."""

    name: str
    loop: Loop
    settings: Settings
    """A peer ignores `path`, `graphs` and `detail`."""


@dataclass(frozen=True, slots=True)
class Strayed:
    """The first place where an entry's greedy tokens are not the expected ones."""

    at: int
    """Tokens between the text and this place."""
    of: str
    """The name of the entry whose tokens were expected."""
    gap: float | None
    """How far the two tokens lie apart, in standard deviations of the target's logits there."""
    tie: bool
    """Whether the two are so near that rounding decides."""


@dataclass(slots=True, kw_only=True)
class Standing:
    """The result of an entry."""

    entry: Entry
    trouble: str | None = None
    """Why it didn't play."""
    threads: int | None = None
    """The number of processor threads it used."""
    replayed: bool | None = None
    """Whether the target's short forwards are replayed; None for a peer, or if it didn't play."""
    unreplayed: str | None = None
    """Why the target's are not, and why the draft's are not if for another reason."""
    bouts: list[Bout] = field(default_factory=list)
    """Two a repetition: one on the way out and one on the way back."""
    strayed: Strayed | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Contest:
    """The result of a contest."""

    standings: list[Standing]
    settings: Settings
    """What was asked for: every entry decoded `max_new_tokens` after `context` tokens of text."""
    repetitions: int
    device: str
    dtype: str
    seconds: float
    """How long the repetitions took, without loading and prefill."""
    stopped: bool = False
    """Whether the user ended it."""


def entries(settings: Settings) -> list[Entry]:
    """Return all entries for `settings`: peers, then ours by path and detail.

    Where forwards can be recorded and replayed, there are entries of ours without replay too.
    Raises UsageError for settings that no run can have.
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
    generate = msgspec.structs.replace(base, backend="hf-generate", **PLAIN_SETTINGS)
    assisted = msgspec.structs.replace(base, backend="hf-assisted")
    found = [
        Entry(name="generate", loop="generate", settings=generate),
        Entry(name=f"assisted K={settings.depth}", loop="assisted", settings=assisted),
    ]
    found += own_entries(base)
    if recorder_for(loading.device_for(settings.device)):
        found += [
            replace(each, name=each.name.replace(" off", " eager"))
            for each in own_entries(
                msgspec.structs.replace(base, graphs="off"), levels=("off",), plain=False
            )
        ]
    return found


def own_entries(
    base: Settings,
    prefix: str = "",
    levels: Sequence[Detail] = DETAIL_LEVELS,
    *,
    plain: bool = True,
) -> list[Entry]:
    """Return our own loops' entries, by path, loop and level of detail; `plain` includes that loop.

    Plain decoding drafts nothing and has no evidence to gather, so `rounds` is all of its cost.
    """
    return [
        Entry(
            name=f"{prefix}{path} {'plain' if loop == 'plain' else f'K={base.depth}'} {detail}",
            loop=loop,
            settings=msgspec.structs.replace(base, path=path, detail=detail),
        )
        for path in ("modules", "flat")
        for loop in (OWN_LOOPS if plain else OWN_LOOPS[1:])
        for detail in levels
        if loop == "speculative" or detail != "evidence"
    ]


def cache_law(settings: Settings) -> CacheLaw:
    """Return the settings of the target's cache: they too decide which tokens are right."""
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
    report: Callable[[str], None],
    least: int = MIN_REPETITIONS,
) -> Contest:
    """Play repetitions for `seconds`, at least `least` of them; Ctrl-C ends the contest early.

    A repetition that Ctrl-C interrupts doesn't count. `report` is called with the progress.
    Captures are written into `folder`. Raises UsageError if no entry can play.
    """
    standings = [Standing(entry=entry) for entry in asked]
    with ExitStack() as undo:
        players = _Players(asked[0].settings, folder, undo)
        for entry in asked:
            players.load_draft(entry.settings)
        playing = [(each, player) for each in standings if (player := players.admit(each, report))]
        if not playing:
            raise UsageError(f"no entry can play: {standings[0].trouble}", "change the settings")
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
                report(f"repetition {repetitions}, {time.monotonic() - began:.0f} of {seconds:g} s")
        except KeyboardInterrupt:
            if not repetitions:
                raise
            stopped = True
        took = time.monotonic() - began
        for each, _ in playing:
            del each.bouts[2 * repetitions :]
        players.compare([each for each, _ in playing])
    base = max((entry.settings for entry in asked), key=lambda one: one.depth)
    return Contest(
        standings=standings,
        settings=msgspec.structs.replace(base, backend="native", path="auto", graphs="auto"),
        repetitions=repetitions,
        device=str(players.device),
        dtype=str(loading.dtype_for(base.dtype, players.device)).removeprefix("torch."),
        seconds=took,
        stopped=stopped,
    )


class _Players:
    """Makes a player for each entry; entries that differ only in detail share an engine."""

    def __init__(self, base: Settings, folder: Path, undo: ExitStack) -> None:
        """Load the target of `base`, which all entries need; a wrong name raises here."""
        self.device = loading.device_for(base.device)
        loading.load(base.target, base, self.device)
        self.folder = folder
        self.undo = undo
        self.engines: dict[Settings, Repeated] = {}
        self._refused: dict[Settings, SpecprofError] = {}
        undo.callback(gc.unfreeze)

    def load_draft(self, settings: Settings) -> None:
        """Load the draft model of an entry: a wrong name ends the contest before it begins."""
        if settings.draft and settings.drafter == "draft-model":
            loading.load(settings.draft, settings, self.device)

    def admit(self, standing: Standing, report: Callable[[str], None]) -> Play | None:
        """Return the function that plays an entry, after a play that doesn't count.

        Return None if it can't play; `standing.trouble` then says why.
        """
        report(f"{standing.entry.name}: a first play, not counted")
        refusals = (Exception,) if standing.entry.loop in PEERS else (SpecprofError,)
        try:
            standing.threads, player = self._player(standing.entry)
            standing.replayed, standing.unreplayed = self._replays(standing.entry)
            player(standing.entry.settings.seed)
        except refusals as trouble:  # transformers may raise anything
            standing.trouble = _one_line(trouble)
            return None
        return player

    def _player(self, entry: Entry) -> tuple[int, Play]:
        """Return the threads that an entry takes, and the function that plays it with them."""
        kind = PEERS.get(entry.loop)
        if kind is None:
            alone, detail = entry.loop == "plain", entry.settings.detail
            engine = self._engine(entry)
            return engine.threads, lambda seed: _with_threads(
                engine.threads, lambda: engine.play(detail, alone=alone, seed=seed)
            )
        peer = kind()
        self.undo.enter_context(peer.ready(entry.settings))
        counted = torch.get_num_threads()
        return counted, lambda seed: _with_threads(counted, lambda: peer.play_unwatched(seed=seed))

    def _replays(self, entry: Entry) -> tuple[bool | None, str | None]:
        """Return whether the target's short forwards are replayed, and why some are not."""
        if entry.loop in PEERS:
            return None, None
        engine = self._engine(entry).run.loop
        draft = engine.drafter.draft if entry.loop == "speculative" else None
        ours, theirs = replay_status(engine.target)[1], replay_status(draft)[1]
        reasons = [ours, f"of the draft: {theirs}" if theirs and theirs != ours else None]
        return ours is None, "; ".join(filter(None, reasons)) or None

    def _engine(self, entry: Entry) -> Repeated:
        """Return the engine of an entry; plain decoding does without a draft that is refused.

        Raises the error of settings that are refused.
        """
        settings = msgspec.structs.replace(entry.settings, detail="off")
        try:
            return self._open_engine(settings)
        except SpecprofError:
            if entry.loop != "plain":
                raise
        return self._open_engine(msgspec.structs.replace(settings, **PLAIN_SETTINGS))

    def _open_engine(self, settings: Settings) -> Repeated:
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
        """Compare greedy tokens with those of the first entry with equal cache settings."""
        firsts: dict[CacheLaw, Standing] = {}
        for each in standings:
            if each.entry.settings.temperature == 0:
                right = firsts.setdefault(cache_law(each.entry.settings), each)
                each.strayed = self._find_strayed(each, right)

    def _find_strayed(self, standing: Standing, right: Standing) -> Strayed | None:
        """Return where a play of an entry first left the `right` tokens; None if none did."""
        wanted = right.bouts[0].emitted
        for bout in standing.bouts:
            pairs = enumerate(zip(bout.emitted, wanted, strict=True))
            at = next((place for place, (ours, theirs) in pairs if ours != theirs), None)
            if at is not None:
                gap = self._gap(standing.entry.settings, wanted[: at + 1], bout.emitted[at])
                return Strayed(
                    at, right.entry.name, gap, gap is not None and gap <= self._max_tie_gap
                )
        return None

    def _gap(self, settings: Settings, tokens: list[int], other: int) -> float | None:
        """Return the gap between two tokens by an engine with these cache settings, if any."""
        asked = cache_law(settings)
        engines = (one for key, one in self.engines.items() if cache_law(key) == asked)
        engine = next(engines, None)
        return engine.gap(tokens, other) if engine else None

    @property
    def _max_tie_gap(self) -> float:
        """The largest gap that rounding explains, in standard deviations of the logits."""
        model = next(iter(self.engines.values())).run.target.model
        return MAX_ROUNDING_ERROR.get(next(model.parameters()).dtype, MAX_HALF_PRECISION_ERROR)


def _with_threads(count: int, play_: Callable[[], Bout]) -> Bout:
    with threads(count):
        return play_()


def _repetition(
    playing: Sequence[tuple[Standing, Play]], out: int, back: int
) -> Iterator[tuple[Standing, Bout]]:
    """Play all entries with the seed `out`, then in the reverse order with the seed `back`."""
    for seed, order in ((out, playing), (back, playing[::-1])):
        for standing, player in order:
            yield standing, player(seed)


def _one_line(trouble: Exception) -> str:
    """Return an error on one line."""
    if isinstance(trouble, SpecprofError):
        return f"{trouble.title}; {trouble.hint}"
    return f"{type(trouble).__name__}: {str(trouble).strip().partition(chr(10))[0]}"
