"""Captures with a few random changes: every reader ends right, whatever they hold."""

import json
import os
import shutil
import tempfile
from pathlib import Path

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from captures import events, write
from fuzzing.commands import check
from fuzzing.mauling import encode_lines, maul

BROKE = Path(tempfile.gettempdir()) / "specprof-mauled.jsonl"
"""The copy of a file that broke a reader."""
EXAMPLES = int(os.environ.get("SPECPROF_MAULED", "40"))
"""Number of captures; the variable sets more for a long trial."""
PHASES = [Phase.generate]
"""No shrinking: to find a shorter capture takes minutes, and shows no more."""
KINDS = [
    {"max_new_tokens": 40},
    {"max_new_tokens": 40, "temperature": 0.0},
    {"shape": "static-tree"},
    {"batch": 3, "max_new_tokens": 24},
    {"drafter": "none", "draft": None, "depth": 0},
    {"workload": "ppl", "context": 900, "cache": "sink-window", "window": 256},
]
SCHEMA_1 = Path(__file__).parent / "data" / "schema-1.jsonl"


def recorded(folder):
    """Return the lines of a few small captures."""
    made = [write(folder / f"{i}.jsonl", events(**kind)) for i, kind in enumerate(KINDS)]
    return [
        [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        for path in [*made, SCHEMA_1]
    ]


def test_a_mauled_capture_ends_right_under_every_reader(tmp_path):
    """No traceback, crashed rule or hanging reader; the lines left out are named."""
    path, whole = tmp_path / "run.jsonl", recorded(tmp_path)

    @settings(max_examples=EXAMPLES, derandomize=EXAMPLES <= 40, database=None, phases=PHASES)
    @given(lines=maul(whole), cut=st.integers(0, 400))
    def trial(lines, cut):
        content = encode_lines(lines)
        path.write_bytes(content[: len(content) - cut] if cut < 100 else content)
        check(path)

    try:
        trial()
    except BaseException:
        shutil.copy(path, BROKE)
        raise
