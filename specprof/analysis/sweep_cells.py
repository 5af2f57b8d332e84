"""Captures grouped into the cells of a comparison: what was run alike is laid side by side.

Knows which captures are repeats of one another and how their times add up; computes no rate. A
sweep is deterministic, so repeats decode the same tokens: they are averaged round by round, for
their rounds are one sample of the text and several of the clock. Where they differ they are pooled.
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
from specprof.analysis.summaries import Figures, Steps, Summary, steps, summarised
from specprof.errors import CaptureUnreadable
from specprof.plain import make_encodable
from specprof.plan import stops
from specprof.records import Header
from specprof.settings import RunSpec, Settings
from specprof.sweep import INDEX, read_index

WORST = ("complete", "waiting", "interrupted", "INCOMPLETE", "DAMAGED", "failed")
"""States of a run, a worse one later."""


@dataclass(frozen=True)
class Cell:
    """One cell's captures, its repeats; `captures` is empty where none was made."""

    spec: RunSpec
    label: str
    captures: Sequence[Summary]
    states: Sequence[str]
    """Of each run that was asked for."""
    trouble: str | None = None
    """Why a run failed."""
    damage: Sequence[str] = ()
    """Of each run that was asked for: which lines could not be read, where there are some."""

    @property
    def settings(self) -> Settings:
        """What was run."""
        return self.spec.settings

    @property
    def header(self) -> Header | None:
        """The first repeat's."""
        return self.captures[0].header if self.captures else None

    @property
    def state(self) -> str:
        """The worst of its runs' states."""
        return max(self.states, key=lambda each: WORST.index(each) if each in WORST else 0)

    @property
    def unreadable(self) -> bool:
        """Whether no result of it could be read, for lines are damaged."""
        return bool(self.captures) and all(each.unreadable for each in self.captures)

    @property
    def figures(self) -> Figures | None:
        """The first repeat's; None where there is none, or its counts contradict each other."""
        return self.captures[0].figures if self.captures else None

    @cached_property
    def doubts(self) -> list[Contradiction]:
        """What in a repeat can't all be true."""
        return [each for one in self.captures for each in one.doubts]

    @cached_property
    def per_repeat(self) -> list[Steps]:
        """Each repeat's decoding steps."""
        return [capture.steps for capture in self.captures]

    @cached_property
    def steps(self) -> Steps:
        """The decoding steps, repeats averaged step by step, or one after the other."""
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
        """Where it decodes, over which text: cells that differ in this can't be compared."""
        one = self.settings
        return (one.workload, tuple(stops(one)), one.max_new_tokens, one.text, one.dataset)

    def first_token_ns(self) -> list[int]:
        """Return each repeat's time to its first token, where it was recorded."""
        told = (capture.first_token_ns for capture in self.captures)
        return [each for each in told if each is not None]


def read_cells(paths: Sequence[Path]) -> list[Cell]:
    """Return the cells of sweeps' folders, of other folders' captures and of captures, in order.

    One capture is held at a time; a repeat that decoded what an earlier one did keeps only its
    times. Raises CaptureUnreadable where a path holds none of these.
    """
    places = [place for path in paths for place in _places(path)]
    grouped = dict[str, list[_Run]]()
    for place in places:
        run = _read(place, grouped) if isinstance(place, Path) else place
        grouped.setdefault(run.spec.id, []).append(run)
    return _told_apart([_cell(alike) for alike in grouped.values()])


@dataclass(frozen=True, slots=True)
class _Run:
    spec: RunSpec
    name: str
    state: str
    trouble: str | None
    capture: Summary | None


def _places(path: Path) -> Iterator[Path | _Run]:
    """Yield the captures to read, and in their order the runs that left none."""
    if not path.is_dir():
        yield path
        return
    if (path / INDEX).exists():
        for run in read_index(path).runs:
            left_none = _Run(run.spec, run.file, run.state, run.trouble, None)
            yield path / run.file if _begun(path / run.file) else left_none
        return
    found = sorted(path.glob("*.jsonl"))
    if not found:
        hint = "give a sweep's folder, or captures that `specprof run` wrote"
        raise CaptureUnreadable(f"{path} holds no captures", hint)
    yield from found


def _begun(path: Path) -> bool:
    """Whether a run has written to its capture; one that was stopped at once left it empty."""
    return path.exists() and path.stat().st_size > 0


def _read(path: Path, before: Mapping[str, Sequence[_Run]]) -> _Run:
    """Return a run as its capture tells it; its figures only where no repeat's before it serve."""
    capture = read_columns(path)
    reason = capture.end.reason if capture.end and capture.end.status == "failed" else None
    state = "DAMAGED" if capture.damaged else capture.state
    alike = before.get(capture.header.spec.id, ())
    served = any(run.state == "complete" and run.capture for run in alike)
    told = summarised(capture, figures=not served)
    for run in alike:
        if run.capture and told.steps.like(run.capture.steps):  # the arrays are held once
            told = replace(told, steps=replace(run.capture.steps, wall_ns=told.steps.wall_ns))
            break
    return _Run(capture.header.spec, path.stem, state, reason, told)


def _cell(runs: Sequence[_Run]) -> Cell:
    """Return a cell of the runs' complete captures, or of what there is where none is."""
    complete = [run for run in runs if run.state == "complete"]
    return Cell(
        spec=runs[0].spec,
        label=runs[0].spec.label or make_encodable(runs[0].name),
        captures=[run.capture for run in complete or runs if run.capture],
        states=[run.state for run in runs],
        trouble=next((run.trouble for run in runs if run.trouble), None),
        damage=[run.capture.damage for run in runs if run.capture and run.capture.damage],
    )


def _told_apart(cells: list[Cell]) -> list[Cell]:
    """Add the profile's name and the cell's number where two go by one label."""
    labels = Counter(cell.label for cell in cells)
    return [
        replace(cell, label=f"{cell.spec.profile} {cell.label} {cell.spec.id}")
        if labels[cell.label] > 1
        else cell
        for cell in cells
    ]
