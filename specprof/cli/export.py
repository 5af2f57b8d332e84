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
        str, typer.Argument(metavar="FORMAT", help="A name from `specprof list exporter`.")
    ],
    capture: Annotated[Path, typer.Argument(help="A capture that `specprof run` wrote.")],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            help="The file to write; `-` is stdout. Default: a file beside the capture.",
            show_default=False,
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
) -> None:
    """Write a capture in another tool's format, such as speedscope.

    A damaged capture is exported as far as it can be read. The exit code is 5 if no result could be
    read.
    """
    from specprof import registry
    from specprof.capture_file import open_capture

    member = registry.member("exporter", format_)
    with open_capture(capture) as read:
        written = _write_capture(member, read, output, overwrite=force)
        _narrate(read, written)
        _refuse_ruined(read)


def _write_capture(
    member: "Member", capture: "Capture", output: Path | None, *, overwrite: bool
) -> str | None:
    """Write a capture; return a text on where it was written, None for stdout."""
    from specprof import extend, registry, writing

    with _name_failed_exporter(member):
        exporter = registry.load(extend.Exporter, member)()
        if output == Path("-"):
            _write_to_stdout(exporter, capture)
            return None
    if output and str(output) in {"/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"}:
        raise UsageError(f"{output} can't be replaced by a file", "give `-o -` to write to stdout")
    beside = capture.path.with_name(capture.path.name.removesuffix(".jsonl") + exporter.suffix)
    path = output or beside
    _refuse_the_capture(path, capture.path)
    with writing.make_whole_file(path, overwrite=overwrite) as part, _name_failed_exporter(member):
        exporter.write(capture, part)
        if not part.exists():
            raise SpecprofError(
                f"nothing was written for {path}",
                f"mend the exporter {member.name}: its write() must write to the path it gets",
            )
    return f"{path}\n  open it with {exporter.viewer}"


@contextlib.contextmanager
def _name_failed_exporter(member: "Member") -> "Iterator[None]":
    """Name a user's exporter in the error where it fails; errors of our own stay as they are."""
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
    except (OSError, ValueError):  # the file doesn't exist, or can't be read
        return
    if same:
        raise UsageError(f"{path} is the capture itself", "give another path with -o")


def _write_to_stdout(exporter: "Exporter", capture: "Capture") -> None:
    import shutil
    import tempfile

    if exporter.binary and sys.stdout.isatty():
        raise UsageError(
            "this format is binary: a terminal can't show it", "give -o PATH, or redirect stdout"
        )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"capture{exporter.suffix}"
        exporter.write(capture, path)
        with path.open("rb") as file:
            shutil.copyfileobj(file, sys.stdout.buffer)
    sys.stdout.flush()


def _refuse_ruined(capture: "Capture") -> None:
    """Raise CaptureUnreadable where damaged lines leave no result in the export."""
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
        sys.stderr.write(f"  the capture is {capture.state}: the export holds what was recorded\n")
    if capture.torn:
        sys.stderr.write("  the last line of the capture is torn and was left out\n")
