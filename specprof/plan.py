"""From what the user wrote to what is run: a profile, overridden, spread over its sweep."""

import hashlib
import itertools
import tomllib
from collections.abc import Mapping
from pathlib import Path

import msgspec

from specprof.errors import UnknownName, UsageError, nearest
from specprof.records import Profile, RunSpec, Settings
from specprof.registry import shipped

LARGEST_SEED = 2**53
"""A larger number is inexact to some readers of JSON."""
COLDEST, HOTTEST = 1e-6, 1e6
FIRST_STOP = 128
"""The shallowest stop of a walk, in tokens."""


def profiles() -> dict[str, Path]:
    """Return the shipped profiles by name."""
    return {path.stem: path for path in sorted(shipped("profiles").glob("*.toml"))}


def read_profile(name: str) -> Profile:
    """Read a shipped profile by name, or any profile by its file's path."""
    path = Path(name) if name.endswith(".toml") else profiles().get(name)
    if path is None:
        raise UnknownName("profile", name, profiles())
    try:
        written = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as trouble:
        title = f"can't read profile {path}: {trouble.strerror}"
        raise UsageError(
            title, f"give a TOML file, or one of: {', '.join(profiles())}"
        ) from trouble
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as trouble:
        hint = "mend the TOML; profiles/default.toml shows the form"
        raise UsageError(f"profile {path} is no TOML: {trouble}", hint) from trouble
    return _checked(written, path)


def override(profile: Profile, **given: str | float | bool | None) -> Profile:
    """Return the profile with the given settings replaced; those that are None stay as they are."""
    changed = {field: value for field, value in given.items() if value is not None}
    return msgspec.structs.replace(profile, run=msgspec.structs.replace(profile.run, **changed))


def expand(profile: Profile) -> list[RunSpec]:
    """Return one RunSpec for each cell of the sweep's grid, checked, in the order written."""
    fields = list(profile.sweep)
    cells = itertools.product(*(profile.sweep[field] for field in fields))
    return [_spec(profile, dict(zip(fields, values, strict=True))) for values in cells]


def stops(settings: Settings) -> list[int]:
    """Return the contexts a burst is decoded at, ascending.

    A walk's stops lie a constant factor apart, so that the short contexts a draft was trained on
    get as many as the long ones it was not.
    """
    if settings.workload == "generate" or settings.stops == 1:
        return [settings.context]
    first = min(FIRST_STOP, settings.context)
    factor = (settings.context / first) ** (1 / (settings.stops - 1))
    return sorted({round(first * factor**step) for step in range(settings.stops)})


def acceptance_in_force(settings: Settings) -> str:
    """Return the acceptance rule's name: `auto` is greedy at temperature 0, else rejection."""
    if settings.acceptance != "auto":
        return settings.acceptance
    return "greedy" if settings.temperature == 0 else "rejection"


def _spec(profile: Profile, varied: Mapping[str, str | int | float | bool | None]) -> RunSpec:
    merged = msgspec.to_builtins(profile.run) | dict(varied)
    try:
        settings = msgspec.convert(merged, Settings)
    except msgspec.ValidationError as trouble:
        title = f"profile {profile.name!r} sweeps a field to a wrong value: {trouble}"
        raise UsageError(title, "each value must be of the field's type") from trouble
    check(settings)
    written = repr(settings).encode("utf-8", "surrogateescape")  # a path may be no UTF-8
    number = hashlib.blake2b(written, digest_size=4).hexdigest()
    return RunSpec(id=number, profile=profile.name, settings=settings, varied=dict(varied))


def check(settings: Settings) -> None:
    """Refuse settings that no run can have, with what is allowed."""
    least = {
        "depth": 0,
        "context": 1,
        "stops": 1,
        "max_new_tokens": 1,
        "top_k": 0,
        "recheck_context": 0,
        "plain_steps": 0,
        "threads": 0,
        "seed": 0,
    }
    for field, bound in least.items():
        value = getattr(settings, field)
        if value < bound:
            raise UsageError(f"{_option(field)} is {value}", f"it must be at least {bound}")
    if settings.seed > LARGEST_SEED:
        raise UsageError(f"--seed is {settings.seed}", f"it must be at most {LARGEST_SEED}")
    if settings.temperature != 0 and not COLDEST <= settings.temperature <= HOTTEST:
        hint = f"it must be 0 (greedy), or from {COLDEST} to {HOTTEST}: softmax overflows beyond"
        raise UsageError(f"--temperature is {settings.temperature}", hint)
    if not 0 < settings.top_p <= 1:
        raise UsageError(f"--top-p is {settings.top_p}", "it must lie above 0 and at most at 1")
    if settings.acceptance == "greedy" and settings.temperature > 0:
        title = f"greedy acceptance was asked for at temperature {settings.temperature}"
        raise UsageError(title, "use temperature 0, or acceptance rejection")


def _checked(written: dict[str, object], path: Path) -> Profile:
    """Decode the profile; an unknown key is refused with the known ones, nearest first."""
    _refuse_unknown(written, Profile, path)
    for table in ("run", "sweep"):
        keys = written.get(table, {})
        if isinstance(keys, dict):
            _refuse_unknown(keys, Settings, path)
    try:
        return msgspec.convert({"name": path.stem} | written, Profile)
    except msgspec.ValidationError as trouble:
        raise UsageError(f"profile {path}: {trouble}", "correct the value's type") from trouble


def _refuse_unknown(keys: Mapping[str, object], known: type[msgspec.Struct], path: Path) -> None:
    fields = known.__struct_fields__
    for key in keys:
        if key not in fields:
            hint = f"known keys: {', '.join(nearest(key, fields))}"
            raise UsageError(f"profile {path} has an unknown key {key!r}", hint)


def _option(field: str) -> str:
    return "--" + field.replace("_", "-")
