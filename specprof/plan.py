"""Turns a profile into runs: reads it, overrides its settings, and makes a run of each cell."""

import contextlib
import hashlib
import itertools
import math
import textwrap
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, TypeVar

import msgspec

from specprof.errors import UnknownName, UsageError, sort_by_likeness
from specprof.limits import acceptance_in_force, check, check_values
from specprof.plain import brief
from specprof.reading import read_text, refuse_deep_keys
from specprof.reasons import field_of, reason_of
from specprof.registry import members, shipped_folder
from specprof.setting_facts import SettingFacts, number
from specprof.settings import (
    MOST_RUNS,
    Grid,
    Profile,
    RunSpec,
    Settings,
    Value,
    known_settings,
)

__all__ = [
    "AUTO",
    "FIRST_STOP",
    "acceptance_in_force",
    "apply_quick",
    "check_probes",
    "expand",
    "override",
    "parse_value",
    "profiles",
    "read_profile",
    "stops",
    "sweep_over",
]

MAX_PROFILE_BYTES = 1 << 20
"""The largest profile that is read."""
FIRST_STOP = 128
"""The shallowest stop of a walk, in tokens."""
EXPLAINED_WIDTH = 96
"""Characters of a line of a setting's meaning."""
AUTO = "auto"
"""In place of a probe's name: the probes that could change the diagnosis."""
_Converted = TypeVar("_Converted")
LABEL = "label"
"""A cell's key that is no setting: the name of its row."""
SHORT_NAMES = {"depth": "K", "temperature": "T", "max_new_tokens": "new"}
SELF_EXPLAINING = frozenset(
    {
        "target",
        "draft",
        "backend",
        "drafter",
        "depth_policy",
        "shape",
        "acceptance",
        "cache",
        "workload",
    }
)
"""Settings whose value is clear in a label without their name."""


def profiles() -> dict[str, Path]:
    """Return the shipped profiles by name."""
    return {path.stem: path for path in sorted(shipped_folder("profiles").glob("*.toml"))}


def read_profile(name: str) -> Profile:
    """Read a shipped profile by name, or any profile by its file's path."""
    path = Path(name) if name.endswith(".toml") else profiles().get(name)
    if path is None:
        raise UnknownName("profile", name, profiles())
    try:
        text = read_text(path, MAX_PROFILE_BYTES)
        refuse_deep_keys(text)
        written = tomllib.loads(text)
    except OSError as trouble:
        title = f"can't read profile {path}: {trouble.strerror}"
        raise UsageError(
            title, f"give a TOML file, or one of: {', '.join(profiles())}"
        ) from trouble
    except (ValueError, RecursionError) as trouble:
        hint = "mend the TOML; profiles/default.toml shows the form"
        raise UsageError(f"profile {path} is no TOML: {brief(str(trouble))}", hint) from trouble
    return _decode_profile(written, path)


def apply_quick(profile: Profile) -> Profile:
    """Return the profile in its quick form; raise UsageError if it has none."""
    if not profile.quick:
        title = f"profile {brief(profile.name)!r} has no quick form"
        raise UsageError(title, "leave --quick out, or give the profile a [quick] table")
    changed = dict(profile.quick)
    repeats = msgspec.convert(changed.pop("repeats", profile.repeats), int)
    return msgspec.structs.replace(override(profile, **changed), repeats=repeats)


def override(profile: Profile, **given: Value) -> Profile:
    """Return the profile with the given settings replaced.

    A given field is no longer swept. A cell that sets the field keeps its own value.

    Raises UsageError if every cell sets the field, for then the given value would change nothing,
    and if its setting can't have the value.
    """
    check_values(given)
    sweep = {field: values for field, values in profile.sweep.items() if field not in given}
    pinned = msgspec.structs.replace(profile, sweep=sweep)
    for field in given:
        _refuse_without_effect(field, pinned, _grids(pinned))
    run = msgspec.structs.replace(profile.run, **given)
    return msgspec.structs.replace(pinned, run=run)


