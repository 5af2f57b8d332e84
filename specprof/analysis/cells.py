"""Captures grouped into the cells of a comparison: what was run alike is laid side by side.

Knows which captures are repeats of one another and how their times add up; computes no rate. A
sweep is deterministic, so repeats decode the same tokens: they are averaged round by round, for
their rounds are one sample of the text and several of the clock. Where they differ they are pooled.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from specprof.analysis.columns import Columns
from specprof.analysis.contradictions import contradictions
from specprof.analysis.doubts import Contradiction
from specprof.analysis.recorded import Recorded, read_columns
from specprof.analysis.tables import Floats, Ints, Passes, Rounds
from specprof.errors import CaptureUnreadable
from specprof.plain import whole
from specprof.plan import stops
from specprof.records import Header
from specprof.settings import RunSpec, Settings
from specprof.sweep import INDEX, read_index

WORST = ("complete", "waiting", "interrupted", "INCOMPLETE", "DAMAGED", "failed")
"""States of a run, a worse one later."""


@dataclass(frozen=True, slots=True)
class Steps:
    """Decoding steps in order, arrays of one length: a step is a round, or a batch's rounds."""

    context: Ints
    """Committed tokens before it, of its first sequence."""
    emitted: Floats
    """By all its sequences."""
    wall_ns: Floats
    target_forwards: Floats

    def like(self, other: "Steps") -> bool:
        """Whether the same tokens were decoded in the same steps."""
        return np.array_equal(self.context, other.context) and np.array_equal(
            self.emitted, other.emitted
        )


@dataclass(frozen=True)
class Cell:
    """One cell's captures, its repeats; `captures` is empty where none was made."""

    spec: RunSpec
    label: str
    captures: Sequence[Recorded]
    states: Sequence[str]
    """Of each run that was asked for."""
    trouble: str | None = None
    """Why a run failed."""

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
    def damage(self) -> list[str]:
        """The lines left out, of each repeat that has some."""
        return [
            f"{len(each.damaged):,} damaged lines were left out: {'; '.join(each.damaged.told())}"
            for each in self.captures
            if each.damaged
        ]

    @cached_property
    def columns(self) -> Columns:
        """The first repeat's events, laid out; empty where there is none."""
        return self.captures[0].columns if self.captures else Columns()

    @cached_property
    def doubts(self) -> list[Contradiction]:
        """What in a repeat can't all be true."""
        return [each for one in self.captures for each in contradictions(one.columns)]

    @cached_property
    def per_repeat(self) -> list[Steps]:
        """Each repeat's decoding steps."""
        return [steps(capture.columns) for capture in self.captures]

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
        """Return each repeat's first prefill and first round together, where both were recorded."""
        return [
            each.prefills[0].wall_ns + int(whole_ns(each.rounds)[0])
            for each in (capture.columns for capture in self.captures)
            if each.prefills and len(each.rounds)
        ]

    def deepest(self) -> Rounds | Passes:
        """Return the first repeat's round, or pass over known text, of the longest context.

        A table of one row, or of none where nothing was recorded.
        """
        rounds, passes = self.columns.rounds, self.columns.passes
        before = passes.context - passes.scored
        if before.max(initial=-1) > rounds.context.max(initial=-1):
            return passes.taken(before.argmax(axis=0, keepdims=True))
        return rounds.taken(rounds.context.argmax(axis=0, keepdims=True)) if len(rounds) else rounds


def whole_ns(rounds: Rounds) -> Ints:
    """Return how long each round took, [rounds]: a sequence waits for its whole batch step."""
    return rounds.end_ns - rounds.start_ns


def steps(columns: Columns) -> Steps:
    """Return a capture's decoding steps; a batch's sequences share a step and its time."""
    rounds = columns.rounds
    leader, sharing = np.arange(len(rounds)), np.flatnonzero(rounds.shared > 1)
    if len(sharing):  # rounds that began together are led by the first of them
        _, first, of = np.unique(rounds.start_ns[sharing], return_index=True, return_inverse=True)
        leader[sharing] = sharing[first[of]]
    leaders, step = np.unique(leader, return_inverse=True)
    return Steps(
        context=rounds.context[leaders],
        emitted=np.bincount(step, rounds.emitted, len(leaders)).astype(np.float64),
        wall_ns=whole_ns(rounds)[leaders].astype(np.float64),
        target_forwards=rounds.target_forwards[leaders].astype(np.float64),
    )


def read_cells(paths: Sequence[Path]) -> list[Cell]:
    """Return the cells of sweeps' folders, of other folders' captures and of captures, in order.

    Raises CaptureUnreadable where a path holds none of these.
    """
    runs = [run for path in paths for run in _runs(path)]
    grouped = dict[str, list[_Run]]()
    for run in runs:
        grouped.setdefault(run.spec.id, []).append(run)
    return _told_apart([_cell(alike) for alike in grouped.values()])


@dataclass(frozen=True, slots=True)
class _Run:
    spec: RunSpec
    name: str
    state: str
    trouble: str | None
    capture: Recorded | None


def _runs(path: Path) -> list[_Run]:
    if not path.is_dir():
        return [_read(path)]
    if (path / INDEX).exists():
        return [
            _read(path / run.file)
            if _begun(path / run.file)
            else _Run(run.spec, run.file, run.state, run.trouble, None)
            for run in read_index(path).runs
        ]
    found = sorted(path.glob("*.jsonl"))
    if not found:
        hint = "give a sweep's folder, or captures that `specprof run` wrote"
        raise CaptureUnreadable(f"{path} holds no captures", hint)
    return [_read(each) for each in found]


def _begun(path: Path) -> bool:
    """Whether a run has written to its capture; one that was stopped at once left it empty."""
    return path.exists() and path.stat().st_size > 0


def _read(path: Path) -> _Run:
    capture = read_columns(path)
    reason = capture.end.reason if capture.end and capture.end.status == "failed" else None
    state = "DAMAGED" if capture.damaged else capture.state
    return _Run(capture.header.spec, path.stem, state, reason, capture)


def _cell(runs: Sequence[_Run]) -> Cell:
    """Return a cell of the runs' complete captures, or of what there is where none is."""
    complete = [run for run in runs if run.state == "complete"]
    return Cell(
        spec=runs[0].spec,
        label=runs[0].spec.label or whole(runs[0].name),
        captures=[run.capture for run in complete or runs if run.capture],
        states=[run.state for run in runs],
        trouble=next((run.trouble for run in runs if run.trouble), None),
    )


def _told_apart(cells: list[Cell]) -> list[Cell]:
    """Add the profile's name and the cell's number where two go by one label."""
    labels = [cell.label for cell in cells]
    return [
        replace(cell, label=f"{cell.spec.profile} {cell.label} {cell.spec.id}")
        if labels.count(cell.label) > 1
        else cell
        for cell in cells
    ]
