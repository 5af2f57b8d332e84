"""One row per round, for a spreadsheet or a data frame; a column's name states what it counts.

If a run scored known text and decoded nothing, the file has one row per scored token.

An empty cell is a value that is not known (or a rate without a denominator), never a 0. Names from
the capture are escaped, so that a spreadsheet doesn't take them for formulas.
"""

import csv
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from statistics import fmean
from typing import ClassVar, NamedTuple

from specprof.analysis.drafts import levels
from specprof.capture import Capture
from specprof.extend import Exporter
from specprof.records import Drafted, Observed, Round, Scored

Cell = int | float | str | None


def _host_gap_ns(one: Round) -> int:
    """Return the time that no phase covers; 0 where clocks overlap."""
    return max(one.wall_ns - sum(span.ns for span in one.spans if not span.parent), 0)


COLUMNS: dict[str, Callable[[Round], Cell]] = {
    "round_index": lambda one: one.index,
    "burst_index": lambda one: one.burst,
    "context_tokens_before_round": lambda one: one.context,
    "depth_asked_tokens": lambda one: one.depth_asked,
    "drafted_tokens": lambda one: len(one.drafted),
    "reached_tokens": lambda one: len(_reached(one)),
    "accepted_tokens": lambda one: one.accepted,
    "emitted_tokens": lambda one: len(one.emitted),
    "accepted_per_drafted": lambda one: _rate(one.accepted, len(one.drafted)),
    "accepted_per_reached": lambda one: _rate(one.accepted, len(_reached(one))),
    "mean_overlap_over_reached": lambda one: _mean([seen.overlap for seen in _seen(one)]),
    "mean_accept_owed_over_reached": lambda one: _mean([seen.accept_owed for seen in _seen(one)]),
    "target_forwards": lambda one: one.target_forwards,
    "draft_forwards": lambda one: one.draft_forwards,
    "target_cache_tokens_after_rollback": lambda one: one.target_length,
    "draft_cache_tokens_after_rollback": lambda one: one.draft_length,
    "target_kv_bytes": lambda one: one.target_kv_bytes,
    "draft_kv_bytes": lambda one: one.draft_kv_bytes,
    "start_ns_since_run_start": lambda one: one.start_ns,
    "wall_ns": lambda one: one.wall_ns,
    "sequence_index": lambda one: one.sequence,
    "sequences_per_step": lambda one: one.shared,
    "drafted_levels": lambda one: max(levels(one.drafted), default=-1) + 1,
    "reached_levels": lambda one: len(_reached_levels(one)),
    "accepted_per_reached_level": lambda one: _rate(one.accepted, len(_reached_levels(one))),
    "target_evicted_tokens": lambda one: one.target_evicted,
    "draft_evicted_tokens": lambda one: one.draft_evicted,
    "host_gap_ns": _host_gap_ns,
}
"""Column -> its value for a round. After these, each phase has a column `<phase>_phase_ns`."""

SCORED_COLUMNS = ("context_tokens_before_token", "nll_nats")
"""The columns of a file on scored text."""


class Csv(Exporter):
    """Writes a capture's rounds as comma-separated values."""

    suffix: ClassVar[str] = ".csv"
    viewer: ClassVar[str] = "any spreadsheet, or pandas.read_csv"

    def write(self, capture: Capture, path: Path) -> None:
        """Write a line of column names, then one line per round or per scored token.

        The events are read twice: the first time finds the phases, which have columns.
        """
        found = _survey_events(capture)
        with path.open("w", encoding="utf-8", newline="") as file:
            rows = csv.writer(file)
            if found.scored and not found.rounds:
                rows.writerow(SCORED_COLUMNS)
                passes = (event for event in capture.events if isinstance(event, Scored))
                rows.writerows(row for one in passes for row in _scored_values(one))
                return
            phases = [escape_formula(f"{name}_phase_ns") for name in found.phases]
            rows.writerow([*COLUMNS, *phases])
            rounds = (event for event in capture.events if isinstance(event, Round))
            rows.writerows(_round_values(one, found.phases) for one in rounds)


class _CaptureFacts(NamedTuple):
    """Facts on a whole capture that the first row of the file needs."""

    rounds: bool
    scored: bool
    phases: dict[str, None]
    """Names of top-level spans, in the order they come."""


def _survey_events(capture: Capture) -> _CaptureFacts:
    rounds = scored = False
    phases = dict[str, None]()
    for event in capture.events:
        if isinstance(event, Round):
            rounds = True
            phases |= dict.fromkeys(span.name for span in event.spans if span.parent is None)
        scored |= isinstance(event, Scored)
    return _CaptureFacts(rounds, scored, phases)


def _round_values(one: Round, phases: Iterable[str]) -> list[Cell]:
    known = [value(one) for value in COLUMNS.values()]
    return known + [_phase_ns(one, name) for name in phases]


def escape_formula(text: str) -> str:
    """Return `text` on one line, quoted where a spreadsheet would take it for a formula."""
    line = "".join(sign if sign.isprintable() else " " for sign in text)
    return f"'{line}" if line.lstrip().startswith(("=", "+", "-", "@")) else line


def _reached(one: Round) -> list[Drafted]:
    return [each for each in one.drafted if each.reached]


def _seen(one: Round) -> list[Observed]:
    return [each.seen for each in _reached(one) if each.seen]


def _reached_levels(one: Round) -> set[int]:
    level = levels(one.drafted)
    return {level[node] for node, each in enumerate(one.drafted) if each.reached}


def _scored_values(one: Scored) -> Iterator[tuple[int, float]]:
    return ((one.context + place, nll) for place, nll in enumerate(one.nll))


def _rate(count: int, of: int) -> float | None:
    return count / of if of else None


def _mean(values: list[float]) -> float | None:
    return fmean(values) if values else None


def _phase_ns(one: Round, name: str) -> int | None:
    """Return a phase's nanoseconds; None, not 0, where the round has no such phase."""
    times = [span.ns for span in one.spans if span.parent is None and span.name == name]
    return sum(times) if times else None
