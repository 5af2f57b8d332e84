"""``specprof diagnose``: whether a run has a bug or a mismatch, and which."""

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

ANY_FAMILY = "any"


@app.command()
def diagnose(
    *,
    captures: Annotated[
        list[Path],
        typer.Argument(
            help="Captures that `specprof run` wrote, which may include a baseline; or tables of "
            "results: toml, csv, json, md."
        ),
    ],
    json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
    form: Annotated[
        str, typer.Option("--format", help="text, json, sarif, or github (annotations).")
    ] = "text",
    fail_on: Annotated[
        list[str] | None,
        typer.Option(help="Exit with 4 on: bug, mismatch, cost, measurement, configuration, any."),
    ] = None,
    plugins: Annotated[
        list[Path] | None, typer.Option(help="A folder with more rules, in its `rules/`.")
    ] = None,
    probe: Annotated[
        str | None,
        typer.Option(metavar="auto|NAME,..", help="Make runs to test the verdict; judge again."),
    ] = None,
    allow: Allow = None,
    trust_remote_code: Code = None,
    budget: Annotated[
        float | None,
        numeric(float, help="Seconds for probes; a run that takes far longer is stopped.", min=0),
    ] = None,
) -> None:
    """Distinguish a bug from a mismatch, and name the cause. A baseline adds the speed-up over it.

    Exit codes: 0: judged, with or without findings. 2: the request can't be met. 4: a finding of a
    --fail-on family. 5: a file is no capture, or is too damaged to be judged, or has no evidence on
    a --fail-on family.
    """
    from specprof.cli._report import parse_form, show

    families, chosen = _parse_families(fail_on or []), parse_form(form, json=json)
    from specprof.registry import check_folders

    also = check_folders(plugins or [])
    from specprof.diagnosis import diagnose as judge

    tables, recorded = _split_tables(captures)
    evidence = _read_evidence(recorded)
    diagnoses = [judge(each, also) for each in evidence]
    if probe is not None:
        from specprof.cli._probe import run_probes
        from specprof.trust import Allowed

        allowed = Allowed(frozenset(allow or []), bool(trust_remote_code))
        test = partial(run_probes, asked=probe, budget_s=budget, allowed=allowed, also=also)
        diagnoses = [test(*one) for one in zip(diagnoses, evidence, strict=True)]
    elif budget is not None:
        raise UsageError("--budget limits probes, and no probe was asked for", "add --probe auto")
    diagnoses += _diagnose_tables(tables)
    show(diagnoses, form=chosen)
    _raise_for_families(diagnoses, families)


def _split_tables(paths: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Return the tables among the files, and the other files: the captures."""
    from specprof.published.read import is_table

    tables = [path for path in paths if is_table(path)]
    return tables, [path for path in paths if path not in tables]


def _diagnose_tables(paths: Sequence[Path]) -> "list[Diagnosis]":
    from specprof.published.judge import diagnose_results
    from specprof.published.read import read_results

    return [diagnose_results(each) for path in paths for each in read_results(path)]


def _parse_families(asked: Sequence[str]) -> set[str]:
    from typing import get_args

    from specprof.errors import UnknownName
    from specprof.findings import Family

    known = (*get_args(Family), ANY_FAMILY)
    wanted = {name.strip() for each in asked for name in each.split(",")}
    for name in sorted(wanted.difference(known)):
        raise UnknownName("family of findings", name, known)
    return wanted


def _read_evidence(paths: Sequence[Path]) -> "list[Evidence]":
    """Return evidence on every capture that is no baseline, with the other captures beside it.

    If all captures are baselines, return evidence on all. A run that should draft and did not is no
    baseline: that nothing was drafted is what the rules must judge.
    """
    from specprof.analysis.evidence import Evidence
    from specprof.analysis.recorded import read_columns

    read = [read_columns(path) for path in paths]
    drafted = [not _is_baseline(each.columns) for each in read]
    return [
        Evidence(
            each.columns,
            name=str(path),
            beside=[other.columns for other in read if other is not each],
        )
        for each, path, drafts in zip(read, paths, drafted, strict=True)
        if drafts or not any(drafted)
    ]


def _is_baseline(columns: "Columns") -> bool:
    """Return whether a run drafted nothing, and its settings are a reason for that."""
    from specprof.capabilities import has_distribution

    if columns.rounds.drafted.any() or columns.header is None:
        return False
    settings = columns.header.spec.settings
    copies = has_distribution(settings.drafter) is False
    return copies or settings.workload not in {"walk", "generate"}


def _raise_for_families(diagnoses: "Sequence[Diagnosis]", families: set[str]) -> None:
    from specprof.capture import no_result_error
    from specprof.errors import DiagnosisFailed, MissingEvidence
    from specprof.findings import Clear, Explained, Found

    found = sorted(
        {
            f"{verdict.family}: {verdict.rule}"
            for diagnosis in diagnoses
            for verdict in diagnosis.found
            if ANY_FAMILY in families or verdict.family in families
        }
    )
    if found:
        title = f"--fail-on {','.join(sorted(families))}: found {', '.join(found)}"
        raise DiagnosisFailed(title, f"specprof explain {found[0].rpartition(' ')[2]}")
    for diagnosis in diagnoses:
        if diagnosis.unreadable:  # a script must not take this report for a clean one
            raise no_result_error(diagnosis.capture, diagnosis.unreadable)
        looked = {
            v.family for v in diagnosis.verdicts if isinstance(v.outcome, Clear | Found | Explained)
        }
        blind = families.difference(looked, {ANY_FAMILY})
        if blind:  # no finding without evidence is no clean result
            title = f"--fail-on {','.join(sorted(blind))}: no rule for it could judge this capture"
            raise MissingEvidence(
                f"{title}: {diagnosis.capture}", "the section `unknown` of the report says why"
            )
