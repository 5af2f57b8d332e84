"""``specprof compare``: captures and sweeps side by side, against plain decoding."""

from pathlib import Path
from typing import Annotated

import typer

from specprof.cli import app


@app.command()
def compare(
    *,
    paths: Annotated[
        list[Path], typer.Argument(help="Captures, and folders of sweeps or captures.")
    ],
    by_depth: Annotated[
        bool, typer.Option("--by-depth", help="Add acceptance and perplexity by context length.")
    ] = False,
    wide: Annotated[
        bool, typer.Option("--wide", help="Print all columns, also beyond 100 characters.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
    csv: Annotated[bool, typer.Option("--csv", help="Comma-separated values on stdout.")] = False,
) -> None:
    """Compare runs: speed, acceptance, perplexity, memory.

    Speed-up is over a cell of plain decoding at equal contexts. Without such a cell it is over the
    plain steps timed beside each burst. The repeats of a cell share one row. The exit code is 5 if
    the captures are so damaged that no result could be read.
    """
    from specprof.cli._table import show

    show(paths, json=json, csv_=csv, wide=wide, by_depth=by_depth)
