"""The summary of a capture as one JSON document, `specprof.summary/1`, for scripts.

The numbers come from `specprof.analysis`, like those of the screens. Every rate is named for its
denominator. null is "not known", never 0; contradictions in a capture also make figures null.
Later releases may add keys to a version, but never change a key.
"""

from pathlib import Path
from typing import Any, ClassVar

import msgspec

from specprof.analysis.acceptance import by_context, context_edges, index_profile, rates
from specprof.analysis.columns import Columns
from specprof.analysis.contradictions import contradictions
from specprof.analysis.memory import caches
from specprof.analysis.perplexity import by_depth, perplexity
from specprof.analysis.recorded import lay_out_capture
from specprof.analysis.timing import phases, requests
from specprof.capture import Capture
from specprof.extend import Exporter
from specprof.plain import as_json, escape_json

SCHEMA = "specprof.summary/1"
MAX_LISTED_DAMAGE = 20
"""Damaged lines that the document lists with their reasons."""


class Json(Exporter):
    """Writes the summary of a capture as JSON."""

    suffix: ClassVar[str] = ".json"
    viewer: ClassVar[str] = "jq, or any JSON reader"

    def write(self, capture: Capture, path: Path) -> None:
        """Write one indented document."""
        encoded = escape_json(as_json(summary(capture)))
        path.write_bytes(msgspec.json.format(encoded, indent=2) + b"\n")


def summary(capture: Capture) -> dict[str, Any]:
    """Return the document: what ran, totals, times by phase, acceptance in three forms."""
    columns = lay_out_capture(capture).columns
    doubts = contradictions(columns)
    counted, timed = not any(each.of == "counts" for each in doubts), not doubts
    return {
        "schema": SCHEMA,
        "capture": {
            "file": capture.path.name,
            "state": capture.state,
            "torn": capture.torn,
            "damaged_lines": [each.line for each in capture.damaged],
            "damaged": {
                "count": len(capture.damaged),
                "first": capture.damaged.first[:MAX_LISTED_DAMAGE],
            },
        },
        "contradictions": doubts,
        "header": capture.header,
        "end": capture.end,
        "notes": columns.notes,
        "totals": _totals(columns),
        "acceptance": rates(columns) if counted else None,
        "by_draft_index": index_profile(columns) if counted else None,
        "by_context": by_context(columns, context_edges(columns)) if counted else None,
        "phases": phases(columns) if timed else None,
        "bursts": requests(columns) if timed else None,
        "caches": caches(columns),
        "perplexity": perplexity(columns) if counted else None,
        "perplexity_by_depth": by_depth(columns) if counted else None,
    }


def _totals(columns: Columns) -> dict[str, int]:
    rounds = columns.rounds
    return {
        "rounds": len(rounds),
        "drafted_tokens": int(rounds.drafted.sum()),
        "reached_tokens": int(rounds.reached.sum()),
        "drafted_levels": int(rounds.levels.sum()),
        "reached_levels": int(rounds.reached_levels.sum()),
        "accepted_tokens": int(rounds.accepted.sum()),
        "emitted_tokens": int(rounds.emitted.sum()),
        "target_forwards": int(rounds.target_forwards.sum()),
        "draft_forwards": int(rounds.draft_forwards.sum()),
        "rounds_wall_ns": int(rounds.wall_ns.sum()),
        "scored_tokens": len(columns.scored),
        "passes_wall_ns": int(columns.passes.wall_ns.sum()),
        "prefills_wall_ns": sum(prefill.wall_ns for prefill in columns.prefills),
    }
