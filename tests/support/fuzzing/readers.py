"""All readers of files from strangers, and the checks of each reader's answer.

A reader takes a file and returns the text that its user would see. It raises `Bad` for an answer
that can't be true: events that are not in the file, a sweep's file outside its folder, a rule that
crashed, or a bug found in a healthy run that lost some lines.
"""

import io
import json
import math
import os
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

from fuzzing.watched import Bad, Read
from specprof import plan, sweep
from specprof.capture import CaptureReader, read_capture
from specprof.records import Round

CAPTURE, TABLE, PROFILE, INDEX = "captures", "tables", "profiles", "indices"
PIECE_BYTES = 3_000
"""The size of a few lines, so that pieces end inside lines."""

PANEL = (64, 12)
"""Columns and rows of a panel."""


@dataclass(frozen=True)
class Reader:
    """One reader: the files it takes, and its read function."""

    name: str
    of: str
    """The kind of files that it reads."""
    read: Read
    cheap: bool = False
    """Whether each edit is tried on every seed, as a read takes far less than a millisecond."""
    damage: bool = False
    """Whether its files only have damaged lines, and no changed value."""


def read_events(path: Path) -> str:
    """Read a capture at once and in pieces, and check that the events are equal."""
    whole, reader = read_capture(path), CaptureReader(path)
    events = [each for piece in reader.pieces(PIECE_BYTES) for each in piece]
    alike = list(reader.damaged) == list(whole.damaged)
    if events != [whole.header, *whole.events] or not alike:
        raise Bad("other events in pieces", f"{len(events)} and {1 + len(whole.events)}")
    data = path.read_bytes()
    if len(events) + len(reader.damaged) != data.count(b"\n"):
        raise Bad("a whole line was neither read nor counted", f"of {len(events)}")
    if whole.torn == data.endswith(b"\n"):
        raise Bad("a torn line was not reported", repr(data[-20:]))
    return ""


