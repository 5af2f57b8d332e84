"""The command line: one file a command, each of which parses, calls and prints.

Importing this loads neither torch nor textual, numpy nor scipy: a command imports what it needs
inside itself. stdout is data, stderr is narration; `specprof.errors` lists the exit codes.
"""

import contextlib
import errno
import importlib
import os
import pkgutil
import sys
from pathlib import Path
from typing import Annotated

import typer

from specprof import __version__
from specprof.errors import INTERRUPTED, SpecprofError
from specprof.plain import plain

app = typer.Typer(
    name="specprof",
    help="Profile and diagnose speculative decoding.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


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
) -> None:
    """Profile and diagnose speculative decoding."""


def main() -> None:
    """Run the command line; a known error is told in two lines, with its exit code."""
    _keep_out_the_folder()
    try:
        app(prog_name="specprof")
    except SpecprofError as error:
        sys.stderr.write(f"specprof: {plain(error.title)}\n  {plain(error.hint)}\n")
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except OSError as error:
        if error.errno != errno.ENOSPC or error.filename is not None:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what waits there can't be written either
        sys.stderr.write(f"specprof: can't write to stdout: {error.strerror}\n  make room\n")
        sys.exit(SpecprofError.exit_code)


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
