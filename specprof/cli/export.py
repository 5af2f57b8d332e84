"""``specprof export``: write a capture in another tool's format."""

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from specprof.cli import app
from specprof.errors import STOPPED, SpecprofError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from specprof.capture import Capture
    from specprof.extend import Exporter
    from specprof.registry import Member


@app.command()
def export(
    *,
    format_: Annotated[
        str, typer.Argument(metavar="FORMAT", help="`specprof list exporter` shows them.")
    ],
    capture: Annotated[Path, typer.Argument(help="A file that `specprof run` wrote.")],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", help="Default: beside the capture. `-`: stdout.", show_default=False
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
) -> None:
    """Write a capture in another tool's format, such as speedscope.

    A capture that is damaged is written as far as it could be read; the exit code is 5 where no
    result of it could.
    """
    from specprof import registry
    from specprof.capture_file import open_capture

    member = registry.member("exporter", format_)
    with open_capture(capture) as read:
        written = _written(member, read, output, overwrite=force)
        _narrate(read, written)
        _refuse_ruined(read)


def _written(
    member: "Member", capture: "Capture", output: Path | None, *, overwrite: bool
) -> str | None:
    """Write a capture and return where it went, in words; None where that is stdout."""
    from specprof import extend, registry, writing

    with _named(member):
        exporter = registry.load(extend.Exporter, member)()
        if output == Path("-"):
            _to_stdout(exporter, capture)
            return None
    if output and str(output) in {"/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"}:
        raise UsageError(f"{output} is no place for a file", "give `-o -` to write to stdout")
    beside = capture.path.with_name(capture.path.name.removesuffix(".jsonl") + exporter.suffix)
    path = output or beside
    _refuse_the_capture(path, capture.path)
    with writing.make_whole_file(path, overwrite=overwrite) as part, _named(member):
        exporter.write(capture, part)
        if not part.exists():
            raise SpecprofError(f"nothing was written for {path}", "the exporter wrote elsewhere")
    return f"{path}\n  open it with {exporter.viewer}"


@contextlib.contextmanager
def _named(member: "Member") -> "Iterator[None]":
    """Name an exporter that somebody added where it fails; our own errors stay as they are."""
    from specprof.errors import summarise_error

    try:
        yield
    except (SpecprofError, OSError, *STOPPED):
        raise
    except BaseException as trouble:
        if member.own:
            raise
        title = f"the exporter {member.name} failed: {summarise_error(trouble)}"
        raise SpecprofError(title, f"mend {member.path}") from trouble


def _refuse_the_capture(path: Path, capture: Path) -> None:
    try:
        same = path.samefile(capture)
    except (OSError, ValueError):  # there is nothing yet, or what can't be looked at
        return
    if same:
        raise UsageError(f"{path} is the capture itself", "choose another -o")


def _to_stdout(exporter: "Exporter", capture: "Capture") -> None:
    import shutil
    import tempfile

    if exporter.binary and sys.stdout.isatty():
        raise UsageError("this format is no text for a terminal", "give -o PATH, or redirect")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"capture{exporter.suffix}"
        exporter.write(capture, path)
        with path.open("rb") as file:
            shutil.copyfileobj(file, sys.stdout.buffer)
    sys.stdout.flush()


def _refuse_ruined(capture: "Capture") -> None:
    """Raise CaptureUnreadable where what was written holds no result, for lines are damaged."""
    from specprof.capture import no_result_error

    if damage := capture.unreadable:
        raise no_result_error(capture.path, damage)


def _narrate(capture: "Capture", written: str | None) -> None:
    from specprof.plain import plain

    if damage := capture.damaged.sentence():
        rest = "" if capture.unreadable else "; the rest was written"
        sys.stderr.write(f"{plain(damage)}{rest}\n")
    if written:
        sys.stderr.write("\n".join(map(plain, written.split("\n"))) + "\n")
    if capture.state != "complete":
        sys.stderr.write(f"  the capture is {capture.state}: this is what was recorded\n")
    if capture.torn:
        sys.stderr.write("  its last line is torn and was left out\n")
