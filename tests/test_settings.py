"""Settings: each bound holds wherever a setting is given; a new field is one entry."""

import json
import math
import re
import subprocess
import sys
from functools import partial

import pytest
from msgspec import inspect

import captures
import specprof
from specprof import limits, plan
from specprof.capture import read_capture
from specprof.cli import app
from specprof.errors import CaptureUnreadable, SpecprofError, UsageError
from specprof.settings import Profile, Settings, known_settings


def outside(field):
    """Return values outside a field's bounds, and the extremes of its type."""
    (info,) = (each.type for each in inspect.type_info(Settings).fields if each.name == field)
    info = info.type if isinstance(info, inspect.Metadata) else info
    types = info.types if isinstance(info, inspect.UnionType) else (info,)
    found = []
    for each in types:
        if isinstance(each, inspect.IntType | inspect.FloatType):
            found += [each.ge - 1] if each.ge is not None else []
            found += [each.gt] if each.gt is not None else []
            found += [each.le + 1] if each.le is not None else []
            found += [10**400, -(10**400)] if isinstance(each, inspect.IntType) else [math.nan]
    return found


BOUNDED = [field for field in Settings.__struct_fields__ if outside(field)]
OPTIONS = [field for field in BOUNDED if known_settings()[field].option]


def written(value):
    """Return a number as TOML writes it."""
    return "nan" if value != value else str(value)  # noqa: PLR0124 - so is no other number


def profile(tmp_path, text, changed=lambda read: read):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    plan.expand(changed(plan.read_profile(str(path))))


def run_table(tmp_path, field, value):
    profile(tmp_path, f"[run]\n{field} = {written(value)}\n")


def quick_table(tmp_path, field, value):
    profile(tmp_path, f"[quick]\n{field} = {written(value)}\n", plan.apply_quick)


def sweep_table(tmp_path, field, value):
    profile(tmp_path, f"[sweep]\n{field} = [{written(value)}]\n")


def cell_table(tmp_path, field, value):
    profile(tmp_path, f"[[cell]]\n{field} = [{written(value)}]\n")


def typed(option, tmp_path, field, value):
    given = f"--{option}={field}={written(value)}"
    asked = ["run", "--no-tui", "-o", str(tmp_path / "out"), given]
    app(asked, standalone_mode=False)


def override(tmp_path, field, value):
    plan.override(Profile(name="x"), **{field: value})


def check(tmp_path, field, value):
    limits.check(Settings(**{field: value}))


def record(tmp_path, field, value):
    try:
        specprof.record(tmp_path / "run.jsonl", target="a", **{field: value})
    finally:
        assert list(tmp_path.iterdir()) == []


def header(tmp_path, field, value):
    path = captures.write(tmp_path / "run.jsonl", captures.events())
    first, *rest = path.read_text(encoding="utf-8").splitlines(keepends=True)
    line = json.loads(first)
    line["spec"]["settings"][field] = value
    path.write_text(json.dumps(line) + "\n" + "".join(rest), encoding="utf-8")
    return read_capture(path)


DOORS = {
    "run table": run_table,
    "quick table": quick_table,
    "sweep table": sweep_table,
    "cell table": cell_table,
    "--set": partial(typed, "set"),
    "--sweep": partial(typed, "sweep"),
    "override": override,
    "check": check,
    "record": record,
    "header": header,
}


def test_every_number_has_a_bound():
    """No field is left out by mistake."""
    numbers = {name for name, said in known_settings().items() if said.kind in {int, float}}
    assert numbers == set(BOUNDED)
    for field in BOUNDED:
        assert len(outside(field)) >= 3


@pytest.mark.parametrize("field", BOUNDED)
@pytest.mark.parametrize("door", DOORS)
def test_a_bound_is_held_at_every_door(tmp_path, door, field):
    """One short line names the setting and its allowed values."""
    for value in outside(field):
        if door == "header" and value != value:  # noqa: PLR0124 - JSON has no word for it
            continue
        with pytest.raises(SpecprofError) as raised:
            DOORS[door](tmp_path, field, value)
        assert isinstance(raised.value, UsageError | CaptureUnreadable)
        told = str(raised.value)
        assert field in told
        assert "it must be a" in told
        assert len(told.replace(str(tmp_path), "")) < 300


