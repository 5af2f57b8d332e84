"""Every method in half precision against plain greedy decoding of the same dtype.

Rounding differs between a pass over one token and one over five, so half precision may settle a
near tie the other way. Where tokens first part from plain decoding's, the two tokens' logits there
tell a tie from a real difference; what comes after is another text and tells nothing.
"""

import gc
import itertools
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from dataclasses import replace as replaced
from typing import get_args

import torch
from msgspec.structs import replace
from on_gpu.rows import Ask, Row

from specprof import limits, registry
from specprof.bench.contest import UNDRAFTED
from specprof.engine.flat.proof import MAX_HALF_PRECISION_ERROR
from specprof.engine.record_ahead import record_next
from specprof.engine.replay.decision import replay_status
from specprof.engine.setup.wiring import wire
from specprof.errors import SpecprofError, UsageError
from specprof.extend import Acceptance
from specprof.settings import ForwardPath, Settings

FIELDS = ("drafter", "shape", "acceptance", "cache")
DTYPES = ("bfloat16", "float16")
PATHS = tuple(path for path in get_args(ForwardPath) if path != "auto")
Cell = dict[str, str]


@dataclass(frozen=True, slots=True)
class Plain:
    """What plain greedy decoding emits."""

    tokens: list[int]
    logits: torch.Tensor
    """[tokens, vocab] what each was chosen by."""

    def parting(self, tokens: Sequence[int]) -> int | None:
        """Return the first place where other tokens are not these; None: nowhere."""
        pairs = enumerate(zip(tokens, self.tokens, strict=True))
        return next((place for place, (one, other) in pairs if one != other), None)

    def gap(self, place: int, token: int) -> float:
        """Return how far another token lies below the one chosen, in deviations of the logits."""
        row = self.logits[place]  # [vocab]
        return float((row[self.tokens[place]] - row[token]).abs() / row.std())


@dataclass(slots=True)
class Tally:
    """What came of the cells of one dtype on one path."""

    same: int = 0
    ties: dict[str, float] = field(default_factory=dict)
    """Method -> how far the two tokens' logits lie apart; likewise `other`."""
    other: dict[str, float] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    """Method -> why; likewise `failed`."""
    failed: dict[str, str] = field(default_factory=dict)
    replayed: int = 0
    """Methods whose target replayed its short forwards, where trees and windows let it."""
    unplayed: int = 0
    """Methods there was no time for."""


def rows(ask: Ask) -> Iterator[Row]:
    """Yield by dtype and path how many methods emit the same tokens, a near tie's, or others."""
    cells = allowed(ask)
    few = covering(cells)  # first, so that what there is no time for is the least of it
    cells = few if ask.reduced else few + [cell for cell in cells if cell not in few]
    both = list(itertools.product(PATHS, DTYPES))[:: ask.few(1, 3)]  # still every path and dtype
    for left, (path, dtype) in zip(range(len(both), 0, -1), both, strict=True):
        began = time.monotonic()
        share = replaced(ask, until=began + max(ask.left_s, 0.0) / left)
        tally = _played(share, cells, path=path, dtype=dtype)
        yield from _told(tally, f"{dtype}, {path}", time.monotonic() - began)
        ask.kept[f"{dtype}, {path}"] = {
            "near_ties": tally.ties,
            "other_tokens": tally.other,
            "refused": tally.refused,
            "failed": tally.failed,
        }


def allowed(ask: Ask) -> list[Cell]:
    """Return all combinations a run can have at temperature 0 that claim to be lossless."""
    known = {kind: list(registry.members(kind)) for kind in FIELDS}
    found = []
    for chosen in itertools.product(*known.values()):
        cell = dict(zip(FIELDS, chosen, strict=True))
        rule = registry.get(Acceptance, cell["acceptance"])
        with suppress(UsageError):
            limits.check(_settings(ask, cell))
            found += [cell] if rule.lossless else []
    return found


def covering(cells: Sequence[Cell]) -> list[Cell]:
    """Return a few of the cells in which every member occurs that occurs in any."""
    seen: set[tuple[str, str]] = set()
    kept = []
    for cell in cells:
        if not seen.issuperset(cell.items()):
            seen.update(cell.items())
            kept.append(cell)
    return kept


def _settings(ask: Ask, cell: Cell, **given: object) -> Settings:
    fixed = ask.settings(
        depth=3,
        widths="2,2,1",
        branch=3,
        nodes=9,
        window=ask.few(256, 40),
        context=ask.few(512, 44),
        max_new_tokens=ask.few(64, 8),
        draft=ask.head if cell["drafter"] == "eagle" else ask.draft,
    )
    return replace(fixed, **cell, **given)


