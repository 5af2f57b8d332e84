"""``specprof view``: follow a growing capture, or open a finished capture."""

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

    In the dashboard, ? explains all keys and q closes it. The exit code is 5 if the capture is so
    damaged that no result could be read.
    """
    if plain or not (sys.stdin.isatty() and sys.stderr.isatty()):
        from specprof.capture import no_result_error
        from specprof.tui.follow import read_all
        from specprof.tui.summary import draw_summary

        reading = read_all(capture)
        sys.stdout.write(
            draw_summary(reading, ascii_only=ascii_only or not _is_unicode(sys.stdout.encoding))
        )
        if damage := reading.columns.unreadable:
            raise no_result_error(capture, damage)
        return
    from specprof.tui.app import show

    # Textual draws on stderr, so stderr decides which characters can be shown.
    raise typer.Exit(show(capture, ascii_only=ascii_only or not _is_unicode(sys.stderr.encoding)))


def _is_unicode(encoding: str) -> bool:
    return encoding.lower().replace("-", "").startswith("utf")
