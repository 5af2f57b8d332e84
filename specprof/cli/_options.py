"""Options that several commands share: one for each setting, `--allow` and `--trust-remote-code`.

The option of a setting is made from the setting's own type, bounds and text
(`settings.known_settings`). This module knows how Typer reads a function's signature.
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
"""Setting -> the value from the command line, or the default that the help shows."""
NUMBERS = (int, float)
Command = Callable[..., None]
Allow = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME",
        help="Permit loading this model, text or dataset that the file names; repeatable.",
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
    """A setting's option in one command; fields other than `setting` replace the setting's own."""

    setting: str
    name: str | None = None
    """None keeps the setting's own, here and in the fields below."""
    text: str | None = None
    default: Value = None
    least: int | None = None

    def to_parameter(self, *, preset: bool) -> inspect.Parameter:
        """Return the parameter from which Typer makes the option.

        With `preset` the option has a default and a least value, and the help shows both. Otherwise
        its default is None, which marks an option that was not given.
        """
        setting = known_settings()[self.setting]
        default = (setting.default if self.default is None else self.default) if preset else None
        least = (setting.least if self.least is None else self.least) if preset else None
        flags = [setting.flags] if setting.flags else []
        option = (
            functools.partial(numeric, setting.kind) if setting.kind in NUMBERS else typer.Option
        )
        shown = option(*flags, help=self.text or setting.option, min=least)
        kind: Any = setting.kind if default is not None else setting.kind | None
        return inspect.Parameter(
            self.name or self.setting,
            inspect.Parameter.KEYWORD_ONLY,
            default=default,
            annotation=Annotated[kind, shown],
        )


def add_setting_options(command: Command) -> Command:
    """Give a command an option for every setting that has option text.

    The options replace the command's parameter `given`, in the order of the settings. A setting
    that is a parameter of the command keeps that parameter. `given` then holds only the options
    that the user typed.
    """
    own = inspect.signature(command).parameters
    asked = [
        SettingOption(name)
        for name, setting in known_settings().items()
        if setting.option is not None and name not in own
    ]
    return _with_options(command, asked, preset=False)


def add_preset_options(*asked: SettingOption) -> Callable[[Command], Command]:
    """Replace a command's parameter `given` by these options, each with a default."""
    return lambda command: _with_options(command, asked, preset=True)


def _with_options(command: Command, asked: Iterable[SettingOption], *, preset: bool) -> Command:
    """Return the command with one parameter per option in its signature instead of `given`."""
    made = {each.setting: each.to_parameter(preset=preset) for each in asked}
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


def split_assignment(asked: str, option: str) -> tuple[str, str]:
    """Return the setting and the text of FIELD=VALUE. Raises UsageError without an equals sign."""
    from specprof.errors import UsageError
    from specprof.plain import brief

    field, sign, text = asked.partition("=")
    if not sign:
        raise UsageError(f"{option} {brief(asked)!r} has no value", f"write {option} FIELD=VALUE")
    return field.strip().replace("-", "_"), text
