"""``specprof view``: follow a capture that grows, or open a finished one."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from specprof.cli import app


@app.command()
def view(
    capture: Annotated[Path, typer.Argument(help="A capture file, finished or still growing.")],
    *,
    ascii_only: Annotated[
        bool, typer.Option("--ascii", help="Draw with ASCII characters only.")
    ] = False,
    plain: Annotated[
        bool, typer.Option("--plain", help="Print one screen of text instead of the dashboard.")
    ] = False,
) -> None:
    """Show a capture in the dashboard. Without a terminal, print one screen of text.

    Keys in the dashboard: ? explains them all, q closes it. The exit code is 5 where the capture
    is so damaged that no result of it could be read.
    """
    if plain or not (sys.stdin.isatty() and sys.stderr.isatty()):
        from specprof.capture import no_result_error
        from specprof.tui.follow import read_all
        from specprof.tui.summary import drawn

        reading = read_all(capture)
        sys.stdout.write(drawn(reading, ascii_only=ascii_only or not _unicode(sys.stdout.encoding)))
        if damage := reading.columns.unreadable:
            raise no_result_error(capture, damage)
        return
    from specprof.tui.app import show

    # Textual draws on stderr; stdout stays free for data.
    raise typer.Exit(show(capture, ascii_only=ascii_only or not _unicode(sys.stderr.encoding)))


def _unicode(encoding: str) -> bool:
    return encoding.lower().replace("-", "").startswith("utf")
