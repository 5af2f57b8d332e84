"""A table understood: quantities by row, in one unit each, and a list of what was not understood.

Knows which quantity follows from which others by definition (accepted / drafted, tokens / target
forwards). Takes nothing for known that the table leaves open: a time without a unit isn't read.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from specprof.errors import MissingEvidence, UsageError
from specprof.plain import brief
from specprof.published.read.cells import (
    COUNTED,
    UNITS,
    Cell,
    bare,
    decimal_commas,
    is_below_zero,
    read_cell,
)
from specprof.published.read.figures import Figure, exactly
from specprof.published.read.quantities import (
    Heading,
    Kind,
    Quantity,
    heading_by_cells,
    read_headings,
    recognised,
)
from specprof.published.read.sheets import MOST_COLUMNS, Sheet, read_sheets

SHOWN = 60
"""Signs of a heading or a cell in a sentence."""
PERCENT_FROM = 1.5
"""A column of shares without a unit, one of them above this, is in percent."""
PLAIN = ("baseline", "plain", "vanilla", "autoregressive", "ar", "none", "no draft", "no spec")
"""Words at the head of a label that say nothing was drafted."""
WITHOUT = re.compile(r"\b(w/o|without|no) (spec|draft|assist)")
"""What says so anywhere in it."""
LIKE_TOKENS = 10.0
"""A column of shares without a unit, all up to this, may be of tokens a round."""
ABSENT = {
    "",
    "-",
    "--",
    "---",
    "n/a",
    "na",
    "none",
    "nan",
    "null",
    "/",
    "\N{EN DASH}",
    "\N{EM DASH}",
}
"""Cells that say nothing is told."""


@dataclass(frozen=True, slots=True)
class Arm:
    """One row: a run, as far as it's told."""

    number: int
    """From 1, as the rows come."""
    label: str
    figures: dict[str, Figure]
    texts: dict[str, str]
    spreads: dict[str, float]
    """Relative, of the figures that were printed with a plus-minus."""
    survival: dict[int, Figure]
    """Draft index, from 1 -> share of rounds that accepted it (theory 0: S_i)."""
    positions: dict[int, Figure]
    """The same, or of those that reached it: the table doesn't say which."""

    def get(self, name: str) -> Figure | None:
        """Return a quantity: as printed, or from those it is defined by."""
        return self.figures.get(name) or _derived(self.figures, name)

    @property
    def drafts(self) -> bool:
        """Whether it is known to draft: it has an acceptance, or a K above 0."""
        depth = self.figures.get("depth")
        if depth is not None and not depth.value:
            return False
        signs = ("accept_frac", "accepted", "length", "tokens_per_forward", "alpha_cond", "depth")
        return not self.plain and any(self.get(sign) for sign in signs)

    @property
    def plain(self) -> bool:
        """Whether its label, its draft or its K say that nothing was drafted."""
        depth = self.figures.get("depth")
        told = [self.label.lower(), self.texts.get("draft", "").lower()]
        named = any(each == word or each.startswith(word + " ") for each in told for word in PLAIN)
        named = named or any(WITHOUT.search(each) for each in told)
        return named or (depth is not None and not depth.value)

    @property
    def tree(self) -> bool:
        """Whether it drafts trees."""
        told = self.texts.get("structure", "").lower()
        return "tree" in told or told in ("yes", "true") or "nodes" in self.figures

    def __str__(self) -> str:
        return f"row {self.number}" + (f" ({self.label})" if self.label else "")


@dataclass(frozen=True, slots=True)
class Results:
    """One table."""

    name: str
    arms: list[Arm]
    unread: list[str] = field(default_factory=list)
    """Headings that name nothing known, or whose unit isn't told."""
    readings: list[str] = field(default_factory=list)
    """Where a reading had to be chosen: which, and by what."""
    strange: list[str] = field(default_factory=list)
    """Cells of known columns that hold something, but no number that could be read."""
    below_zero: list[str] = field(default_factory=list)
    """Cells of known columns that hold a number below 0."""

    def having(self, *names: str, drafting: bool = True) -> list[Arm]:
        """Return the rows that tell all of these; raises MissingEvidence where none does."""
        found = [
            arm
            for arm in self.arms
            if all(arm.get(name) or arm.texts.get(name) for name in names)
            and (arm.drafts or not drafting)
        ]
        if not found:
            told = " and ".join(name.replace("_", " ") for name in names)
            raise MissingEvidence(f"no row tells {told}", "add the columns")
        return found


