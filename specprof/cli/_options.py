"""Options that several commands share: one for each setting, and what the user says by hand.

An option of a setting is made from what the setting says of itself (`settings.known_settings`).
Knows how Typer reads a signature.
"""

import copy
import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Annotated, Any

import msgspec
import typer

from specprof.plain import brief
from specprof.setting_facts import number
from specprof.settings import Value, known_settings

Given = dict[str, Value]
"""Setting -> the value that was given, or that stands in the help."""
NUMBERS = (int, float)
Command = Callable[..., None]
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
        "--trust-remote-code", help=known_settings()["trust_remote_code"].option, show_default=False
    ),
]


def numeric(kind: type, *flags: str, **shown: Any) -> Any:  # noqa: ANN401 - as Typer's own is typed
    """Return an option whose number is read as `--set` reads one; the rest is Typer's."""
    asked = typer.Option(*flags, **shown)
    read = copy.copy(typer.main.get_click_type(annotation=kind, parameter_info=asked))
    convert = read.convert

    def checked(value: Any, *context: Any) -> Any:  # noqa: ANN401 - Typer's types say no more
        if isinstance(value, str):
            try:
                value = number(kind, value)
            except ValueError:
                found = "whole number" if kind is int else "number"
                raise typer.BadParameter(f"{brief(value)!r} is no {found}") from None
        return convert(value, *context)

    read.convert = checked  # type: ignore[method-assign, assignment]
    asked.click_type = read
    return asked


Seed = Annotated[int, numeric(int, help=known_settings()["seed"].option)]


class SettingOption(msgspec.Struct, frozen=True):
    """How a command asks for a setting, where that is not as the setting says."""

    setting: str
    name: str | None = None
    """None: the setting's own, as of all that follows."""
    text: str | None = None
    default: Value = None
    least: int | None = None

    def parameter(self, *, preset: bool) -> inspect.Parameter:
        """Return the parameter that Typer makes the option of.

        `preset`: its default stands in the help, and so does its least value. Otherwise None stands
        for an option that was not given.
        """
        said = known_settings()[self.setting]
        default = (said.default if self.default is None else self.default) if preset else None
        least = (said.least if self.least is None else self.least) if preset else None
        flags = [said.flags] if said.flags else []
        option = functools.partial(numeric, said.kind) if said.kind in NUMBERS else typer.Option
        shown = option(*flags, help=self.text or said.option, min=least)
        kind: Any = said.kind if default is not None else said.kind | None
        return inspect.Parameter(
            self.name or self.setting,
            inspect.Parameter.KEYWORD_ONLY,
            default=default,
            annotation=Annotated[kind, shown],
        )


def settings_left_open(command: Command) -> Command:
    """Give a command an option for every setting that has one; only what was given is handed on.

    The options stand in the place of its parameter `given`, in the order of the settings. One that
    the command names as a parameter of its own is left where it is.
    """
    own = inspect.signature(command).parameters
    asked = [
        SettingOption(name)
        for name, said in known_settings().items()
        if said.option is not None and name not in own
    ]
    return _with_options(command, asked, preset=False)


def settings_preset(*asked: SettingOption) -> Callable[[Command], Command]:
    """Give a command these options, in the place of its parameter `given`; each has a default."""
    return lambda command: _with_options(command, asked, preset=True)


def _with_options(command: Command, asked: Iterable[SettingOption], *, preset: bool) -> Command:
    """Return the command with a signature that Typer reads: `given` becomes one option each."""
    made = {each.setting: each.parameter(preset=preset) for each in asked}
    signature = inspect.signature(command)
    parameters = list[inspect.Parameter]()
    for name, parameter in signature.parameters.items():
        parameters += made.values() if name == "given" else [parameter]

    @functools.wraps(command)
    def called(**values: Any) -> None:  # noqa: ANN401 - Typer checks each by its parameter
        given = {setting: values.pop(each.name) for setting, each in made.items()}
        command(given={k: v for k, v in given.items() if v is not None}, **values)

    called.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    called.__annotations__ = {each.name: each.annotation for each in parameters}
    return called


def assigned(asked: str, option: str) -> tuple[str, str]:
    """Return the setting and the text of FIELD=VALUE; UsageError where that is something else."""
    from specprof.errors import UsageError
    from specprof.plain import brief

    field, sign, text = asked.partition("=")
    if not sign:
        raise UsageError(f"{option} {brief(asked)!r} has no value", f"write {option} FIELD=VALUE")
    return field.strip().replace("-", "_"), text