def sweep_over(profile: Profile, field: str, texts: Sequence[str]) -> Profile:
    """Return the profile swept over the values in `texts`, in place of values it had for the field.

    Every cell is run with each value. A cell that sets the field keeps its own value.
    """
    values: list[Value] = [parse_value(field, text) for text in texts]
    cells = [grid if field in grid else grid | {field: values} for grid in profile.cell]
    sweep = profile.sweep
    if sweep or not cells:
        sweep = sweep | {field: values}
    else:
        _refuse_without_effect(field, profile, profile.cell)
    return msgspec.structs.replace(profile, sweep=sweep, cell=cells)


def parse_value(field: str, text: str) -> Value:
    """Return the value of a field of Settings that a text stands for; an empty text is None."""
    if field not in Settings.__struct_fields__:
        raise UnknownName("setting", field, Settings.__struct_fields__)
    kind, written = known_settings()[field].kind, dict[str, Value]({field: text or None})
    if text and kind in {int, float}:
        with contextlib.suppress(ValueError):  # then it stays a text, which is no number
            written[field] = number(kind, text)
    try:
        value: Value = getattr(msgspec.convert(written, Settings, strict=kind is not bool), field)
    except msgspec.ValidationError as trouble:
        admitted = reason_of(trouble, written, Settings).rpartition("; ")[2]
        title = f"{field} can't be {brief(text)!r}"
        raise UsageError(title, _known_words(field, admitted)) from trouble
    return value


def check_probes(names: Iterable[str]) -> None:
    """Refuse, with UnknownName, a name that is neither a probe nor `auto`."""
    for name in set(names).difference([AUTO, *members("probe")]):
        raise UnknownName("probe", name, [AUTO, *members("probe")])


def describe_settings() -> dict[str, str]:
    """Return the explanation of each setting: its meaning, how to give it, its default."""
    return {
        name: f"{textwrap.fill(each.meaning, EXPLAINED_WIDTH)}\n{_way_to_give(each)}"
        for name, each in known_settings().items()
    }


def _way_to_give(setting: SettingFacts) -> str:
    known = f" ({', '.join(setting.words)})" if setting.words else ""
    unset = "; None where VALUE is empty" if setting.optional else ""
    given = f"--set {setting.name}=VALUE{known}"
    return f"Setting of a run: {given}; by itself {setting.default}{unset}."


def expand(profile: Profile) -> list[RunSpec]:
    """Return a checked RunSpec for each cell, in the order written; equal cells count once."""
    _refuse_too_many(profile)
    cells = [cell for grid in _grids(profile) for cell in _cells(grid)]
    specs = [_make_spec(profile, varied, label) for varied, label in cells]
    return list({spec.id: spec for spec in reversed(specs)}.values())[::-1]


def _refuse_too_many(profile: Profile) -> None:
    """Refuse more runs than `MOST_RUNS`, before each of them is written out."""
    sizes = (
        math.prod(len(each) if isinstance(each, list) else 1 for each in grid.values())
        for grid in _grids(profile)
    )
    runs = sum(sizes) * profile.repeats
    if runs > MOST_RUNS:
        title = f"profile {brief(profile.name)!r} asks for {runs} runs"
        raise UsageError(title, f"at most {MOST_RUNS} are made: vary less, or repeat it less often")


def stops(settings: Settings) -> list[int]:
    """Return the contexts, in tokens and ascending, at which a burst is decoded.

    A walk's stops lie a constant factor apart. So short contexts, on which the draft was trained,
    get as many stops as the long contexts, on which it was not.
    """
    if settings.workload == "generate" or settings.stops == 1:
        return [settings.context]
    first = min(FIRST_STOP, settings.context)
    factor = (settings.context / first) ** (1 / (settings.stops - 1))
    return sorted({round(first * factor**step) for step in range(settings.stops)})


def _refuse_without_effect(field: str, profile: Profile, grids: Sequence[Grid]) -> None:
    """Refuse a setting that every grid sets for itself, because it would change nothing."""
    if all(field in grid for grid in grids):
        title = f"every cell of profile {brief(profile.name)!r} has a {field} of its own"
        raise UsageError(title, f"copy the profile and change it there, or leave {field} out")


def _known_words(field: str, otherwise: str) -> str:
    """Return as a hint the words that a setting can be, or `otherwise` if it has no fixed words."""
    setting = known_settings().get(field)
    return f"known: {', '.join(setting.words)}" if setting and setting.words else otherwise