def read_results(path: Path) -> list[Results]:
    """Read every table of a file; raises UsageError where no column of any is known."""
    read = [understood(sheet) for sheet in read_sheets(path)]
    if not any(arm.figures or arm.survival for each in read for arm in each.arms):
        unread = ", ".join(repr(brief(heading, SHOWN)) for heading in read[0].unread[:8])
        title = f"{path}: no column is known; its headings are {unread}"
        raise UsageError(title, "name columns like accept_frac, K, tokens_per_forward, latency_ms")
    return [each for each in read if any(arm.figures or arm.survival for arm in each.arms)]


def understood(sheet: Sheet) -> Results:
    """Return a table's rows by quantity; one with the quantities down its side is turned round."""
    turned = _turned(sheet)
    readings = ["its rows and columns are swapped"] if turned is not sheet else []
    arms = [Arm(i, "", {}, {}, {}, {}, {}) for i in range(1, len(turned.rows) + 1)]
    labels, unread, told = [""] * len(arms), list[str](), Results(sheet.name, [], [], readings)
    comma, seen = decimal_commas(cell for row in turned.rows for cell in row), set[object]()
    for column, named in enumerate(read_headings(turned.headings)):
        cells, text = [row[column] for row in turned.rows], named.text
        read = [read_cell(cell, comma=comma) for cell in cells]
        heading = heading_by_cells(named, [each.unit for each in read if each])
        meant = heading.quantity.name if heading.quantity else heading.at
        if meant is not None and meant in seen:
            unread.append(f"{brief(text, SHOWN)} (told twice; the first is read)")
            continue
        seen.add(meant)
        if heading.quantity and heading.quantity.kind == "text":
            for arm, cell in zip(arms, cells, strict=True):
                _text(arm, heading.quantity, bare(cell))
        elif heading.quantity or heading.at:
            unread += [] if _numbers(arms, read, heading, readings) else [text]
            _strange(told, heading, cells, read)
        else:
            if not any(labels) and not any(read):
                labels = [bare(cell) for cell in cells]
            unread.append(text)
    labelled = [
        Arm(arm.number, arm.texts.get("label", "") or label, *_parts(arm))
        for arm, label in zip(arms, labels, strict=True)
    ]
    return replace(told, arms=labelled, unread=[each for each in unread if each])


def _strange(
    told: Results, heading: Heading, cells: Sequence[str], read: Sequence[Cell | None]
) -> None:
    """Note the cells of a known column that hold no number, and those below 0."""
    for number, (cell, found) in enumerate(zip(cells, read, strict=True), start=1):
        if found is not None and _suits(found, heading):
            continue
        if bare(cell).lower() not in ABSENT:
            where = f"{brief(cell, SHOWN)!r} ({brief(heading.text, SHOWN)}, row {number})"
            (told.below_zero if is_below_zero(cell) else told.strange).append(where)


def _parts(
    arm: Arm,
) -> tuple[
    dict[str, Figure], dict[str, str], dict[str, float], dict[int, Figure], dict[int, Figure]
]:
    return arm.figures, arm.texts, arm.spreads, arm.survival, arm.positions


def _turned(sheet: Sheet) -> Sheet:
    side = [row[0] for row in sheet.rows]
    if len(side) >= MOST_COLUMNS:  # as columns they would be too many
        return sheet
    known = [
        sum(recognised(each)[0] is not None for each in those) for those in (sheet.headings, side)
    ]
    if known[1] < 2 or known[0] >= known[1]:  # noqa: PLR2004 - one may be chance
        return sheet
    rows = [list(each) for each in zip(*(row[1:] for row in sheet.rows), strict=True)]
    labelled = [[label, *row] for label, row in zip(sheet.headings[1:], rows, strict=True)]
    return Sheet(sheet.name, ["name", *side], labelled)


def _text(arm: Arm, quantity: Quantity, told: str) -> None:
    if told:
        arm.texts[quantity.name] = told


