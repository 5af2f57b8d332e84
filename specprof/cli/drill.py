"""``specprof drill``: break a made-up engine in a known way and see what the diagnosis says."""

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from specprof.cli import app

if TYPE_CHECKING:
    from specprof.settings import Settings


SHAPES = ("chain", "static-tree")


@app.command()
def drill(
    *,
    fault: Annotated[
        str | None, typer.Argument(help="`none` is healthy; no name: list all.")
    ] = None,
    temperature: Annotated[float, typer.Option(help="0 is greedy.")] = 1.0,
    depth: Annotated[int, typer.Option(help="K: tokens drafted a round.")] = 4,
    shape: Annotated[str, typer.Option(help="chain or static-tree.")] = "chain",
    batch: Annotated[int, typer.Option(help="Sequences decoded at once.")] = 1,
    seed: Annotated[int, typer.Option(help="Of every random draw.")] = 0,
    json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Keep the capture here.", show_default=False),
    ] = None,
) -> None:
    """Diagnose a synthetic run with a named fault: test the instrument before you trust it."""
    from dataclasses import replace

    from specprof.backends._tables import FAULTS
    from specprof.cli._report import show
    from specprof.cli.diagnose import _evidence
    from specprof.diagnosis import diagnose
    from specprof.settings import Settings

    _check(shape, batch)
    if fault is None:
        sys.stdout.write("".join(f"{name}\n" for name in FAULTS))
        return
    settings = Settings(
        backend="synthetic",
        context=4000,
        stops=8,
        max_new_tokens=160,
        temperature=temperature,
        depth=depth,
        shape=shape,
        batch=batch,
        seed=seed,
    )
    with tempfile.TemporaryDirectory() as folder:
        path = output or Path(folder) / f"{fault}.jsonl"
        _record(fault, settings, path)
        judged = diagnose(_evidence([path])[0])
    show([replace(judged, capture=f"drill {fault}")], json=json)


def _check(shape: str, batch: int) -> None:
    from specprof.errors import UnknownName, UsageError

    if shape not in SHAPES:
        raise UnknownName("shape of a drill", shape, SHAPES)
    if batch < 1:
        raise UsageError(f"batch is {batch}", "it must be at least 1")


def _record(fault: str, settings: "Settings", path: Path) -> None:
    from specprof.backends.synthetic import Synthetic
    from specprof.capture import CaptureWriter
    from specprof.recorder import record
    from specprof.settings import RunSpec

    spec = RunSpec(id=f"drill-{fault}", profile="drill", settings=settings)
    with CaptureWriter(path) as writer:
        record(Synthetic(fault), spec, writer, command=["specprof", "drill", fault])