def _grids(profile: Profile) -> list[Grid]:
    return [*([profile.sweep] if profile.sweep or not profile.cell else []), *profile.cell]


def _cells(grid: Grid) -> Iterator[tuple[dict[str, Value], str]]:
    """Yield the settings that each cell of a grid varies, and the words of its label."""
    fields = {field: values for field, values in grid.items() if field != LABEL}
    labelled = [field for field in fields if LABEL not in grid or isinstance(grid[field], list)]
    values = [each if isinstance(each, list) else [each] for each in fields.values()]
    for chosen in itertools.product(*values):
        varied = dict(zip(fields, chosen, strict=True))
        words = [str(grid[LABEL])] if LABEL in grid else []
        yield varied, " ".join(words + [_label_word(field, varied[field]) for field in labelled])


def _label_word(field: str, value: Value) -> str:
    if (field, value) == ("drafter", "none"):
        return "plain"
    if field in SELF_EXPLAINING and value is not None:
        return str(value).rpartition("/")[2]
    return f"{SHORT_NAMES.get(field, field)}={value}"


def _make_spec(profile: Profile, varied: dict[str, Value], label: str) -> RunSpec:
    given = msgspec.to_builtins(profile.run) | varied
    try:
        settings = msgspec.convert(given, Settings)
    except msgspec.ValidationError as trouble:
        reason = reason_of(trouble, given, Settings)
        title = f"profile {brief(profile.name)!r} gives a field a wrong value: {reason}"
        raise UsageError(title, _hint_for(trouble)) from trouble
    check(settings)
    written = repr(settings).encode("utf-8", "surrogateescape")  # a path may be no UTF-8
    number = hashlib.blake2b(written, digest_size=4).hexdigest()
    return RunSpec(id=number, profile=profile.name, settings=settings, varied=varied, label=label)


def _decode_profile(written: dict[str, object], path: Path) -> Profile:
    """Decode the profile; refuse an unknown key, and list the known keys, nearest first."""
    fields = Settings.__struct_fields__
    _refuse_unknown(written, Profile.__struct_fields__, path)
    cells = written.get("cell")
    for table in cells if isinstance(cells, list) else []:
        _refuse_unknown(table, (LABEL, *fields), path)
    for name, known in (("run", fields), ("sweep", fields), ("quick", (*fields, "repeats"))):
        _refuse_unknown(written.get(name), known, path)
    profile = _convert({"name": path.stem} | written, Profile, path)
    changed = {field: value for field, value in profile.quick.items() if field != "repeats"}
    _convert(changed, Settings, path)
    _convert({"repeats": profile.quick.get("repeats", 1)}, _Quick, path)
    if profile.repeats < 1 or any(
        value == [] for grid in _grids(profile) for value in grid.values()
    ):
        title = f"profile {path} asks for nothing: repeats below 1, or a field without values"
        raise UsageError(title, "give at least one of each")
    check_probes(profile.probes)
    for grid in _grids(profile):
        if not isinstance(grid.get(LABEL, ""), str):
            title = f"profile {path} has a cell whose label is {brief(repr(grid[LABEL]))}"
            raise UsageError(title, "a label is one text; sweep over a field's values")
    return profile


def _refuse_unknown(table: object, known: Iterable[str], path: Path) -> None:
    for key in table if isinstance(table, dict) else ():
        if key not in known:
            hint = f"known keys: {', '.join(sort_by_likeness(key, known))}"
            raise UsageError(f"profile {path} has an unknown key {brief(key)!r}", hint)


def _hint_for(trouble: msgspec.ValidationError) -> str:
    """Return the hint for a wrong value."""
    return _known_words(field_of(trouble), "correct the value's type")


class _Quick(msgspec.Struct):
    """What a quick form sets besides the run's settings."""

    repeats: Annotated[int, msgspec.Meta(ge=1)]


def _convert(written: object, kind: type[_Converted], path: Path) -> _Converted:
    """Return a profile's table as `kind`; raise UsageError if a field can't have its value."""
    try:
        return msgspec.convert(written, kind)
    except msgspec.ValidationError as trouble:
        title = f"profile {path}: {reason_of(trouble, written, kind)}"
        raise UsageError(title, _hint_for(trouble)) from trouble
