"""The command line: one file a command, each of which parses, calls and prints.

Importing this loads neither torch nor textual, numpy nor scipy: a command imports what it needs
inside itself. stdout is data, stderr is narration; `specprof.errors` lists the exit codes.
"""

import importlib
import pkgutil
import sys

import typer

from specprof.errors import INTERRUPTED, SpecprofError

app = typer.Typer(
    name="specprof",
    help="Profile and diagnose speculative decoding.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> None:
    """Run the command line; a known error is told in two lines, with its exit code."""
    try:
        app(prog_name="specprof")
    except SpecprofError as error:
        sys.stderr.write(f"specprof: {error.title}\n  {error.hint}\n")
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


# Every file of this folder is a command; none is listed anywhere.
for _command in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_command.name}")
