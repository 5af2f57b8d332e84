"""Read a capture in every way, in this process, and keep each command's output and exit code."""

import io
import re
import sys
import time
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

from specprof import registry
from specprof.capture import CaptureReader
from specprof.cli import main
from specprof.diagnosis.diagnose import findings_so_far
from specprof.tui.follow import read_all
from specprof.tui.panels import DRAWINGS
from specprof.tui.panels.trust import draw_trust
from specprof.tui.sheet import Sheet
from specprof.tui.snapshot import Snapshot
from specprof.tui.vocabulary import load_vocabulary

COMMANDS = {
    "diagnose": ["diagnose", "FILE"],
    "diagnose json": ["diagnose", "--json", "FILE"],
    "diagnose sarif": ["diagnose", "--format", "sarif", "FILE"],
    "diagnose github": ["diagnose", "--format", "github", "FILE"],
    "compare": ["compare", "--by-depth", "--wide", "FILE"],
    "view": ["view", "--plain", "FILE"],
    **{
        f"export {name}": ["export", name, "FILE", "-o", "-"]
        for name in registry.members("exporter")
    },
}
DOCUMENTED_CODES = {0, 2, 5}
MAX_SECONDS = 5.0
"""Processor time that any one reader may take for a file."""


@dataclass(frozen=True, slots=True)
class Ended:
    """A command's exit code, output and time."""

    code: int
    stdout: str
    stderr: str
    seconds: float


def run(name: str, path: Path) -> Ended:
    """Run one of `COMMANDS` on a file; errors pass through."""
    return run_specprof(*(str(path) if word == "FILE" else word for word in COMMANDS[name]))


def run_specprof(*words: str) -> Ended:
    """Run a command line in this process; errors pass through."""
    out, err, code = io.TextIOWrapper(io.BytesIO(), encoding="utf-8"), io.StringIO(), 0
    started = time.process_time()
    with patch.object(sys, "argv", ["specprof", *words]):
        with redirect_stdout(out), redirect_stderr(err):
            try:
                main()
            except SystemExit as ended:
                code = ended.code or 0
    out.flush()
    text = out.buffer.getvalue().decode("utf-8", "replace")
    return Ended(code, text, err.getvalue(), time.process_time() - started)


def draw(path: Path) -> None:
    """Draw every panel of the dashboard, large and small, with the words of the target's tokens."""
    reading = read_all(path)
    snapshot = Snapshot(
        columns=reading.columns,
        state=reading.state,
        recorded=len(reading.columns.rounds),
        damaged=reading.damaged,
        diagnosis=findings_so_far(reading.columns),
        token_text=load_vocabulary(reading.columns.header),
    )
    for width, height in ((120, 30), (30, 4)):
        draw_trust(Sheet(width, 3), snapshot)
        for drawing in DRAWINGS.values():
            drawing.draw(Sheet(width, height), snapshot)


def check(path: Path) -> dict[str, Ended]:
    """Fail unless every reader ends right; return the commands' ends.

    Right is a documented exit code, no traceback, no crashed rule, and in time. A command that can
    read the file also names the lines that were left out, and says if the capture contradicts
    itself.
    """
    ended = {name: run(name, path) for name in COMMANDS}
    for name, each in ended.items():
        assert each.code in DOCUMENTED_CODES, (name, each.code, each.stderr)
        assert each.seconds < MAX_SECONDS, (name, each.seconds)
        assert "Traceback" not in each.stdout + each.stderr, name
        assert "crashed" not in re.findall(r'"outcome": "(\w+)"', each.stdout), name
        assert "please report" not in each.stdout, (name, each.stdout)
    codes = {each.code for each in ended.values()}
    assert len(codes) == 1, {name: each.code for name, each in ended.items()}
    ruined = "no result that could be read" in ended["diagnose"].stderr
    if codes == {0} or ruined:
        _check_left_out(path, ended)
        draw(path)
    else:
        assert all(each.stderr.count("\n") == 2 for each in ended.values())
    return ended


def _check_left_out(path: Path, ended: dict[str, Ended]) -> None:
    reader = CaptureReader(path)
    for _ in reader.pieces():
        pass
    if reader.damaged:
        line = f"line {reader.damaged.first[0].line:,}:"
        assert line in ended["diagnose"].stdout
        assert line in ended["compare"].stdout + ended["compare"].stderr
        assert "could not be read" in ended["view"].stdout.partition("\n")[0]
        for name in COMMANDS:
            assert not name.startswith("export") or line in ended[name].stderr
    if "contradicts itself" in ended["diagnose"].stdout:
        assert "contradicts itself" in ended["compare"].stdout + ended["compare"].stderr
