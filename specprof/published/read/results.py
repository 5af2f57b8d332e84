"""A table's quantities by row, each in one unit, and a list of the parts that were not read.

Knows which quantities follow from others by definition (accepted / drafted, tokens / target
forwards). Guesses nothing that the table leaves open: a time without a unit isn't read.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from specprof.errors import MissingEvidence, UsageError
from specprof.plain import brief
from specprof.published.read.cells import (
    COUNT_SUFFIXES,
    UNITS,
    Cell,
    has_decimal_commas,
    is_below_zero,
    read_cell,
    strip_marks,
)
from specprof.published.read.figures import Figure, exactly
from specprof.published.read.quantities import (
    Heading,
    Kind,
    Quantity,
    heading_by_cells,
    read_headings,
    recognise_heading,
)
from specprof.published.read.sheets import MAX_COLUMNS, Sheet, read_sheets

MAX_SHOWN_CHARS = 60
"""The most characters of a heading or a cell that a sentence shows."""
PERCENT_FROM = 1.5
"""A column of shares without a unit is in percent if a share exceeds this."""
PLAIN_WORDS = (
    "baseline",
    "plain",
    "vanilla",
    "autoregressive",
    "ar",
    "none",
    "no draft",
    "no spec",
)
"""First words of a label that say that nothing was drafted."""
NO_DRAFT_PATTERN = re.compile(r"\b(w/o|without|no) (spec|draft|assist)")
"""Words anywhere in a label that say that nothing was drafted."""
MIN_CLEAR_PERCENT = 10.0
"""A column of shares without a unit may count tokens per round unless a share exceeds this."""
ABSENT_CELLS = {
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
"""Cells that stand for a missing value."""


@dataclass(frozen=True, slots=True)
class Arm:
    """One row: the figures and texts that the table gives of a run."""

    number: int
    """The row's number, from 1."""
    label: str
    figures: dict[str, Figure]
    texts: dict[str, str]
    spreads: dict[str, float]
    """Relative spreads of the figures that were printed with a plus-minus sign."""
    survival: dict[int, Figure]
    """Draft index, from 1 -> share of rounds that accepted it (theory 0: S_i)."""
    positions: dict[int, Figure]
    """Draft index, from 1 -> S_i, or the share of the rounds that reached it: the table doesn't say
    which."""

    def get(self, name: str) -> Figure | None:
        """Return a quantity: as printed, or computed from its definition; None without both."""
        return self.figures.get(name) or _derive(self.figures, name)

    @property
    def drafts(self) -> bool:
        """Whether the run is known to draft: the row has an acceptance, or a K above 0."""
        depth = self.figures.get("depth")
        if depth is not None and not depth.value:
            return False
        signs = ("accept_frac", "accepted", "length", "tokens_per_forward", "alpha_cond", "depth")
        return not self.plain and any(self.get(sign) for sign in signs)

    @property
    def plain(self) -> bool:
        """Whether the row's label, draft or K says that nothing was drafted."""
        depth = self.figures.get("depth")
        texts = [self.label.lower(), self.texts.get("draft", "").lower()]
        named = any(
            each == word or each.startswith(word + " ") for each in texts for word in PLAIN_WORDS
        )
        named = named or any(NO_DRAFT_PATTERN.search(each) for each in texts)
        return named or (depth is not None and not depth.value)

    @property
    def tree(self) -> bool:
        """Whether the run drafts trees."""
        structure = self.texts.get("structure", "").lower()
        return "tree" in structure or structure in ("yes", "true") or "nodes" in self.figures

    def __str__(self) -> str:
        return f"row {self.number}" + (f" ({self.label})" if self.label else "")