@pytest.mark.parametrize("field", OPTIONS)
def test_a_bound_is_held_where_the_option_is_given(tmp_path, field):
    """The error names the setting, and does not blame a profile."""
    option = f"--{field.replace('_', '-')}"
    for value in outside(field):
        if abs(value) < 10**300:
            with pytest.raises(UsageError, match=f"^{field} is ") as raised:
                app(["run", "--no-tui", f"{option}={value}"], standalone_mode=False)
            assert raised.value.hint.startswith("it must be a")


@pytest.mark.parametrize("door", DOORS)
def test_a_temperature_next_to_zero_is_refused_at_every_door(tmp_path, door):
    """Logits divided by it are infinite."""
    with pytest.raises(SpecprofError, match=r"(?s)temperature is 1e-09\b.*0, or at least 1e-06"):
        DOORS[door](tmp_path, "temperature", 1e-9)


@pytest.mark.parametrize("door", [*DOORS][:6])
def test_no_run_is_asked_for_no_tokens(tmp_path, door):
    """Only a capture of a user's own loop may leave the length open."""
    with pytest.raises(UsageError, match="max_new_tokens is 0\n  it must be at least 1"):
        DOORS[door](tmp_path, "max_new_tokens", 0)


def test_a_capture_may_leave_the_length_open(tmp_path):
    """`specprof.record` writes it so if no length was given."""
    assert header(tmp_path, "max_new_tokens", 0).header.spec.settings.max_new_tokens == 0


def test_a_recorded_length_below_nothing_is_refused(tmp_path):
    """It is refused before a capture is made that no reader would take."""
    with pytest.raises(UsageError, match="max_new_tokens is -5"):
        specprof.record(tmp_path / "run.jsonl", target="a", max_new_tokens=-5)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("field", "value"), [("detail", "evidnce"), ("depth", "4"), ("seed", 1.5)])
def test_a_setting_of_the_wrong_kind_is_refused_where_a_loop_is_recorded(tmp_path, field, value):
    """It is refused as everywhere else."""
    with pytest.raises(UsageError, match=f"{field} is "):
        record(tmp_path, field, value)


ONE_MORE = """
import pathlib, sys, types
import specprof
path = pathlib.Path(specprof.__file__).with_name("settings.py")
place, line = "    depth_policy: Annotated[", {line!r}
source = path.read_text(encoding="utf-8").replace(place, line + place, 1)
module = types.ModuleType("specprof.settings")
module.__file__ = str(path)
sys.modules[module.__name__] = specprof.settings = module
exec(compile(source, str(path), "exec"), module.__dict__)
from specprof.cli import main
sys.argv = ["specprof", *sys.argv[1:]]
main()
"""
LINE = '    fresh: Annotated[SmallCount, meaning("A fresh one."), option("Fresh.")] = 3\n'


def with_one_more(*arguments):
    """Run specprof with one more line in `settings.py`."""
    line = [sys.executable, "-c", ONE_MORE.format(line=LINE), *arguments]
    return subprocess.run(line, capture_output=True, text=True)


def test_a_new_setting_is_one_line(tmp_path):
    """That line makes it an option, explained, listed, settable, bounded and in profiles."""
    shown = with_one_more("run", "--help").stdout
    assert re.search(r"  --fresh \S+ +Fresh\.\n  --depth-policy ", shown)
    shown = with_one_more("explain", "fresh").stdout
    assert shown == "fresh: A fresh one.\nSetting of a run: --set fresh=VALUE; by itself 3.\n"
    assert "  fresh              A fresh one.\n" in with_one_more("list", "setting").stdout
    path = tmp_path / "mine.toml"
    path.write_text("[run]\nfresh = -1\n")
    for asked in (["--fresh", "-1"], ["--set", "fresh=-1"], ["--profile", str(path)]):
        ended = with_one_more("run", "--no-tui", *asked)
        assert ended.returncode == 2
        assert "it must be a whole number from 0 to 65,536" in ended.stderr
