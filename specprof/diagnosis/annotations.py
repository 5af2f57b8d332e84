"""A diagnosis as annotations of a GitHub workflow: one command a finding, on a line of its own.

The runner takes `::error file=..,line=..,title=..::message` from a step's output and shows it at
that line. Its signs of punctuation are escaped as it asks; a finding's text can't add a command.
"""

from collections.abc import Sequence
from typing import Final

from specprof.diagnosis.diagnose import Diagnosis
from specprof.diagnosis.lines import HEADER, first_round, lines
from specprof.diagnosis.report import in_order, remedy, suspected
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
    numbered, commands = lines(diagnosis), list[str]()
    for verdict in in_order(diagnosis):
        if finding := verdict.finding:
            number = first_round(finding)
            line = HEADER if number is None else numbered.get(number, HEADER)
            place = f"file={_property(diagnosis.capture)},line={line}"
            title = _property(f"{verdict.family}: {verdict.rule}")
            level = LEVELS[verdict.family]
            commands.append(f"::{level} {place},title={title}::{_data(_told(finding))}")
    return commands


def _told(finding: Finding) -> str:
    likely = " or ".join(suspected(finding))
    told = [finding.message, *([f"likely {likely}"] if likely else []), remedy(finding)]
    return "\n".join(plain(each) for each in told)


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(plain(text)).replace(":", "%3A").replace(",", "%2C")