@dataclass(frozen=True, slots=True)
class Results:
    """One table."""

    name: str
    arms: list[Arm]
    unread: list[str] = field(default_factory=list)
    """Headings that name no known quantity, or that lack a unit."""
    readings: list[str] = field(default_factory=list)
    """Columns whose unit had to be chosen, and the choice."""
    strange: list[str] = field(default_factory=list)
    """Cells of known columns that are not empty, but hold no readable number."""
    below_zero: list[str] = field(default_factory=list)
    """Cells of known columns that hold a number below 0."""

    def rows_with(self, *names: str, drafting: bool = True) -> list[Arm]:
        """Return the rows that have all of these quantities.

        Without `drafting` rows of plain decoding count, too. Raises MissingEvidence where no row
        has all of them.
        """
        found = [
            arm
            for arm in self.arms
            if all(arm.get(name) or arm.texts.get(name) for name in names)
            and (arm.drafts or not drafting)
        ]
        if not found:
            wanted = " and ".join(name.replace("_", " ") for name in names)
            raise MissingEvidence(f"no row has {wanted}", "add the columns")
        return found


def read_results(path: Path) -> list[Results]:
    """Read every table of a file. Raises UsageError where no table has a known column."""
    read = [understand_sheet(sheet) for sheet in read_sheets(path)]
    if not any(arm.figures or arm.survival for each in read for arm in each.arms):
        unread = ", ".join(repr(brief(heading, MAX_SHOWN_CHARS)) for heading in read[0].unread[:8])
        title = f"{path}: no column is known; its headings are {unread}"
        raise UsageError(title, "name columns like accept_frac, K, tokens_per_forward, latency_ms")
    return [each for each in read if any(arm.figures or arm.survival for arm in each.arms)]


def understand_sheet(sheet: Sheet) -> Results:
    """Return a table's rows by quantity. Swaps rows and columns where the side has the headings."""
    turned = _turn_round(sheet)
    readings = ["its rows and columns are swapped"] if turned is not sheet else []
    arms = [Arm(i, "", {}, {}, {}, {}, {}) for i in range(1, len(turned.rows) + 1)]
    labels, unread, table = [""] * len(arms), list[str](), Results(sheet.name, [], [], readings)
    comma, seen = has_decimal_commas(cell for row in turned.rows for cell in row), set[object]()
    for column, named in enumerate(read_headings(turned.headings)):
        cells, text = [row[column] for row in turned.rows], named.text
        read = [read_cell(cell, comma=comma) for cell in cells]
        heading = heading_by_cells(named, [each.unit for each in read if each])
        meant = heading.quantity.name if heading.quantity else heading.at
        if meant is not None and meant in seen:
            unread.append(f"{brief(text, MAX_SHOWN_CHARS)} (the quantity has an earlier column)")
            continue
        seen.add(meant)
        if heading.quantity and heading.quantity.kind == "text":
            for arm, cell in zip(arms, cells, strict=True):
                _put_text(arm, heading.quantity, strip_marks(cell))
        elif heading.quantity or heading.at:
            unread += [] if _put_numbers(arms, read, heading, readings) else [text]
            _note_strange_cells(table, heading, cells, read)
        else:
            if not any(labels) and not any(read):
                labels = [strip_marks(cell) for cell in cells]
            unread.append(text)
    labelled = [
        Arm(arm.number, arm.texts.get("label", "") or label, *_fields_of(arm))
        for arm, label in zip(arms, labels, strict=True)
    ]
    return replace(table, arms=labelled, unread=[each for each in unread if each])


def _note_strange_cells(
    table: Results, heading: Heading, cells: Sequence[str], read: Sequence[Cell | None]
) -> None:
    """Note the cells of a known column that hold no number, and the cells below 0."""
    for number, (cell, found) in enumerate(zip(cells, read, strict=True), start=1):
        if found is not None and _suits(found, heading):
            continue
        if strip_marks(cell).lower() not in ABSENT_CELLS:
            shown, column = (brief(each, MAX_SHOWN_CHARS) for each in (cell, heading.text))
            where = f"{shown!r} ({column}, row {number})"
            (table.below_zero if is_below_zero(cell) else table.strange).append(where)


