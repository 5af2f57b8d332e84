"""Prints diagnoses, in colour on a terminal; without colour the characters are equal."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    from specprof.diagnosis import Diagnosis

Form = Literal["text", "json", "sarif", "github"]
FORMS: tuple[Form, ...] = get_args(Form)
STYLES = {
    "title": "bold",
    "sentence": "",
    "heading": "bold",
    "found": "bold yellow",
    "text": "",
    "quiet": "dim",
}


def parse_form(asked: str, *, json: bool = False) -> Form:
    """Return the form called `asked`; the flag `json` stands for the form "json".

    Raises UnknownName where no form is called so, UsageError where two forms are asked for.
    """
    from specprof.errors import UnknownName, UsageError

    form: Form | None = next((each for each in FORMS if each == asked), None)
    if form is None:
        raise UnknownName("format of a diagnosis", asked, FORMS)
    if json and form not in {"text", "json"}:
        raise UsageError(f"both --json and --format {form} were given", "leave one of them out")
    return "json" if json else form


def show(diagnoses: Sequence["Diagnosis"], *, json: bool = False, form: Form = "text") -> None:
    """Write the diagnoses to stdout: as text, one JSON document, SARIF, or GitHub annotations."""
    match "json" if json else form:
        case "json":
            from specprof.diagnosis import report

            sys.stdout.write(report.document(diagnoses).decode())
        case "sarif":
            from specprof.diagnosis import sarif

            sys.stdout.write(sarif.document(diagnoses).decode())
        case "github":
            from specprof.diagnosis import annotations

            sys.stdout.write(annotations.annotations(diagnoses))
        case _:
            _print(diagnoses)


def _print(diagnoses: Sequence["Diagnosis"]) -> None:
    from rich.console import Console
    from rich.text import Text

    from specprof.diagnosis import report

    console = Console(soft_wrap=True, highlight=False, markup=False, emoji=False)
    for number, diagnosis in enumerate(diagnoses):
        if number:
            console.print()
        for role, text in report.lines(diagnosis):
            if role == "heading":
                console.print()
            console.print(Text(text, style=STYLES[role]))
