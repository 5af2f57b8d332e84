"""The command line: one file a command, each of which parses, calls and prints.

Importing this loads neither torch nor textual, numpy nor scipy: a command imports what it needs
inside itself. stdout is data, stderr is narration; `specprof.errors` lists the exit codes.
"""

import contextlib
import errno
import importlib
import io
import os
import pkgutil
import sys
from pathlib import Path
from typing import Annotated, Final, NoReturn

import typer

from specprof import __version__, endings
from specprof.errors import INTERRUPTED, SpecprofError, UsageError
from specprof.plain import plain

WISHES: Final = (
    ("see where time and acceptance go", "run"),
    ("measure models of your own", "run --target BIG --draft SMALL"),
    ("compare settings", "run --sweep depth=2,4,8"),
    ("lay runs side by side", "compare a.jsonl b.jsonl"),
    ("open a run, or follow a live one", "view run.jsonl"),
    ("know whether it is a bug", "diagnose run.jsonl"),
    ("check a printed table of results", "diagnose results.csv"),
    ("understand a finding or a number", "explain tau"),
    ("see a fault found, to test this tool", "drill kv/target-rejected-kept"),
    ("time it against transformers", "bench"),
    ("use another viewer", "export speedscope run.jsonl"),
    ("know all there is to choose from", "list"),
)
"""What a user wants -> the command line that serves it; `specprof --help` opens with these."""


def _help() -> str:
    """Return the opening of `specprof --help`: a table of at most 80 columns, indented by two."""
    width = max(len(wish) for wish, _ in WISHES) + 2
    rows = [("You want to", "Type"), *((wish, f"specprof {line}") for wish, line in WISHES)]
    table = "\n".join(f"{wish:{width}}{line}" for wish, line in rows)
    return f"Profile and diagnose speculative decoding.\n\n\b\n{table}"  # \b: not rewrapped


app = typer.Typer(
    name="specprof",
    help=_help(),
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

UNWRITABLE: Final = {
    errno.ENOSPC: "make room",
    errno.EDQUOT: "make room",
    errno.EFBIG: "raise the limit, or ask for less",
    errno.EBADF: "it is closed: let it lead to a file or to another program",
    errno.EIO: "let it lead to a file",
}
"""What a failed write to stdout can come from -> what to do."""


def _version(*, asked: bool) -> None:
    if asked:
        typer.echo(f"specprof {__version__}")
        raise typer.Exit


@app.callback()
def options(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=lambda asked: _version(asked=asked), is_eager=True)
    ] = False,
) -> None:  # its help text is the app's
    """Take the options that stand before any command."""


def main() -> None:
    """Run the command line; a known error is told in two lines, with its exit code."""
    _keep_out_the_folder()
    _open_standard_streams()
    try:
        with endings.signals_as_interrupts():
            _run()
    except SpecprofError as error:
        _fail(error.title, error.hint, error.exit_code)
    except KeyboardInterrupt:
        endings.end_by_code()
        sys.exit(INTERRUPTED)
    except OSError as error:
        if error.filename is not None:  # the system's own words tell what a file's trouble is
            title = f"can't use {os.fsdecode(error.filename)}: {error.strerror}"
            _fail(title, "give another file or folder", UsageError.exit_code)
        if error.errno not in UNWRITABLE and error.errno != errno.EPIPE:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what waits there can't be written either
        if error.errno == errno.EPIPE:  # whoever read has had enough
            sys.exit(SpecprofError.exit_code)
        title = f"can't write to stdout: {error.strerror}"
        _fail(title, UNWRITABLE[error.errno], SpecprofError.exit_code)


def _run() -> None:
    try:
        app(prog_name="specprof")
    except SystemExit as ended:
        if ended.code == INTERRUPTED:
            endings.end_by_code()
        sys.stdout.flush()  # here its failure can still be told
        raise
    except SpecprofError:
        raise
    except Exception as error:
        raise (endings.interrupt_due() or error) from error


def _fail(title: str, hint: str, code: int) -> NoReturn:
    sys.stderr.write(f"specprof: {plain(title)}\n  {plain(hint)}\n")
    sys.exit(code)


def _open_standard_streams() -> None:
    """Open those of stdin, stdout and stderr that are closed, and let no name break their text.

    Else the next file that is opened, a capture, would be taken for one of them. What is then
    written to stdout fails and is told, for it was asked for; narration is lost in silence.
    """
    modes = {"stdin": os.O_RDONLY, "stdout": os.O_RDONLY, "stderr": os.O_WRONLY}
    for number, (name, mode) in enumerate(modes.items()):
        if getattr(sys, name) is None:
            place = os.open(os.devnull, mode)  # the lowest number that is free, so this one
            writes = "r" if name == "stdin" else "w"
            setattr(sys, name, os.fdopen(place, writes, encoding="utf-8", closefd=False))
            os.set_inheritable(number, True)
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors != "backslashreplace":
        sys.stdout.reconfigure(errors="backslashreplace")


def _keep_out_the_folder() -> None:
    """Have children look for modules only where this process does.

    They are started by `python -m`, which looks in the current folder first; it may be anybody's.
    """
    with contextlib.suppress(OSError):  # the folder itself may be gone
        if {"", str(Path.cwd())} & set(sys.path):
            return
    os.environ.setdefault("PYTHONSAFEPATH", "1")


# Every file of this folder is a command; none is listed anywhere.
for _command in pkgutil.iter_modules(__path__):
    if not _command.name.startswith("_"):
        importlib.import_module(f"{__name__}.{_command.name}")
