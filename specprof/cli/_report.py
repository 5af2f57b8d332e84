"""Prints diagnoses: coloured on a terminal, the same characters without colour anywhere else."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from specprof.diagnosis import Diagnosis

LOOKS = {
    "title": "bold",
    "sentence": "",
    "heading": "bold",
    "found": "bold yellow",
    "text": "",
    "quiet": "dim",
}


def show(diagnoses: Sequence["Diagnosis"], *, json: bool) -> None:
    """Write the diagnoses to stdout, as text or as one JSON document."""
    from rich.console import Console
    from rich.text import Text

    from specprof.diagnosis import report

    if json:
        sys.stdout.write(report.document(diagnoses).decode())
        return
    console = Console(soft_wrap=True, highlight=False, markup=False, emoji=False)
    for number, diagnosis in enumerate(diagnoses):
        if number:
            console.print()
        for role, text in report.told(diagnosis):
            if role == "heading":
                console.print()
            console.print(Text(text, style=LOOKS[role]))
