"""``specprof diagnose``: what is a mismatch, what is a bug, and which."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from specprof.cli import app

if TYPE_CHECKING:
    from specprof.analysis.evidence import Evidence
    from specprof.diagnosis import Diagnosis

ANY = "any"


@app.command()
def diagnose(
    *,
    captures: Annotated[
        list[Path], typer.Argument(help="Files that `specprof run` wrote; a baseline among them.")
    ],
    json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
    fail_on: Annotated[
        list[str] | None,
        typer.Option(help="Exit with 4 on: bug, mismatch, cost, measurement, configuration, any."),
    ] = None,
    plugins: Annotated[
        list[Path] | None, typer.Option(help="A folder whose `rules/` to judge by as well.")
    ] = None,
) -> None:
    """Tell mismatch from bug, and say which; a baseline beside a run gives its speed-up."""
    families = _families(fail_on or [])
    from specprof.cli._report import show
    from specprof.diagnosis import diagnose as judge

    diagnoses = [judge(each, plugins or []) for each in _evidence(captures)]
    show(diagnoses, json=json)
    _fail(diagnoses, families)


def _families(asked: Sequence[str]) -> set[str]:
    from typing import get_args

    from specprof.errors import UnknownName
    from specprof.findings import Family

    known = (*get_args(Family), ANY)
    wanted = {name.strip() for each in asked for name in each.split(",")}
    for name in sorted(wanted.difference(known)):
        raise UnknownName("family of findings", name, known)
    return wanted


def _evidence(paths: Sequence[Path]) -> "list[Evidence]":
    """Return evidence on every capture that drafted, the others beside it; on all if none did."""
    from specprof.analysis.columns import Columns
    from specprof.analysis.evidence import Evidence
    from specprof.capture import read_capture

    read = [read_capture(path) for path in paths]
    columns = [Columns() for _ in read]
    for one, capture in zip(columns, read, strict=True):
        one.feed([capture.header, *capture.events])
    drafted = [bool(one.rounds.drafted.any()) for one in columns]
    return [
        Evidence(
            one,
            name=str(capture.path),
            beside=[other for other in columns if other is not one],
            damaged=capture.damaged,
        )
        for one, capture, drafts in zip(columns, read, drafted, strict=True)
        if drafts or not any(drafted)
    ]


def _fail(diagnoses: "Sequence[Diagnosis]", families: set[str]) -> None:
    from specprof.errors import DiagnosisFailed, MissingEvidence
    from specprof.findings import Clear, Found

    found = sorted(
        {
            f"{verdict.family}: {verdict.rule}"
            for diagnosis in diagnoses
            for verdict in diagnosis.found
            if ANY in families or verdict.family in families
        }
    )
    if found:
        title = f"--fail-on {','.join(sorted(families))}: found {', '.join(found)}"
        raise DiagnosisFailed(title, f"specprof explain {found[0].rpartition(' ')[2]}")
    for diagnosis in diagnoses:
        looked = {v.family for v in diagnosis.verdicts if isinstance(v.outcome, Clear | Found)}
        blind = families.difference(looked, {ANY})
        if blind:  # silence is not health
            title = f"--fail-on {','.join(sorted(blind))}: no rule of it could judge this capture"
            raise MissingEvidence(
                f"{title}: {diagnosis.capture}", "the report's `unknown` says why"
            )