def follow(path: Path) -> str:
    """Follow a capture that grows by parts of lines, to its end."""
    from specprof.tui.follow import Follower

    data = path.read_bytes()
    growing = path.with_suffix(".growing")
    growing.write_bytes(b"")
    follower = Follower(growing)
    for share in (0.3, 1.0):
        with growing.open("ab") as file:
            file.write(data[file.tell() : int(share * len(data))])
        reading = follower.read()
        while reading.more:
            reading = follower.read()
    whole = read_capture(path)
    followed, rounds = len(reading.columns.rounds), sum(isinstance(e, Round) for e in whole.events)
    reading.columns.first(followed // 2)
    damaged = reading.damaged if isinstance(reading.damaged, int) else len(reading.damaged)
    if followed != rounds or damaged != len(whole.damaged):
        raise Bad("other rounds when followed", f"{followed} and {rounds}")
    return ""


def read_tables(path: Path) -> str:
    """Read a table of results, and check that its figures are finite."""
    from specprof.published.read import is_table, read_results

    read = read_results(path) if is_table(path) else []
    for arm in (arm for each in read for arm in each.arms):
        for figure in (*arm.figures.values(), *arm.survival.values(), *arm.positions.values()):
            if not math.isfinite(figure.value):
                raise Bad("a figure that is no number", str(arm))
    return ""


def read_profile(path: Path) -> str:
    """Read a profile and spread it over its cells."""
    profile = plan.read_profile(str(path))
    plan.expand(profile)
    if profile.quick:
        plan.expand(plan.apply_quick(profile))
    return ""


def read_index(path: Path) -> str:
    """Read a sweep's index, and check that every file it names lies in its folder."""
    folder = path.parent / "sweep"
    folder.mkdir(exist_ok=True)
    (folder / sweep.INDEX).write_bytes(path.read_bytes())
    for run in sweep.resume_index(folder).runs:
        place = Path(os.path.normpath(folder / run.file))
        if place.parent != folder or place.name == sweep.INDEX:
            raise Bad("a file outside the folder", repr(run.file))
    return ""


def diagnose_file(path: Path) -> str:
    """Diagnose a file as JSON, and every fourth file as text too; no rule may crash."""
    from specprof.cli.diagnose import diagnose

    output = capture_stdout(lambda: diagnose(captures=[path], form="json"))
    _read_verdicts(output)
    if path.stat().st_size % 4:  # the text has the same content, and takes twice as long
        return output
    return output + capture_stdout(lambda: diagnose(captures=[path]))


def annotate_file(path: Path) -> str:
    """Diagnose a file for an editor and for a pipeline."""
    from specprof.cli.diagnose import diagnose

    forms = ("sarif", "github")
    return "".join(
        capture_stdout(lambda form=form: diagnose(captures=[path], form=form)) for form in forms
    )


def summarise_file(path: Path) -> str:
    """Show a capture on one screen of text, with all signs and with ASCII only."""
    from specprof.tui.summary import summary

    return summary(path) + summary(path, ascii_only=True)


def draw_panels(path: Path) -> str:
    """Draw the dashboard's panels and findings, at the end and at two rounds of a replay."""
    from specprof.diagnosis.diagnose import findings_so_far
    from specprof.tui.follow import read_all
    from specprof.tui.panels import DRAWINGS
    from specprof.tui.screens.findings import describe_diagnosis
    from specprof.tui.sheet import Sheet
    from specprof.tui.snapshot import Snapshot
    from specprof.tui.vocabulary import load_vocabulary

    columns, output = read_all(path).columns, ""
    header, rounds = columns.header, len(columns.rounds)
    diagnosis, text = findings_so_far(columns), load_vocabulary(header) if header else str
    for shown in sorted({rounds, rounds // 2, min(rounds, 1)}):
        snapshot = Snapshot(
            columns=columns.first(shown),
            recorded=rounds,
            diagnosis=diagnosis,
            token_text=text,
            needle="a",
        )
        for drawing in DRAWINGS.values():
            sheet = Sheet(*PANEL)
            drawing.draw(sheet, snapshot)
            output += "\n".join(sheet.lines(ascii_only=False))
        output += "".join(each.plain for each in describe_diagnosis(snapshot))
    return output


def compare_file(path: Path) -> str:
    """Compare a capture, by depth too, as a table and as documents."""
    from specprof.cli.compare import compare

    return (
        capture_stdout(lambda: compare(paths=[path], by_depth=True, wide=True))
        + capture_stdout(lambda: compare(paths=[path], json=True))
        + capture_stdout(lambda: compare(paths=[path], csv=True))
    )


def export_file(path: Path) -> str:
    """Export a capture in every format."""
    from specprof.cli.export import export

    output = ""
    for name, binary in _list_formats():
        into = path.with_suffix(f".{name}")
        capture_stdout(partial(export, format_=name, capture=path, output=into, force=True))
        output += "" if binary else into.read_text(encoding="utf-8")
    return output


def acquit_file(path: Path) -> str:
    """Diagnose a damaged healthy capture, which must not be accused of a bug.

    The engine that recorded it was sound, and no value in it was changed. Lines were lost, cut off,
    doubled, moved or overwritten, and that is no evidence about the engine.
    """
    from specprof.cli.diagnose import diagnose

    output = capture_stdout(lambda: diagnose(captures=[path], form="json"))
    found = [each for each in _read_verdicts(output) if each["outcome"] == "found"]
    for each in found:
        if each["family"] == "bug":
            raise Bad(f"accused of {each['rule']}", each["finding"]["message"])
    broken, damaged = _find_broken_lines(path), len(read_capture(path).damaged)
    if damaged < len(broken):
        raise Bad("a broken line was not counted", f"{sorted(broken)} and {damaged}")
    if broken and not any(each["family"] == "measurement" for each in found):
        raise Bad("damage was not reported", f"lines {sorted(broken)}")
    return output


def capture_stdout(command: Callable[[], object]) -> str:
    """Return a command's output on stdout."""
    with redirect_stdout(io.StringIO()) as output, redirect_stderr(io.StringIO()):
        command()
    return output.getvalue()


def _find_broken_lines(path: Path) -> set[int]:
    """Return the numbers, from 1, of a file's whole lines that are no JSON document."""
    broken = set()
    for number, line in enumerate(path.read_bytes().splitlines(keepends=True), start=1):
        try:
            json.loads(line)
        except ValueError:
            broken |= {number} if line.endswith(b"\n") else set()
    return broken


def _read_verdicts(output: str) -> list[dict[str, Any]]:
    """Return all verdicts of a diagnosis as JSON; raise Bad if a rule crashed."""
    made = json.loads(output)["diagnoses"]
    verdicts = [verdict for each in made for verdict in each.get("verdicts", ())]
    for verdict in verdicts:
        if verdict["outcome"] == "crashed":
            raise Bad(f"rule {verdict['rule']} crashed", str(verdict["error"]))
    return verdicts


@cache
def _list_formats() -> list[tuple[str, bool]]:
    """Return each exporter's name, and whether it writes binary data."""
    from specprof import extend, registry

    return [
        (name, registry.load(extend.Exporter, member).binary)
        for name, member in registry.members("exporter").items()
    ]


READERS = {
    each.name: each
    for each in (
        Reader("capture", CAPTURE, read_events, cheap=True),
        Reader("follower", CAPTURE, follow, cheap=True),
        Reader("table", TABLE, read_tables, cheap=True),
        Reader("profile", PROFILE, read_profile, cheap=True),
        Reader("index", INDEX, read_index, cheap=True),
        Reader("judge", TABLE, diagnose_file),
        Reader("diagnose", CAPTURE, diagnose_file),
        Reader("annotate", CAPTURE, annotate_file),
        Reader("summary", CAPTURE, summarise_file),
        Reader("panels", CAPTURE, draw_panels),
        Reader("compare", CAPTURE, compare_file),
        Reader("export", CAPTURE, export_file),
        Reader("acquit", CAPTURE, acquit_file, damage=True),
    )
}
