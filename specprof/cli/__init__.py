"""The command line: one file per command. Each parses its arguments, calls and prints.

Importing this package loads none of torch, textual, numpy and scipy: a command imports what it
needs inside its function. stdout is data, stderr is narration; `specprof.errors` lists the exit
codes.
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
    ("compare finished runs", "compare a.jsonl b.jsonl"),
    ("open a run, or follow a live run", "view run.jsonl"),
    ("know whether a run has a bug", "diagnose run.jsonl"),
    ("check a printed table of results", "diagnose results.csv"),
    ("understand a finding or a number", "explain tau"),
    ("test this tool on a known fault", "drill kv/target-rejected-kept"),
    ("time decoding against transformers", "bench"),
    ("use another viewer", "export speedscope run.jsonl"),
    ("list all names and settings", "list"),
)
"""What a user wants -> the command line for it; `specprof --help` opens with this table."""


def _opening_help() -> str:
    """Return the first part of `specprof --help`: a table within 80 columns when indented by 2."""
    width = max(len(wish) for wish, _ in WISHES) + 2
    rows = [("You want to", "Type"), *((wish, f"specprof {line}") for wish, line in WISHES)]
    table = "\n".join(f"{wish:{width}}{line}" for wish, line in rows)
    keep_lines = "\b"  # Click's sign: the paragraph below is not wrapped
    return f"Profile and diagnose speculative decoding.\n\n{keep_lines}\n{table}"


app = typer.Typer(
    name="specprof",
    help=_opening_help(),
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

STDOUT_REMEDIES: Final = {
    errno.ENOSPC: "free some space",
    errno.EDQUOT: "free some space",
    errno.EFBIG: "raise the limit on file sizes, or ask for less output",
    errno.EBADF: "stdout is closed: redirect it to a file or to another program",
    errno.EIO: "redirect stdout to a file",
}
"""Error number of a failed write to stdout -> what the user can do."""


def _print_version(*, asked: bool) -> None:
    if asked:
        typer.echo(f"specprof {__version__}")
        raise typer.Exit


@app.callback()
def options(
    *,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=lambda asked: _print_version(asked=asked), is_eager=True
        ),
    ] = False,
) -> None:  # its help text is the app's
    """Take the options that come before the command's name."""


def main() -> None:
    """Run the command line; print a known error in two lines and end with its exit code."""
    _exclude_current_folder()
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
        if error.filename is not None:  # the system's message says what is wrong with the file
            title = f"can't use {os.fsdecode(error.filename)}: {error.strerror}"
            _fail(title, "give another file or folder", UsageError.exit_code)
        if error.errno not in STDOUT_REMEDIES and error.errno != errno.EPIPE:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # else the exit would write again
        if error.errno == errno.EPIPE:  # the reader closed the pipe
            sys.exit(SpecprofError.exit_code)
        title = f"can't write to stdout: {error.strerror}"
        _fail(title, STDOUT_REMEDIES[error.errno], SpecprofError.exit_code)


def _run() -> None:
    try:
        app(prog_name="specprof")
    except SystemExit as ended:
        if ended.code == INTERRUPTED:
            endings.end_by_code()
        sys.stdout.flush()  # a failure at exit could no longer be reported
        raise
    except SpecprofError:
        raise
    except Exception as error:
        raise (endings.interrupt_due() or error) from error


def _fail(title: str, hint: str, code: int) -> NoReturn:
    sys.stderr.write(f"specprof: {plain(title)}\n  {plain(hint)}\n")
    sys.exit(code)


def _open_standard_streams() -> None:
    """Open stdin, stdout and stderr where they are closed; escape what stdout can't encode.

    Otherwise the next opened file, such as a capture, would get the number of a closed stream.
    Writing to the reopened stdout fails, so the user learns that the data is lost. Narration on the
    reopened stderr is dropped without an error.
    """
    modes = {"stdin": os.O_RDONLY, "stdout": os.O_RDONLY, "stderr": os.O_WRONLY}
    for number, (name, mode) in enumerate(modes.items()):
        if getattr(sys, name) is None:
            place = os.open(os.devnull, mode)  # takes the lowest free number: this stream's
            writes = "r" if name == "stdin" else "w"
            setattr(sys, name, os.fdopen(place, writes, encoding="utf-8", closefd=False))
            os.set_inheritable(number, True)
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors != "backslashreplace":
        sys.stdout.reconfigure(errors="backslashreplace")


def _exclude_current_folder() -> None:
    """Keep the current folder out of the module search path of child processes.

    `python -m` starts them and searches the current folder first. A stranger may have written that
    folder. Nothing changes where this process itself searches it.
    """
    with contextlib.suppress(OSError):  # the folder itself may be gone
        if {"", str(Path.cwd())} & set(sys.path):
            return
    os.environ.setdefault("PYTHONSAFEPATH", "1")


# Every file of this folder is a command, so that a new one needs no registration.
for _command in pkgutil.iter_modules(__path__):
    if not _command.name.startswith("_"):
        importlib.import_module(f"{__name__}.{_command.name}")
