"""Compare every method in half precision with plain greedy decoding in the same dtype.

A pass over one token rounds otherwise than a pass over five, so half precision may settle a near
tie the other way. At the first token that differs from plain decoding's, the two tokens' logits
distinguish a tie from a real difference. The tokens after it belong to another text and show
nothing.
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
from specprof.bench.contest import PLAIN_SETTINGS
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
    """The tokens of plain greedy decoding."""

    tokens: list[int]
    logits: torch.Tensor
    """[tokens, vocab] that each token was chosen from."""

    def find_parting(self, tokens: Sequence[int]) -> int | None:
        """Return the first index at which `tokens` differ from these; None if they don't."""
        pairs = enumerate(zip(tokens, self.tokens, strict=True))
        return next((place for place, (one, other) in pairs if one != other), None)

    def gap(self, place: int, token: int) -> float:
        """Return the gap of a token's logit to the chosen one's, in the row's deviations."""
        row = self.logits[place]  # [vocab]
        return float((row[self.tokens[place]] - row[token]).abs() / row.std())


@dataclass(slots=True)
class Tally:
    """The outcomes of the cells of one dtype on one path."""

    same: int = 0
    ties: dict[str, float] = field(default_factory=dict)
    """Method -> gap of the two tokens' logits, a near tie."""
    other: dict[str, float] = field(default_factory=dict)
    """Method -> gap of the two tokens' logits, no tie."""
    refused: dict[str, str] = field(default_factory=dict)
    """Method -> reason."""
    failed: dict[str, str] = field(default_factory=dict)
    """Method -> error."""
    replayed: int = 0
    """Methods whose target replayed its short forwards; trees and windows may not allow it."""
    unplayed: int = 0
    """Methods that there was no time for."""


def rows(ask: Ask) -> Iterator[Row]:
    """Yield by dtype and path how many methods emit other tokens, replay, fail or meet a tie."""
    cells = list_cells(ask)
    few = choose_covering(cells)  # first, because time may run out for the rest
    cells = few if ask.reduced else few + [cell for cell in cells if cell not in few]
    both = list(itertools.product(PATHS, DTYPES))[:: ask.few(1, 3)]  # still every path and dtype
    for left, (path, dtype) in zip(range(len(both), 0, -1), both, strict=True):
        began = time.monotonic()
        share = replaced(ask, until=began + max(ask.left_s, 0.0) / left)
        tally = _play_cells(share, cells, path=path, dtype=dtype)
        yield from _tally_rows(tally, f"{dtype}, {path}", time.monotonic() - began)
        ask.kept[f"{dtype}, {path}"] = {
            "near_ties": tally.ties,
            "other_tokens": tally.other,
            "refused": tally.refused,
            "failed": tally.failed,
        }


def list_cells(ask: Ask) -> list[Cell]:
    """Return all combinations that can run at temperature 0 and claim to be lossless."""
    known = {kind: list(registry.members(kind)) for kind in FIELDS}
    found = []
    for chosen in itertools.product(*known.values()):
        cell = dict(zip(FIELDS, chosen, strict=True))
        rule = registry.get(Acceptance, cell["acceptance"])
        with suppress(UsageError):
            limits.check(_settings(ask, cell))
            found += [cell] if rule.lossless else []
    return found


def choose_covering(cells: Sequence[Cell]) -> list[Cell]:
    """Return a few of the cells that together contain every member that any cell contains."""
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


def _play_cells(ask: Ask, cells: Sequence[Cell], *, path: str, dtype: str) -> Tally:
    tally, plain = Tally(), dict[str, Plain]()
    gc.collect()
    gc.freeze()  # so that the collection after each method is cheap
    for cell in cells:
        gc.collect()
        if ask.left_s < 0:
            tally.unplayed += 1
            continue
        name = " ".join(cell.values())
        try:
            settings = _settings(ask, cell, path=path, dtype=dtype)
            if cell["cache"] not in plain:
                plain[cell["cache"]] = _decode_plain(settings)
            tokens, replayed = _decode(settings)
            tally.replayed += replayed
            _compare(tally, name, plain[cell["cache"]], tokens)
        except UsageError as trouble:
            tally.refused[name] = trouble.title
        except Exception as trouble:  # noqa: BLE001 - an error in one method must not end the others
            why = trouble.title if isinstance(trouble, SpecprofError) else str(trouble)
            tally.failed[name] = f"{type(trouble).__name__}: {why}".partition("\n")[0]
    return tally


def _compare(tally: Tally, name: str, plain: Plain, tokens: Sequence[int]) -> None:
    place = plain.find_parting(tokens)
    if place is None:
        tally.same += 1
        return
    gap = plain.gap(place, tokens[place])
    (tally.ties if gap <= MAX_HALF_PRECISION_ERROR else tally.other)[name] = gap


def _decode_plain(settings: Settings) -> Plain:
    """Return plain greedy decoding over the same cache, by the same path, without replay."""
    bare = replace(settings, **PLAIN_SETTINGS, shape="chain", acceptance="auto", graphs="off")
    logits = list[torch.Tensor]()
    tokens, _ = _decode(bare, logits)
    return Plain(tokens, torch.cat(logits))


def _decode(settings: Settings, logits: list[torch.Tensor] | None = None) -> tuple[list[int], bool]:
    """Return a method's tokens after the text, and whether its target's forwards were replayed.

    Each round's first row of logits is appended to `logits`.
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


def _tally_rows(tally: Tally, name: str, seconds: float) -> Iterator[Row]:
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
        note="compared with plain decoding, which replays none",
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
