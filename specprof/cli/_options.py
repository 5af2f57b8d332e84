"""Options that several commands share: what the user says by hand about what a file asks for."""

from typing import Annotated

import typer

Allow = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME",
        help="A model, text or dataset that the file may have loaded; repeatable.",
    ),
]
Code = Annotated[
    bool | None,
    typer.Option(
        "--trust-remote-code", help="Run code that comes with a model.", show_default=False
    ),
]
