"""``specprof drill``: run the engine with a known fault, and check the diagnosis."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from specprof.cli import app
from specprof.cli._options import Given, Seed, numeric, split_assignment

HEADINGS = {
    "fault": "faults of the catalogue, in the real engine",
    "control": "controls, in the real engine: healthy, or with a mismatch only",
    "made-up": "faults of a made-up engine: no model is loaded, about a second",
}


@app.command()
def drill(
    *,
    name: Annotated[
        str | None, typer.Argument(help="The drill to run; without a name, list all drills.")
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Run every fault and control; print the matrix.")
    ] = False,
    only: Annotated[
        str | None,
        typer.Option(help="With --all: only names that contain this.", show_default=False),
    ] = None,
    seeds: Annotated[
        int, numeric(int, help="With --all: runs of each drill, seeds from 0 on.")
    ] = 1,
    jobs: Annotated[int, numeric(int, help="With --all: drills that run at once.")] = 1,
    seed: Seed = 0,
    probe: Annotated[
        float,
        numeric(
            float, metavar="SECONDS", help="Time for probes that could change the verdict.", min=0
        ),
    ] = 0.0,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="FIELD=VALUE", help="Any other setting; repeatable."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            help="Write the capture, or with --all the matrix, here.",
            show_default=False,
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
) -> None:
    """Run a known fault or a healthy control, and diagnose it. This tests the diagnosis itself."""
    from specprof import writing

    given = _parse_settings(set_ or [])
    if everything:
        if output:  # an error must come before the long run
            writing.check_room(output, overwrite=force)
        _run_all(only, seeds, jobs, given, probe, json=json, output=output, force=force)
    elif name is None:
        sys.stdout.write(_list_drills())
    else:
        _run_one(name, given | {"seed": seed}, probe, json=json, output=output, force=force)


def _parse_settings(written: Sequence[str]) -> Given:
    from specprof.plan import parse_value

    given: Given = {}
    for each in written:
        field, text = split_assignment(each, "--set")
        given[field] = parse_value(field, text)
    return given


def _list_drills() -> str:
    from specprof.drills import playing

    known, lines = playing.names(), list[str]()
    for kind, heading in HEADINGS.items():
        lines += [heading, *(f"  {name}" for name, each in known.items() if each == kind)]
    return "".join(f"{line}\n" for line in lines)


def _run_one(
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
    from specprof.narration import log_libraries, log_path

    one = playing.drill(name, given)
    with log_libraries(log_path(output)):
        judged, diagnosis = playing.judge(one, output, budget_s=budget_s, overwrite=force)
    show([replace(diagnosis, capture=f"drill {judged.name}")], json=json)
    if judged.named is not None:
        sys.stderr.write(_describe_verdict(judged) + "\n")


def _describe_verdict(judged: "Judged") -> str:
    """Return one line on whether the diagnosis was right."""
    if judged.kind != "fault":
        return "accused of no bug, as it should be" if judged.named else "WRONGLY accused of a bug"
    how = (
        "named correctly"
        if judged.named
        else "named in the right group"
        if judged.grouped
        else "MISSED"
    )
    return f"{judged.name} was injected: {how}"


def _run_all(
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
    from specprof.narration import log_libraries, log_path, narrate

    judged = []
    with log_libraries(log_path(output)):
        for one in matrix.run_matrix(only or "", range(seeds), given, jobs, budget_s=budget_s):
            narrate(f"{one.name} seed {one.seed}: {_describe_verdict(one)} ({one.seconds} s)")
            judged.append(one)
    document = matrix.document(judged)
    sys.stdout.write(document.decode() if json else matrix.table(judged))
    if output:
        writing.write(output, document, overwrite=force)


if TYPE_CHECKING:
    from specprof.drills.playing import Judged