def _played(ask: Ask, cells: Sequence[Cell], *, path: str, dtype: str) -> Tally:
    tally, plain = Tally(), dict[str, Plain]()
    gc.collect()
    gc.freeze()  # so that what a method leaves on the device can be given back at no cost
    for cell in cells:
        gc.collect()
        if ask.left_s < 0:
            tally.unplayed += 1
            continue
        name = " ".join(cell.values())
        try:
            settings = _settings(ask, cell, path=path, dtype=dtype)
            if cell["cache"] not in plain:
                plain[cell["cache"]] = _plain(settings)
            tokens, replayed = _tokens(settings)
            tally.replayed += replayed
            _compare(tally, name, plain[cell["cache"]], tokens)
        except UsageError as trouble:
            tally.refused[name] = trouble.title
        except Exception as trouble:  # noqa: BLE001 - what one meets must not cost the others
            why = trouble.title if isinstance(trouble, SpecprofError) else str(trouble)
            tally.failed[name] = f"{type(trouble).__name__}: {why}".partition("\n")[0]
    return tally


def _compare(tally: Tally, name: str, plain: Plain, tokens: Sequence[int]) -> None:
    place = plain.parting(tokens)
    if place is None:
        tally.same += 1
        return
    gap = plain.gap(place, tokens[place])
    (tally.ties if gap <= MAX_HALF_PRECISION_ERROR else tally.other)[name] = gap


def _plain(settings: Settings) -> Plain:
    """Return plain greedy decoding over the same cache, by the same path, nothing replayed."""
    bare = replace(settings, **UNDRAFTED, shape="chain", acceptance="auto", graphs="off")
    logits = list[torch.Tensor]()
    tokens, _ = _tokens(bare, logits)
    return Plain(tokens, torch.cat(logits))


def _tokens(settings: Settings, logits: list[torch.Tensor] | None = None) -> tuple[list[int], bool]:
    """Return what a method emits after the text, and whether its target's forwards were replayed.

    `logits` gathers each round's first row.
    """
    run = wire(settings)
    committed = list(run.tokens[: settings.context])
    run.loop.target.prefill(committed[:-1])
    run.loop.drafter.prefill(committed)
    record_next(run.loop)
    new = settings.max_new_tokens
    for played in run.loop.rounds(committed, new_tokens=new, stop=frozenset()):
        if logits is not None:
            logits.append(played.target_logits[:1])
    return committed[settings.context :], bool(replay_status(run.loop.target)[0])


def _told(tally: Tally, name: str, seconds: float) -> Iterator[Row]:
    parted = [f"{each}: {gap:.2g} deviations apart" for each, gap in tally.other.items()]
    played = tally.same + len(tally.ties) + len(tally.other) + len(tally.failed)
    over = [f"{tally.unplayed} not played: the time was spent"] if tally.unplayed else []
    compared = played - len(tally.failed)
    yield Row(
        what=f"{name}: methods with other tokens",
        figure=float(len(tally.other)) if compared else None,
        unit=f"of {compared} methods",
        at_most=0.0,
        anywhere=True,
        note="; ".join(parted + over),
    )
    yield Row(
        what=f"{name}: methods whose target could replay its forwards",
        figure=float(tally.replayed) if compared else None,
        unit=f"of {compared} methods",
        at_least=1.0,
        note="held against plain decoding that replays none",
    )
    yield Row(
        what=f"{name}: methods that failed",
        figure=float(len(tally.failed)) if played else None,
        unit=f"of {played} methods",
        at_most=0.0,
        anywhere=True,
        note="; ".join(f"{each}: {why}" for each, why in tally.failed.items()),
    )
    yield Row(
        what=f"{name}: methods parted by a near tie",
        figure=float(len(tally.ties)) if compared else None,
        unit=f"of {compared} methods",
        note=f"logits at most {MAX_HALF_PRECISION_ERROR:g} deviations apart; {seconds:.0f} s"
        if tally.ties
        else "",
    )
    yield Row(
        what=f"{name}: widest near tie",
        figure=max(tally.ties.values(), default=None),
        unit="deviations",
        at_most=MAX_HALF_PRECISION_ERROR,
        anywhere=True,
    )
    yield Row(
        what=f"{name}: methods refused",
        figure=float(len(tally.refused)),
        unit="methods",
        note="; ".join(sorted(set(tally.refused.values()))),
    )
