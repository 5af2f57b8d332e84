"""Writes a diagnosis as SARIF 2.1.0, the format in which code hosts and editors take findings.

A result is one finding. Its place is the line of the capture with the first round that shows it.
Rules that found nothing have no result, as the format asks; `--format json` lists them as well.
Specification: OASIS, Static Analysis Results Interchange Format 2.1.0, sections 3.13 to 3.58.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import msgspec

from specprof import registry
from specprof.diagnosis.diagnose import Diagnosis
from specprof.diagnosis.lines import HEADER_LINE, first_round, line_numbers
from specprof.diagnosis.report import findings_in_order, format_place, remedy, suspect_titles
from specprof.diagnosis.verdict import Verdict
from specprof.findings import Family, Finding
from specprof.plain import as_json, escape_json, plain
from specprof.version import __version__

LEVELS: Final[dict[Family, str]] = {
    "bug": "error",
    "configuration": "warning",
    "measurement": "warning",
    "mismatch": "note",
    "cost": "note",
}
SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def document(diagnoses: Sequence[Diagnosis]) -> bytes:
    """Return the findings of all diagnoses as one SARIF log of one run."""
    families = {each.rule: each.family for one in diagnoses for each in one.verdicts}
    names = list(families)
    made = {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "specprof",
                        "version": __version__,
                        "rules": [_rule(name, family) for name, family in families.items()],
                    }
                },
                "columnKind": "unicodeCodePoints",
                "results": [each for one in diagnoses for each in _results(one, names)],
            }
        ],
    }
    return msgspec.json.format(escape_json(as_json(made)), indent=2) + b"\n"


def _rule(name: str, family: Family) -> dict[str, Any]:
    """Describe a rule or probe by its docstring.

    One from a folder named on the command line stays without: the registry does not know it here.
    """
    described: dict[str, Any] = {"id": name, "defaultConfiguration": {"level": LEVELS[family]}}
    known = {**registry.members("probe"), **registry.members("rule")}
    if member := known.get(name):
        described["shortDescription"] = {"text": member.summary}
        described["help"] = {"text": member.docstring}
    return {**described, "properties": {"family": family}}


def _results(diagnosis: Diagnosis, names: Sequence[str]) -> list[dict[str, Any]]:
    numbered = line_numbers(diagnosis)
    return [
        _result(diagnosis, verdict, verdict.finding, names, numbered)
        for verdict in findings_in_order(diagnosis)
        if verdict.finding
    ]


def _result(
    diagnosis: Diagnosis,
    verdict: Verdict,
    finding: Finding,
    names: Sequence[str],
    numbered: Mapping[int, int],
) -> dict[str, Any]:
    number = first_round(finding)
    place = {
        "artifactLocation": {"uri": _uri(diagnosis.capture)},
        "region": {
            "startLine": HEADER_LINE if number is None else numbered.get(number, HEADER_LINE)
        },
    }
    return {
        "ruleId": verdict.rule,
        "ruleIndex": names.index(verdict.rule),
        "level": LEVELS[verdict.family],
        "message": {"text": _message(finding)},
        "locations": [{"physicalLocation": place}],
        "properties": {
            "family": verdict.family,
            "leading": verdict is diagnosis.leading,
            "suspects": list(finding.suspects),
        },
    }


def _message(finding: Finding) -> str:
    """Return the message, the likely cases, the place and the remedy, each on its own line."""
    parts = [finding.message]
    parts += [f"likely {case}" for case in suspect_titles(finding)]
    parts += [f"first at {format_place(finding.where)}"] if finding.where else []
    parts += [f"remedy: {remedy(finding)}"]
    return "\n".join(plain(each) for each in parts)


def _uri(capture: str) -> str:
    """Return a path as a relative or a file URI."""
    path = Path(capture)
    return path.as_uri() if path.is_absolute() else quote(path.as_posix(), errors="replace")
