"""Open the dashboard on a capture in a fixed size, wait for it, and read it as text."""

import os
from contextlib import asynccontextmanager
from pathlib import Path

from captures import events, write
from specprof.analysis.columns import Columns
from specprof.diagnosis.diagnose import Diagnosis
from specprof.diagnosis.verdict import Verdict
from specprof.findings import Clear, Finding, Found, Measure, Unknown
from specprof.tui.app import Dashboard

WALK = {"stops": 8, "max_new_tokens": 60, "context": 6000, "seed": 5}
GOLDEN = Path(__file__).parents[1] / "tui" / "golden"


def diagnosis(columns: Columns) -> Diagnosis:
    """Return a fixed diagnosis with a verdict of each outcome; only its counts use the columns."""
    rounds = len(columns.rounds)
    finding = Finding(
        message="the draft cache is two entries short after every rejection",
        measures=(Measure(name="missing per rejection", value=2, n=rounds, low=2, high=2),),
        remedy="roll the draft cache back to the committed length",
        confirm=("specprof drill draft-cache-short",),
        headline=True,
    )
    return Diagnosis(
        capture="run.jsonl",
        sentence="Of 50.0% rejected drafts, 20.0 points are an implementation bug.",
        attribution=None,
        waterfall=None,
        verdicts=(
            Verdict("cache-length-wrong", "bug", Found(finding=finding)),
            Verdict("too-few-rounds", "measurement", Clear(detectable="fewer than 30 rounds")),
            Verdict("no-speedup", "cost", Unknown(reason="no baseline capture was given")),
        ),
    )


def walk(path: Path) -> Path:
    """Write the capture that most screens are tested on."""
    return write(path, events(**WALK))


@asynccontextmanager
async def open_dashboard(path: Path, size=(120, 36), **options):
    """Open a dashboard whose clock stands still, and wait until it shows the whole file."""
    options = {"judge": diagnosis, "clock": lambda: 0.0} | options
    app = Dashboard(path, **options)
    async with app.run_test(size=size) as pilot:
        await wait_until(pilot, lambda: app.snapshot.diagnosis and app.reading.final)
        await wait_until(pilot, lambda: "quit" in screen_text(app))  # the keys are drawn later
        yield pilot


async def wait_until(pilot, true, seconds=20.0) -> None:
    """Wait until `true()` is true; fail if it doesn't come true in time."""
    for _ in range(int(seconds / 0.02)):
        await pilot.pause(0.02)
        if true():
            return
    raise AssertionError("it did not come true in time")


def screen_text(app: Dashboard) -> str:
    """Return the text that a terminal would show, without colours."""
    rows = app.screen._compositor.render_strips()
    return "\n".join(row.text.rstrip() for row in rows) + "\n"


def golden_capture() -> Path:
    """Return the capture of the golden screens, which was written once and never changes."""
    return GOLDEN / "run.jsonl"


def matches_golden(name: str, shown: str) -> bool:
    """Compare with the golden file; SPECPROF_GOLDEN=write records a new file instead."""
    path = GOLDEN / name
    if os.environ.get("SPECPROF_GOLDEN") == "write":
        path.write_text(shown, encoding="utf-8")
    return path.read_text(encoding="utf-8") == shown
