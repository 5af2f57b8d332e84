"""Captures grouped into the cells of a comparison: repeats of one configuration are one cell.

Knows which captures are repeats of one another and how their times add up; computes no rate. A
sweep is deterministic, so repeats decode the same tokens. Their times are averaged round by round,
because they are one sample of the text and several of the clock. Repeats that differ are pooled.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from specprof.analysis.columns import Columns
from specprof.analysis.doubts import Contradiction
from specprof.analysis.recorded import read_columns
from specprof.analysis.summaries import Figures, Steps, Summary, steps, summarise
from specprof.errors import CaptureUnreadable
from specprof.plain import make_encodable
from specprof.plan import stops
from specprof.records import Header
from specprof.settings import RunSpec, Settings
from specprof.sweep import INDEX, read_index

STATES_BY_SEVERITY = ("complete", "waiting", "interrupted", "INCOMPLETE", "DAMAGED", "failed")
"""States of a run, from best to worst."""


@dataclass(frozen=True)
class Cell:
    """One cell and the captures of its repeats; `captures` is empty where none was made."""

    spec: RunSpec
    label: str
    captures: Sequence[Summary]
    states: Sequence[str]
    """The state of each planned run."""
    trouble: str | None = None
    """Why a run failed."""
    damage: Sequence[str] = ()
    """Which lines could not be read, for each damaged capture."""

    @property
    def settings(self) -> Settings:
        """The settings of its runs."""
        return self.spec.settings

    @property
    def header(self) -> Header | None:
        """The first repeat's header."""
        return self.captures[0].header if self.captures else None

    @property
    def state(self) -> str:
        """The worst of its runs' states."""
        return max(
            self.states,
            key=lambda each: STATES_BY_SEVERITY.index(each) if each in STATES_BY_SEVERITY else 0,
        )

    @property
    def unreadable(self) -> bool:
        """Whether lines are damaged and no result could be read."""
        return bool(self.captures) and all(each.unreadable for each in self.captures)

    @property
    def figures(self) -> Figures | None:
        """The first repeat's figures; None without a repeat, or where its counts contradict."""
        return self.captures[0].figures if self.captures else None

    @cached_property
    def doubts(self) -> list[Contradiction]:
        """Statements of a repeat that can't all be true."""
        return [each for one in self.captures for each in one.doubts]

    @cached_property
    def per_repeat(self) -> list[Steps]:
        """Each repeat's decoding steps."""
        return [capture.steps for capture in self.captures]

    @cached_property
    def steps(self) -> Steps:
        """The decoding steps. Like repeats are averaged step by step, others are concatenated."""
        all_ = self.per_repeat or [steps(Columns())]
        if all(each.like(all_[0]) for each in all_[1:]):
            wall_ns = np.mean([each.wall_ns for each in all_], axis=0)
            return Steps(all_[0].context, all_[0].emitted, wall_ns, all_[0].target_forwards)
        return Steps(
            np.concatenate([each.context for each in all_]),
            np.concatenate([each.emitted for each in all_]),
            np.concatenate([each.wall_ns for each in all_]),
            np.concatenate([each.target_forwards for each in all_]),
        )

    @property
    def contexts(self) -> tuple[object, ...]:
        """Where the cell decodes, and over which text. Cells that differ here aren't comparable."""
        one = self.settings
        return (one.workload, tuple(stops(one)), one.max_new_tokens, one.text, one.dataset)

    def first_token_ns(self) -> list[int]:
        """Return each repeat's time to its first token, where it was recorded."""
        times_ns = (capture.first_token_ns for capture in self.captures)
        return [each for each in times_ns if each is not None]


def read_cells(paths: Sequence[Path]) -> list[Cell]:
    """Return the cells of these paths, in order: sweeps' folders, other folders, or captures.

    One capture is in memory at a time. A repeat that decoded the tokens of an earlier repeat keeps
    only its times. Raises CaptureUnreadable where a path holds no capture.
    """
    places = [place for path in paths for place in _places(path)]
    grouped = dict[str, list[_Run]]()
    for place in places:
        run = _read_run(place, grouped) if isinstance(place, Path) else place
        grouped.setdefault(run.spec.id, []).append(run)
    return _distinguish_labels([_cell(alike) for alike in grouped.values()])


@dataclass(frozen=True, slots=True)
class _Run:
    spec: RunSpec
    name: str
    state: str
    trouble: str | None
    capture: Summary | None


def _places(path: Path) -> Iterator[Path | _Run]:
    """Yield the captures to read and the runs that left no capture, in the sweep's order."""
    if not path.is_dir():
        yield path
        return
    if (path / INDEX).exists():
        for run in read_index(path).runs:
            left_none = _Run(run.spec, run.file, run.state, run.trouble, None)
            yield path / run.file if _has_begun(path / run.file) else left_none
        return
    found = sorted(path.glob("*.jsonl"))
    if not found:
        hint = "give a sweep's folder, or captures that `specprof run` wrote"
        raise CaptureUnreadable(f"{path} holds no captures", hint)
    yield from found


def _has_begun(path: Path) -> bool:
    """Whether a run has written to its capture; a run that was stopped at once left it empty."""
    return path.exists() and path.stat().st_size > 0


def _read_run(path: Path, before: Mapping[str, Sequence[_Run]]) -> _Run:
    """Return a run from its capture, without figures where an earlier repeat has them."""
    capture = read_columns(path)
    reason = capture.end.reason if capture.end and capture.end.status == "failed" else None
    state = "DAMAGED" if capture.damaged else capture.state
    alike = before.get(capture.header.spec.id, ())
    served = any(run.state == "complete" and run.capture for run in alike)
    found = summarise(capture, figures=not served)
    for run in alike:
        if run.capture and found.steps.like(run.capture.steps):  # share the arrays in memory
            found = replace(found, steps=replace(run.capture.steps, wall_ns=found.steps.wall_ns))
            break
    return _Run(capture.header.spec, path.stem, state, reason, found)


def _cell(runs: Sequence[_Run]) -> Cell:
    """Return a cell of the runs' complete captures, or of all captures where none is complete."""
    complete = [run for run in runs if run.state == "complete"]
    return Cell(
        spec=runs[0].spec,
        label=runs[0].spec.label or make_encodable(runs[0].name),
        captures=[run.capture for run in complete or runs if run.capture],
        states=[run.state for run in runs],
        trouble=next((run.trouble for run in runs if run.trouble), None),
        damage=[run.capture.damage for run in runs if run.capture and run.capture.damage],
    )


def _distinguish_labels(cells: list[Cell]) -> list[Cell]:
    """Add the profile's name and the cell's id to labels that two cells share."""
    labels = Counter(cell.label for cell in cells)
    return [
        replace(cell, label=f"{cell.spec.profile} {cell.label} {cell.spec.id}")
        if labels[cell.label] > 1
        else cell
        for cell in cells
    ]
