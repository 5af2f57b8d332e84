"""``specprof diagnose``: what is a mismatch, what is a bug, and which."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from specprof.cli import app
from specprof.cli._options import Allow, Code, numeric
from specprof.errors import UsageError

if TYPE_CHECKING:
    from specprof.analysis.columns import Columns
    from specprof.analysis.evidence import Evidence
    from specprof.diagnosis import Diagnosis

ANY = "any"


@app.command()
def diagnose(
    *,
    captures: Annotated[
        list[Path],
        typer.Argument(
            help="Files that `specprof run` wrote, a baseline among them; or tables of results: "
            "toml, csv, json, md."
        ),
    ],
    json: Annotated[bool, typer.Option("--json", help="Same as --format json.")] = False,
    form: Annotated[
        str, typer.Option("--format", help="text, json, sarif, or github (annotations).")
    ] = "text",
    fail_on: Annotated[
        list[str] | None,
        typer.Option(help="Exit with 4 on: bug, mismatch, cost, measurement, configuration, any."),
    ] = None,
    plugins: Annotated[
        list[Path] | None, typer.Option(help="A folder whose `rules/` to judge by as well.")
    ] = None,
    probe: Annotated[
        str | None,
        typer.Option(metavar="auto|NAME,..", help="Make runs a verdict hangs on, and judge again."),
    ] = None,
    allow: Allow = None,
    trust_remote_code: Code = None,
    budget: Annotated[
        float | None,
        numeric(float, help="Seconds for probes; one that takes far longer is stopped.", min=0),
    ] = None,
) -> None:
    """Tell mismatch from bug, and say which. A baseline beside a run gives its speed-up.

    Exit codes: 0 judged, whatever was found; 2 asked for what can't be done; 4 --fail-on found what
    it names; 5 a file is no capture, holds nothing a family of --fail-on could be judged by, or is
    so damaged that nothing can be judged.
    """
    from specprof.cli._report import form_of, show

    families, chosen = _families(fail_on or []), form_of(form, json=json)
    from specprof.registry import checked_folders

    also = checked_folders(plugins or [])
    from specprof.diagnosis import diagnose as judge

    tables, recorded = _parted(captures)
    evidence = _evidence(recorded)
    diagnoses = [judge(each, also) for each in evidence]
    if probe is not None:
        from specprof.cli._probe import probed
        from specprof.trust import Allowed

        allowed = Allowed(frozenset(allow or []), bool(trust_remote_code))
        made = partial(probed, asked=probe, budget_s=budget, allowed=allowed, also=also)
        diagnoses = [made(*one) for one in zip(diagnoses, evidence, strict=True)]
    elif budget is not None:
        raise UsageError("--budget bounds probes, and none was asked for", "add --probe auto")
    diagnoses += _of_tables(tables)
    show(diagnoses, form=chosen)
    _fail(diagnoses, families)


def _parted(paths: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Return the tables among the files, and the captures."""
    from specprof.published.read import is_table

    tables = [path for path in paths if is_table(path)]
    return tables, [path for path in paths if path not in tables]


def _of_tables(paths: Sequence[Path]) -> "list[Diagnosis]":
    from specprof.published.judge import diagnose_results
    from specprof.published.read import read_results

    return [diagnose_results(each) for path in paths for each in read_results(path)]


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
    """Return evidence on every capture but baselines, the others beside it; on all if all are.

    A run that was told to draft and did not is no baseline: its silence is what to judge.
    """
    from specprof.analysis.evidence import Evidence
    from specprof.analysis.recorded import read_columns

    read = [read_columns(path) for path in paths]
    drafted = [not _baseline(each.columns) for each in read]
    return [
        Evidence(
            each.columns,
            name=str(path),
            beside=[other.columns for other in read if other is not each],
        )
        for each, path, drafts in zip(read, paths, drafted, strict=True)
        if drafts or not any(drafted)
    ]


def _baseline(columns: "Columns") -> bool:
    """Whether a run drafted nothing, and had no reason to."""
    from specprof.capabilities import has_distribution

    if columns.rounds.drafted.any() or columns.header is None:
        return False
    settings = columns.header.spec.settings
    copies = has_distribution(settings.drafter) is False
    return copies or settings.workload not in {"walk", "generate"}


def _fail(diagnoses: "Sequence[Diagnosis]", families: set[str]) -> None:
    from specprof.capture import ruined
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
        if diagnosis.unreadable:  # the report says so, and a script must not take it for health
            raise ruined(diagnosis.capture, diagnosis.unreadable)
        looked = {v.family for v in diagnosis.verdicts if isinstance(v.outcome, Clear | Found)}
        blind = families.difference(looked, {ANY})
        if blind:  # silence is not health
            title = f"--fail-on {','.join(sorted(blind))}: no rule of it could judge this capture"
            raise MissingEvidence(
                f"{title}: {diagnosis.capture}", "the report's `unknown` says why"
            )
