"""``specprof compare``: captures and sweeps side by side, against plain decoding."""

from pathlib import Path
from typing import Annotated

import typer

from specprof.cli import app


@app.command()
def compare(
    *,
    paths: Annotated[
        list[Path], typer.Argument(help="Folders of sweeps or captures, and captures.")
    ],
    by_depth: Annotated[
        bool, typer.Option("--by-depth", help="Acceptance and perplexity by depth as well.")
    ] = False,
    wide: Annotated[bool, typer.Option("--wide", help="Every column, however wide.")] = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
    csv: Annotated[bool, typer.Option("--csv", help="Comma-separated values on stdout.")] = False,
) -> None:
    """Compare runs: speed, acceptance, perplexity, memory.

    Speed-up is told against a cell of plain decoding over the same contexts where there is one,
    else against the plain steps timed beside each burst. Repeats of a cell are one row. The exit
    code is 5 where the captures are so damaged that no result of theirs could be read.
    """
    from specprof.cli._table import show

    show(paths, json=json, csv_=csv, wide=wide, by_depth=by_depth)
