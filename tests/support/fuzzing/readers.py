"""Everything that reads a file somebody else may have made, and what each must make of it.

A reader is given a file and returns what its user would see. Beside crashes it says `Bad` where
what it read can't be true: events other than those in the file, a sweep's file outside its folder,
a rule that crashed, or a bug found in a healthy run that lost some lines.
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
"""A few lines; pieces end inside them."""

PANEL = (64, 12)
"""Columns and rows of a panel."""


@dataclass(frozen=True)
class Reader:
    """One reader: what it is given, and what of that it does."""

    name: str
    of: str
    """The kind of files it reads."""
    read: Read
    cheap: bool = False
    """Whether every seed is tried with each edit: it takes far less than a millisecond."""
    damage: bool = False
    """Whether its files are only damaged, whole lines at a time, with no value changed."""


def read_events(path: Path) -> str:
    """Read a capture at once and in pieces, which must come to the same."""
    whole, reader = read_capture(path), CaptureReader(path)
    events = [each for piece in reader.pieces(PIECE_BYTES) for each in piece]
    alike = list(reader.damaged) == list(whole.damaged)
    if events != [whole.header, *whole.events] or not alike:
        raise Bad("other events in pieces", f"{len(events)} and {1 + len(whole.events)}")
    data = path.read_bytes()
    if len(events) + len(reader.damaged) != data.count(b"\n"):
        raise Bad("a whole line was neither read nor counted", f"of {len(events)}")
    if whole.torn == data.endswith(b"\n"):
        raise Bad("a torn line was not told", repr(data[-20:]))
    return ""


def follow(path: Path) -> str:
    """Follow a capture that grows, from places inside its lines, to its end."""
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
    told, rounds = len(reading.columns.rounds), sum(isinstance(e, Round) for e in whole.events)
    reading.columns.first(told // 2)
    damaged = reading.damaged if isinstance(reading.damaged, int) else len(reading.damaged)
    if told != rounds or damaged != len(whole.damaged):
        raise Bad("other rounds when followed", f"{told} and {rounds}")
    return ""


def read_tables(path: Path) -> str:
    """Read a table of results, and show what was understood of it."""
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
    """Read a sweep's index from its folder: every file it names lies there."""
    folder = path.parent / "sweep"
    folder.mkdir(exist_ok=True)
    (folder / sweep.INDEX).write_bytes(path.read_bytes())
    for run in sweep.resume_index(folder).runs:
        place = Path(os.path.normpath(folder / run.file))
        if place.parent != folder or place.name == sweep.INDEX:
            raise Bad("a file outside the folder", repr(run.file))
    return ""


def diagnosed(path: Path) -> str:
    """Diagnose a file as a user does, as a document and now and then as text: none may crash."""
    from specprof.cli.diagnose import diagnose

    told = shown(lambda: diagnose(captures=[path], form="json"))
    _none_crashed(told)
    if path.stat().st_size % 4:  # the text says the same, and takes twice as long
        return told
    return told + shown(lambda: diagnose(captures=[path]))


def annotated(path: Path) -> str:
    """Diagnose a file for an editor and for a pipeline."""
    from specprof.cli.diagnose import diagnose

    forms = ("sarif", "github")
    return "".join(shown(lambda form=form: diagnose(captures=[path], form=form)) for form in forms)


def summarised(path: Path) -> str:
    """Show a capture on one screen of text, once with ASCII signs only."""
    from specprof.tui.summary import summary

    return summary(path) + summary(path, ascii_only=True)


def drawn(path: Path) -> str:
    """Draw the dashboard's panels and its findings, at the end and where a replay may stand."""
    from specprof.diagnosis.diagnose import findings_so_far
    from specprof.tui.follow import read_all
    from specprof.tui.panels import DRAWINGS
    from specprof.tui.screens.findings import describe_diagnosis
    from specprof.tui.sheet import Sheet
    from specprof.tui.snapshot import Snapshot
    from specprof.tui.vocabulary import load_vocabulary

    columns, told = read_all(path).columns, ""
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
            told += "\n".join(sheet.lines(ascii_only=False))
        told += "".join(each.plain for each in describe_diagnosis(snapshot))
    return told


def compared(path: Path) -> str:
    """Compare a capture, by depth too, as a table and as documents."""
    from specprof.cli.compare import compare

    return (
        shown(lambda: compare(paths=[path], by_depth=True, wide=True))
        + shown(lambda: compare(paths=[path], json=True))
        + shown(lambda: compare(paths=[path], csv=True))
    )


def exported(path: Path) -> str:
    """Export a capture in every format."""
    from specprof.cli.export import export

    told = ""
    for name, binary in _formats():
        into = path.with_suffix(f".{name}")
        typed = partial(export, format_=name, capture=path, output=into, force=True)
        shown(typed)
        told += "" if binary else into.read_text(encoding="utf-8")
    return told


def acquitted(path: Path) -> str:
    """Diagnose what is left of a healthy capture, which must not be accused of a bug.

    The engine that recorded it was sound, and no value in it was changed: lines were lost, cut off,
    doubled, moved or overwritten. Whatever they were, that says nothing of the engine.
    """
    from specprof.cli.diagnose import diagnose

    told = shown(lambda: diagnose(captures=[path], form="json"))
    found = [each for each in _none_crashed(told) if each["outcome"] == "found"]
    for each in found:
        if each["family"] == "bug":
            raise Bad(f"accused of {each['rule']}", each["finding"]["message"])
    broken, damaged = _broken(path), len(read_capture(path).damaged)
    if damaged < len(broken):
        raise Bad("a broken line was not counted", f"{sorted(broken)} and {damaged}")
    if broken and not any(each["family"] == "measurement" for each in found):
        raise Bad("nothing is said of damage", f"lines {sorted(broken)}")
    return told


def shown(command: Callable[[], object]) -> str:
    """Return what a command writes to stdout."""
    with redirect_stdout(io.StringIO()) as told, redirect_stderr(io.StringIO()):
        command()
    return told.getvalue()


def _broken(path: Path) -> set[int]:
    """Return the numbers, from 1, of a file's whole lines that are no document."""
    broken = set()
    for number, line in enumerate(path.read_bytes().splitlines(keepends=True), start=1):
        try:
            json.loads(line)
        except ValueError:
            broken |= {number} if line.endswith(b"\n") else set()
    return broken


def _none_crashed(told: str) -> list[dict[str, Any]]:
    made = json.loads(told)["diagnoses"]
    verdicts = [verdict for each in made for verdict in each.get("verdicts", ())]
    for verdict in verdicts:
        if verdict["outcome"] == "crashed":
            raise Bad(f"rule {verdict['rule']} crashed", str(verdict["error"]))
    return verdicts


@cache
def _formats() -> list[tuple[str, bool]]:
    """Return each exporter's name, and whether it writes no text."""
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
        Reader("judge", TABLE, diagnosed),
        Reader("diagnose", CAPTURE, diagnosed),
        Reader("annotate", CAPTURE, annotated),
        Reader("summary", CAPTURE, summarised),
        Reader("panels", CAPTURE, drawn),
        Reader("compare", CAPTURE, compared),
        Reader("export", CAPTURE, exported),
        Reader("acquit", CAPTURE, acquitted, damage=True),
    )
}