def _numbers(
    arms: Sequence[Arm], read: Sequence[Cell | None], heading: Heading, readings: list[str]
) -> bool:
    """Put a column's numbers into its rows; return False where its unit can't be told."""
    kind = _kind(heading)
    suited = [each for each in read if each and _suits(each, heading)]
    scale = _scale(kind, heading, suited, readings)
    if scale is None:
        return False
    for arm, cell in zip(arms, read, strict=True):
        if cell is not None and _suits(cell, heading):
            _number(arm, heading, _scaled(cell, kind, scale(cell)), cell)
    return True


def _kind(heading: Heading) -> Kind:
    return heading.quantity.kind if heading.quantity else "share"


def _suits(cell: Cell, heading: Heading) -> bool:
    """Whether a cell's own unit is one of what its column holds: 85% is no speed-up of 85."""
    kind, unit = _kind(heading), cell.unit
    if unit is None or (kind in ("count", "speed") and unit in COUNTED):
        return True
    allowed = {"number": ("times",), "count": ()}.get(kind, (kind,))
    return UNITS.get(unit, ("", 0))[0] in allowed


def _number(arm: Arm, heading: Heading, figure: Figure, cell: Cell) -> None:
    if heading.quantity:
        arm.figures[heading.quantity.name] = figure
        if cell.spread is not None and cell.figure.value:
            arm.spreads[heading.quantity.name] = cell.spread / cell.figure.value
    elif heading.at:
        kind, index = heading.at
        (arm.survival if kind == "survival" else arm.positions)[index] = figure


def _scale(
    kind: str, heading: Heading, cells: Sequence[Cell], readings: list[str]
) -> Callable[[Cell], float] | None:
    """Return what a cell of this column is multiplied by; None where the unit isn't told."""
    measured = {"share": "share", "time": "time", "bytes": "bytes"}.get(kind)
    unit = heading.unit
    if measured is None:
        if kind == "times" and unit and UNITS[unit][0] == "share":
            return None
        counted = kind in ("count", "speed")
        return lambda cell: COUNTED.get(cell.unit or "", 1.0) if counted else 1.0
    if unit and UNITS[unit][0] == measured:
        return lambda cell: _unit_of(cell, measured) or UNITS[unit][1]
    bare_cells = [cell for cell in cells if _unit_of(cell, measured) is None]
    if not bare_cells:
        return lambda cell: _unit_of(cell, measured) or 1.0
    if measured != "share" or not cells:
        return None
    values = [cell.figure.value for cell in bare_cells if cell.figure.value]
    return _share_scale(heading, cells, values, readings)


def _share_scale(
    heading: Heading, cells: Sequence[Cell], values: Sequence[float], readings: list[str]
) -> Callable[[Cell], float] | None:
    """Return a share's scale by its column's numbers that have no unit; None if they leave it."""
    percent = max(values, default=0.0) > PERCENT_FROM
    if percent and (max(values) <= LIKE_TOKENS or min(values) < 1):
        return None
    told = "in percent" if percent else "a fraction"
    if not cells[0].unit:
        readings.append(f"{brief(heading.text, SHOWN)!r} {told}")
    return lambda cell: _unit_of(cell, "share") or (0.01 if percent else 1.0)


def _unit_of(cell: Cell, measured: str) -> float | None:
    kind, factor = UNITS.get(cell.unit or "", ("", 1.0))
    return factor if kind == measured else None


def _scaled(cell: Cell, kind: str, factor: float) -> Figure:
    if kind == "count" and cell.whole and cell.unit is None:
        return exactly(cell.figure.value)
    return cell.figure * exactly(factor)


def _derived(figures: dict[str, Figure], name: str) -> Figure | None:
    """Return a quantity by its definition (theory 1.1); None where its parts aren't told."""
    definitions = {
        "accept_frac": ("accepted", "drafted"),
        "tokens_per_forward": ("tokens", "target_forwards"),
        "length": ("tokens", "rounds"),
    }
    if name == "tokens_per_forward" and (calls := figures.get("calls_per_token")):
        return exactly(1) / calls
    if name not in definitions:
        return None
    top, bottom = (figures.get(part) for part in definitions[name])
    return top / bottom if top and bottom and bottom.value else None