def _fields_of(
    arm: Arm,
) -> tuple[
    dict[str, Figure], dict[str, str], dict[str, float], dict[int, Figure], dict[int, Figure]
]:
    return arm.figures, arm.texts, arm.spreads, arm.survival, arm.positions


def _turn_round(sheet: Sheet) -> Sheet:
    side = [row[0] for row in sheet.rows]
    if len(side) >= MAX_COLUMNS:  # too many rows to become columns
        return sheet
    known = [
        sum(recognise_heading(each)[0] is not None for each in those)
        for those in (sheet.headings, side)
    ]
    if known[1] < 2 or known[0] >= known[1]:  # noqa: PLR2004 - one may be chance
        return sheet
    rows = [list(each) for each in zip(*(row[1:] for row in sheet.rows), strict=True)]
    labelled = [[label, *row] for label, row in zip(sheet.headings[1:], rows, strict=True)]
    return Sheet(sheet.name, ["name", *side], labelled)


def _put_text(arm: Arm, quantity: Quantity, text: str) -> None:
    if text:
        arm.texts[quantity.name] = text


def _put_numbers(
    arms: Sequence[Arm], read: Sequence[Cell | None], heading: Heading, readings: list[str]
) -> bool:
    """Put a column's numbers into its rows; return False where its unit is not known."""
    kind = _kind_of(heading)
    suited = [each for each in read if each and _suits(each, heading)]
    scale = _scale(kind, heading, suited, readings)
    if scale is None:
        return False
    for arm, cell in zip(arms, read, strict=True):
        if cell is not None and _suits(cell, heading):
            _put_number(arm, heading, _to_figure(cell, kind, scale(cell)), cell)
    return True


def _kind_of(heading: Heading) -> Kind:
    return heading.quantity.kind if heading.quantity else "share"


def _suits(cell: Cell, heading: Heading) -> bool:
    """Whether a cell's own unit suits its column: 85% is no speed-up of 85."""
    kind, unit = _kind_of(heading), cell.unit
    if unit is None or (kind in ("count", "speed") and unit in COUNT_SUFFIXES):
        return True
    allowed = {"number": ("times",), "count": ()}.get(kind, (kind,))
    return UNITS.get(unit, ("", 0))[0] in allowed


def _put_number(arm: Arm, heading: Heading, figure: Figure, cell: Cell) -> None:
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
    """Return the factor of a cell of this column; None where the unit is not known."""
    measured = {"share": "share", "time": "time", "bytes": "bytes"}.get(kind)
    unit = heading.unit
    if measured is None:
        if kind == "times" and unit and UNITS[unit][0] == "share":
            return None
        counted = kind in ("count", "speed")
        return lambda cell: COUNT_SUFFIXES.get(cell.unit or "", 1.0) if counted else 1.0
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
    """Return a share's factor from its column's numbers without unit; None where it stays open."""
    percent = max(values, default=0.0) > PERCENT_FROM
    if percent and (max(values) <= MIN_CLEAR_PERCENT or min(values) < 1):
        return None
    reading = "in percent" if percent else "a fraction"
    if not cells[0].unit:
        readings.append(f"{brief(heading.text, MAX_SHOWN_CHARS)!r} {reading}")
    return lambda cell: _unit_of(cell, "share") or (0.01 if percent else 1.0)


def _unit_of(cell: Cell, measured: str) -> float | None:
    kind, factor = UNITS.get(cell.unit or "", ("", 1.0))
    return factor if kind == measured else None


def _to_figure(cell: Cell, kind: str, factor: float) -> Figure:
    if kind == "count" and cell.whole and cell.unit is None:
        return exactly(cell.figure.value)
    return cell.figure * exactly(factor)


def _derive(figures: dict[str, Figure], name: str) -> Figure | None:
    """Return a quantity from its definition (theory 1.1); None where its parts are missing."""
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
