"""Options that come from settings: their help as it was written by hand, and what each leads to."""

import inspect
import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from specprof.cli import app
from specprof.cli._options import (
    Given,
    SettingOption,
    add_preset_options,
    add_setting_options,
    split_assignment,
)
from specprof.errors import UsageError
from specprof.settings import known_settings

GOLDEN = Path(__file__).parent / "golden"


def said(option):
    """Return one option as a line: its flags, its default, its least value, its text."""
    flags = "/".join([*option.opts, *option.secondary_opts])
    known = isinstance(option.default, str | int | float)  # what stands for none differs by release
    default = f" = {option.default}" if known else ""
    least = getattr(option.type, "min", None)
    bound = "" if least is None else f" >= {least}"
    return f"{flags}{default}{bound}: {option.help}\n"


@pytest.mark.parametrize("command", ["run", "bench"])
def test_every_option_keeps_its_place_name_default_and_text(command):
    """All are compared with those kept beside this test; how help is laid out is Typer's."""
    options = typer.main.get_command(app).commands[command].params
    kept = (GOLDEN / f"{command}-options.txt").read_text(encoding="utf-8")
    assert "".join(said(each) for each in options if each.opts[0].startswith("-")) == kept


@pytest.mark.parametrize("command", ["run", "bench"])
def test_help_shows_every_option(command):
    """With its text, in the terminal's width."""
    line = [sys.executable, "-m", "specprof", command, "--help"]
    environment = os.environ | {"COLUMNS": "100"}
    shown = subprocess.run(line, capture_output=True, check=True, text=True, env=environment)
    words = " ".join(shown.stdout.split())
    for option in typer.main.get_command(app).commands[command].params:
        assert option.opts[0] in words
        assert option.help.split()[0] in words


def command(recorded):
    """Return a command of an option of its own, of settings, and of one that it names itself."""

    def asked(
        *,
        first: Annotated[bool, typer.Option("--first")] = False,
        given: Given,
        seed: Annotated[int, typer.Option(help="Its own.")] = 7,
    ) -> None:
        """Ask."""
        recorded.append((first, given, seed))

    return asked


def invoked(command, *arguments):
    """Run a command as the only one of an application; return how it ended."""
    app = typer.Typer()
    app.command()(command)
    return CliRunner().invoke(app, [*arguments])


def test_only_what_was_given_is_handed_on():
    """Under the setting's name, as the setting's kind; the command's own parameters beside it."""
    recorded = []
    made = add_setting_options(command(recorded))
    assert invoked(made, "--depth-policy", "fixed", "--depth", "3", "--stop-at-eos").exit_code == 0
    assert invoked(made, "--first", "--temperature", "1", "--seed", "5").exit_code == 0
    given = {"depth_policy": "fixed", "depth": 3, "ignore_eos": False}
    assert recorded == [(False, given, 7), (True, {"temperature": 1.0}, 5)]


def test_options_stand_in_the_order_of_the_settings():
    """In the place of `given`; one that the command names is not there twice."""
    names = list(inspect.signature(add_setting_options(command([]))).parameters)
    settings = [name for name, said in known_settings().items() if said.option]
    assert names == ["first", *(each for each in settings if each != "seed"), "seed"]


def test_a_preset_option_has_the_settings_default_and_least_or_its_own():
    """And may be called otherwise."""
    recorded = []
    asked = SettingOption("max_new_tokens", name="tokens", default=64, least=1)
    made = add_preset_options(asked, SettingOption("window"), SettingOption("text"))(
        command(recorded)
    )
    assert invoked(made).exit_code == 0
    assert invoked(made, "--tokens", "9", "--text", "prose").exit_code == 0
    assert recorded == [
        (False, {"max_new_tokens": 64, "window": 512}, 7),
        (False, {"max_new_tokens": 9, "window": 512, "text": "prose"}, 7),
    ]
    assert "x>=1" in invoked(made, "--tokens", "0").output
    assert "x>=1" in invoked(made, "--window", "0").output


@pytest.mark.parametrize(("asked", "pair"), [("draft-cache= a=b", ("draft_cache", " a=b"))])
def test_a_setting_is_assigned_by_its_first_equals_sign(asked, pair):
    """A dash in its name is as good as an underscore."""
    assert split_assignment(asked, "--set") == pair


def test_what_assigns_nothing_is_refused_in_short():
    """However long it is."""
    with pytest.raises(UsageError) as raised:
        split_assignment("x" * 10**6, "--set")
    assert len(str(raised.value)) < 300
    assert raised.value.hint == "write --set FIELD=VALUE"


WRONG = ["1_0", " 1", "٣", "nan", "1e400"]


@pytest.mark.parametrize("text", WRONG)
@pytest.mark.parametrize("option", ["--temperature", "--depth", "--seed"])
def test_an_option_and_set_refuse_the_same_slips(option, text):
    """What `--set temperature=1_0` refuses, `--temperature 1_0` refuses too."""
    asked = ["--no-tui", "--set", "backend=synthetic"]
    for given in ([option, text], ["--set", f"{option.removeprefix('--')}={text}"]):
        ended = CliRunner().invoke(app, ["run", *asked, *given])
        assert ended.exit_code != 0, given
        assert ended.stdout == ""
        refused = isinstance(ended.exception, UsageError) or ended.exit_code == 2
        assert refused, ended.exception


@pytest.mark.parametrize(
    "line",
    [
        ["run", "--repeats"],
        ["bench", "--seconds"],
        ["drill", "--seeds"],
        ["drill", "--jobs"],
        ["drill", "--probe"],
        ["diagnose", "--budget"],
    ],
)
def test_every_number_that_is_typed_is_read_so(line):
    """Also those that are no settings; told in short, and fit to print."""
    for text in ("1_0", "nan", "\x1b[2J" * 500):
        ended = CliRunner().invoke(app, [*line, text])
        assert ended.exit_code == 2
        assert "is no number" in ended.output or "is no whole number" in ended.output
        assert "\x1b" not in ended.output


def test_every_option_that_takes_a_number_reads_it_so():
    """A new one, made by hand, would take Python's ways."""
    for command in typer.main.get_command(app).commands.values():
        for option in command.params:
            if option.type.name in {"int", "int range", "float", "float range"}:
                with pytest.raises(typer.BadParameter, match="is no"):
                    option.type.convert("1_0", option, None)
