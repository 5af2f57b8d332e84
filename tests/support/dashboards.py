"""The dashboard under test: opened on a capture in a fixed size, waited for, read as text."""

import os
from contextlib import asynccontextmanager
from pathlib import Path

from captures import events, write
from specprof.analysis.columns import Columns
from specprof.diagnosis.diagnose import Diagnosis, Verdict
from specprof.findings import Clear, Finding, Found, Measure, Unknown
from specprof.tui.app import Dashboard

WALK = {"stops": 8, "max_new_tokens": 60, "context": 6000, "seed": 5}
GOLDEN = Path(__file__).parents[1] / "tui" / "golden"


def diagnosis(columns: Columns) -> Diagnosis:
    """Return a fixed diagnosis that has one of everything, whatever the columns hold."""
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
    """Write the capture most screens are tested on."""
    return write(path, events(**WALK))


@asynccontextmanager
async def opened(path: Path, size=(120, 36), **options):
    """Open a dashboard whose clock stands still, and wait until it shows the whole file."""
    options = {"judge": diagnosis, "clock": lambda: 0.0} | options
    app = Dashboard(path, **options)
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: app.snapshot.diagnosis and app.reading.final)
        await until(pilot, lambda: "quit" in screen_text(app))  # the keys come a moment later
        yield pilot


async def until(pilot, true, seconds=20.0) -> None:
    """Wait for something to come true; fail if it doesn't."""
    for _ in range(int(seconds / 0.02)):
        await pilot.pause(0.02)
        if true():
            return
    raise AssertionError("it did not come true in time")


def screen_text(app: Dashboard) -> str:
    """Return what the terminal would show, without colours."""
    rows = app.screen._compositor.render_strips()
    return "\n".join(row.text.rstrip() for row in rows) + "\n"


def recorded() -> Path:
    """Return the capture the golden screens show: written once, so that it stays what it is."""
    return GOLDEN / "run.jsonl"


def matches_golden(name: str, shown: str) -> bool:
    """Compare with the golden file; SPECPROF_GOLDEN=write records a new one instead."""
    path = GOLDEN / name
    if os.environ.get("SPECPROF_GOLDEN") == "write":
        path.write_text(shown, encoding="utf-8")
    return path.read_text(encoding="utf-8") == shown
