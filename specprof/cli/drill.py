"""``specprof drill``: break the engine in a known way and see what the diagnosis says."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from specprof.cli import app
from specprof.cli._options import Given, Seed, assigned, numeric

HEADINGS = {
    "fault": "faults of the catalogue, in the real engine",
    "control": "controls, in the real engine: healthy or merely mismatched",
    "made-up": "faults of a made-up engine: no model, a second",
}


@app.command()
def drill(
    *,
    name: Annotated[str | None, typer.Argument(help="What to run; no name: list all.")] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Run every fault and control; print the matrix.")
    ] = False,
    only: Annotated[
        str | None,
        typer.Option(help="--all: those whose name holds this.", show_default=False),
    ] = None,
    seeds: Annotated[int, numeric(int, help="--all: runs of each, from seed 0 on.")] = 1,
    jobs: Annotated[int, numeric(int, help="--all: drills run at once.")] = 1,
    seed: Seed = 0,
    probe: Annotated[
        float,
        numeric(float, metavar="SECONDS", help="For probes a verdict hangs on; 0: none.", min=0),
    ] = 0.0,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="FIELD=VALUE", help="Any other setting; repeatable."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", help="Keep the capture, or the matrix, here.", show_default=False
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite what is there.")] = False,
) -> None:
    """Break the engine in a known way, or don't, and diagnose it. This tests the diagnosis."""
    from specprof import writing

    given = _given(set_ or [])
    if everything:
        if output:  # refused before the long run that makes it
            writing.check_room(output, overwrite=force)
        _all(only, seeds, jobs, given, probe, json=json, output=output, force=force)
    elif name is None:
        sys.stdout.write(_listed())
    else:
        _one(name, given | {"seed": seed}, probe, json=json, output=output, force=force)


def _given(written: Sequence[str]) -> Given:
    from specprof.plan import typed

    given: Given = {}
    for each in written:
        field, text = assigned(each, "--set")
        given[field] = typed(field, text)
    return given


def _listed() -> str:
    from specprof.drills import playing

    known, lines = playing.names(), list[str]()
    for kind, heading in HEADINGS.items():
        lines += [heading, *(f"  {name}" for name, each in known.items() if each == kind)]
    return "".join(f"{line}\n" for line in lines)


def _one(
    name: str,
    given: Given,
    budget_s: float,
    *,
    json: bool,
    output: Path | None,
    force: bool,
) -> None:
    from dataclasses import replace

    from specprof.cli._report import show
    from specprof.drills import playing
    from specprof.narration import aside, log_for

    one = playing.drill(name, given)
    with aside(log_for(output)):
        judged, diagnosis = playing.judge(one, output, budget_s=budget_s, overwrite=force)
    show([replace(diagnosis, capture=f"drill {judged.name}")], json=json)
    if judged.named is not None:
        sys.stderr.write(_verdict(judged) + "\n")


def _verdict(judged: "Judged") -> str:
    """Say whether the diagnosis was right: narration, for whoever watches."""
    if judged.kind != "fault":
        return "accused of no bug, rightly" if judged.named else "WRONGLY accused of a bug"
    how = "named rightly" if judged.named else "in the right group" if judged.grouped else "MISSED"
    return f"{judged.name} was injected: {how}"


def _all(
    only: str | None,
    seeds: int,
    jobs: int,
    given: Given,
    budget_s: float,
    *,
    json: bool,
    output: Path | None,
    force: bool,
) -> None:
    from specprof import writing
    from specprof.drills import matrix
    from specprof.narration import aside, log_for, tell

    judged = []
    with aside(log_for(output)):
        for one in matrix.played(only or "", range(seeds), given, jobs, budget_s=budget_s):
            tell(f"{one.name} seed {one.seed}: {_verdict(one)} ({one.seconds} s)")
            judged.append(one)
    document = matrix.document(judged)
    sys.stdout.write(document.decode() if json else matrix.table(judged))
    if output:
        writing.write(output, document, overwrite=force)


if TYPE_CHECKING:
    from specprof.drills.playing import Judged
