"""Time of the rounds by phase: the phases and the host gap add up to the wall time."""

import numpy as np
from numpy.typing import NDArray

from specprof.tui.figures import ms, percent, share
from specprof.tui.panels.sentences import explain_no_rounds
from specprof.tui.sheet import Ink, Sheet, ink_number, safe
from specprof.tui.snapshot import Snapshot

Ints = NDArray[np.int64]
_PHASE_STYLES: dict[str, tuple[Ink, str]] = {
    "draft": ("draft", "█"),
    "verify": ("verify", "▓"),
    "accept": ("accept", "▒"),
    "rollback": ("rollback", "░"),
    "gap": ("gap", "·"),
}
"""Phase -> ink and texture; the texture distinguishes phases without colour."""
_OTHER_STYLE: tuple[Ink, str] = ("other", "▚")
_MIN_STRIP_ROWS = 3
_COLUMNS = (("ms/emitted", 0), ("%", 11), ("ms/round", 18))


def draw_times(sheet: Sheet, snapshot: Snapshot) -> None:
    """Draw the panel."""
    if not snapshot.rounds:
        return sheet.write_sentence(explain_no_rounds(snapshot))
    phases = phases_of(snapshot)
    wall = int(snapshot.columns.rounds.wall_ns.sum())
    _draw_stack(sheet, phases, wall)
    for heading, from_right in _COLUMNS:
        sheet.write_right(sheet.width - from_right, 1, heading, "dim")
    totals = [(name, max(int(ns.sum()), 0)) for name, ns in phases.items()]  # clocks may overlap
    rows = [*totals, ("wall", wall)]
    for row, (name, total) in enumerate(rows, start=2):
        _write_phase(sheet, row, name, (total, wall), snapshot)
    used = len(rows) + 2
    used += _write_prefill(sheet, used, snapshot)
    if sheet.height - used >= _MIN_STRIP_ROWS:
        _draw_last_rounds(sheet, used, phases, snapshot.columns.rounds.wall_ns)
    return None


def phases_of(snapshot: Snapshot) -> dict[str, Ints]:
    """Return phase -> nanoseconds in every round, [rounds]; the phases sum to the wall time."""
    spans = snapshot.columns.spans
    known = [name for name in _PHASE_STYLES if name in spans]
    others = [name for name in spans if name not in _PHASE_STYLES]
    return {name: spans[name] for name in [*known, *others]} | {"gap": snapshot.columns.gap_ns}


def _phase_style(name: str) -> tuple[Ink, str]:
    return _PHASE_STYLES.get(name, _OTHER_STYLE)


def _draw_stack(sheet: Sheet, phases: dict[str, Ints], wall: int) -> None:
    """Draw one bar over the whole width, divided by phase."""
    ends = np.cumsum([max(int(ns.sum()), 0) for ns in phases.values()]) / (wall or 1)
    x = 0
    for (name, _), end in zip(phases.items(), ends, strict=True):
        stop = min(round(end * sheet.width), sheet.width)
        ink, texture = _phase_style(name)
        sheet.write(x, 0, texture * (stop - x), ink)
        x = max(x, stop)


def _write_phase(
    sheet: Sheet, row: int, name: str, ns: tuple[int, int], snapshot: Snapshot
) -> None:
    """Write a phase's part of the wall time, both in `ns`."""
    total, wall = ns
    emitted = snapshot.columns.rounds.emitted.sum()
    ink: Ink
    ink, texture = ("strong", " ") if name == "wall" else _phase_style(name)
    sheet.write(0, row, f"{texture} {safe(name)}", ink)
    cells = (
        ms(share(total, emitted)),
        f"{100 * total / (wall or 1):.1f}",
        ms(total / snapshot.rounds),
    )
    for text, (_, from_right) in zip(cells, _COLUMNS, strict=True):
        sheet.write_right(
            sheet.width - from_right, row, text, "strong" if name == "wall" else "plain"
        )


def _write_prefill(sheet: Sheet, row: int, snapshot: Snapshot) -> int:
    """Write the time of prefill, and its share of prefill plus rounds; return the rows used."""
    prefill = sum(one.wall_ns for one in snapshot.columns.prefills)
    if not prefill or row >= sheet.height:
        return 0
    part = share(prefill, prefill + int(snapshot.columns.rounds.wall_ns.sum()))
    sheet.write(0, row, f"  plus prefill {ms(prefill)} ms, {percent(part)}", "dim")
    return 1


def _draw_last_rounds(sheet: Sheet, top: int, phases: dict[str, Ints], wall: Ints) -> None:
    """Stack the phases of each of the last rounds, one column a round, newest at the right."""
    height, width = sheet.height - top - 1, min(sheet.width, len(wall))
    last = np.array([ns[-width:] for ns in phases.values()])
    scale = max(float(np.percentile(wall[-width:], 99)), 1.0)
    ends = np.cumsum(np.maximum(last, 0), axis=0) / scale * height
    middle = np.arange(height - 1, -1, -1)[:, None] + 0.5
    # [phases, rows, rounds]: the number of phases that end below a cell's middle is its phase.
    phase = (ends[:, None, :] < middle).sum(axis=0)
    looks: list[tuple[Ink, str]] = [*(_phase_style(name) for name in phases), ("plain", " ")]
    inks = np.array([ink_number(ink) for ink, _ in looks], dtype=np.uint8)
    textures = np.array([texture for _, texture in looks])
    sheet.fill(0, top + 1, textures[phase], inks[phase])
    sheet.write(0, top, f"last {width} rounds, full height {ms(scale)} ms", "dim")
