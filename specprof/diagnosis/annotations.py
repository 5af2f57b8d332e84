"""Writes a diagnosis as annotations of a GitHub workflow: one command a finding, each on one line.

The runner takes `::error file=..,line=..,title=..::message` from a step's output and shows the
message at that line. Punctuation is escaped as the runner asks, so that the text of a finding can't
add a command.
"""

from collections.abc import Sequence
from typing import Final

from specprof.diagnosis.diagnose import Diagnosis
from specprof.diagnosis.lines import HEADER_LINE, first_round, line_numbers
from specprof.diagnosis.report import findings_in_order, remedy, suspect_titles
from specprof.findings import Family, Finding
from specprof.plain import plain

LEVELS: Final[dict[Family, str]] = {
    "bug": "error",
    "configuration": "warning",
    "measurement": "warning",
    "mismatch": "notice",
    "cost": "notice",
}


def annotations(diagnoses: Sequence[Diagnosis]) -> str:
    """Return a workflow command for every finding, the leading one of each capture first."""
    return "".join(f"{each}\n" for one in diagnoses for each in _commands(one))


def _commands(diagnosis: Diagnosis) -> list[str]:
    numbered, commands = line_numbers(diagnosis), list[str]()
    for verdict in findings_in_order(diagnosis):
        if finding := verdict.finding:
            number = first_round(finding)
            line = HEADER_LINE if number is None else numbered.get(number, HEADER_LINE)
            place = f"file={_escape_property(diagnosis.capture)},line={line}"
            title = _escape_property(f"{verdict.family}: {verdict.rule}")
            level = LEVELS[verdict.family]
            commands.append(f"::{level} {place},title={title}::{_escape_data(_message(finding))}")
    return commands


def _message(finding: Finding) -> str:
    likely = " or ".join(suspect_titles(finding))
    parts = [finding.message, *([f"likely {likely}"] if likely else []), remedy(finding)]
    return "\n".join(plain(each) for each in parts)


def _escape_data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _escape_property(text: str) -> str:
    return _escape_data(plain(text)).replace(":", "%3A").replace(",", "%2C")
