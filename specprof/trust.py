"""What settings from a file may ask for, and what the user must allow by an option.

Knows settings, the embedded models and the named texts; nothing of how a run is made. A file is
data: it never chooses code to run, a model to load, or a file to read. `docs/trust.md` has all the
rules.
"""

import os
import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from specprof import pocket
from specprof.engine.setup.text import NAMED_TEXTS
from specprof.errors import UsageError
from specprof.limits import refuse_empty_names
from specprof.plain import brief
from specprof.settings import RunSpec, Settings

MAX_SHOWN_CHARS = 200
"""Characters of a name in a message: a file may hold a name of a megabyte."""
CODE_OPTION = "--trust-remote-code"
HUB_NAME = re.compile(r"\w[\w.-]{0,95}(/\w[\w.-]{0,95})?").fullmatch
"""Matches the name of a dataset on the Hugging Face hub: NAME or OWNER/NAME."""


@dataclass(frozen=True, slots=True)
class Allowed:
    """What the user allowed by an option."""

    names: frozenset[str] = frozenset()
    """Models, texts and datasets that may be loaded, as the file writes them."""
    code: bool = False
    """Whether a model's own code may run."""

    @classmethod
    def by(cls, settings: Settings) -> Self:
        """Return what a run of the user's own is allowed: all that its settings ask for."""
        return cls(frozenset(_named_sources(settings)), settings.trust_remote_code)


def check(file: str | Path, asked: Iterable[Settings], allowed: Allowed) -> None:
    """Refuse, with UsageError, settings out of a file that ask for more than the user allowed."""
    asked = list(asked)
    for settings in asked:  # an empty name can't be given to `--allow`
        refuse_empty_names(settings)
    wanted, code = _collect_wanted(asked)
    rest = {name: kind for name, kind in wanted.items() if name not in allowed.names}
    _refuse(file, rest, [] if allowed.code else code)


def check_profile(file: Path | None, specs: Sequence[RunSpec], allowed: Allowed) -> None:
    """Refuse, with UsageError, a profile that asks for code, or for a file that isn't beside it.

    Its models and its datasets on the hub need no option: the user runs the profile for them.
    `file` is None for a profile that specprof ships.
    """
    wanted, code = _collect_wanted(spec.settings for spec in specs)
    places = {spec.settings.text for spec in specs} | {
        each.settings.dataset for each in specs if _may_be_path(each.settings.dataset or "")
    }
    rest = {
        name: kind
        for name, kind in wanted.items()
        if kind != "model" and name in places and name not in allowed.names
        if not _is_beside(file, name.partition(":")[0] if kind == "dataset" else name)
    }
    _refuse(file or specs[0].profile, rest, [] if allowed.code else code)


def list_allow_options(asked: Iterable[Settings]) -> list[str]:
    """Return the options that allow all that these settings ask for; embedded models need none."""
    wanted, code = _collect_wanted(asked)
    return [*(_allow_option(name) for name in wanted), *([CODE_OPTION] if code else [])]


def _refuse(file: str | Path, names: dict[str, str], code: Sequence[str]) -> None:
    """Refuse, with UsageError, the names and the models' own code that a file asks for, if any."""
    if not names and not code:
        return
    asked = [f"the {kind} {_show_name(name)}" for name, kind in names.items()]
    asked += [f"running the own code of {' and '.join(map(_show_name, code))}"] if code else []
    title = f"{file} asks for {', '.join(asked)}; a file alone can't allow that"
    typed = [*(_allow_option(name) for name in names), *([CODE_OPTION] if code else [])]
    raise UsageError(title, f"if you trust them, add to the command: {' '.join(typed)}")


def _collect_wanted(asked: Iterable[Settings]) -> tuple[dict[str, str], list[str]]:
    """Return name -> kind of all that isn't part of specprof, and the models whose code may run.

    Embedded models have no code. If settings with `trust_remote_code` name only embedded models,
    their target is returned, so that the request is still refused.
    """
    names, code = dict[str, str](), dict[str, None]()
    for settings in asked:
        named = _named_sources(settings)
        names |= named
        if settings.trust_remote_code:
            models = [name for name, kind in named.items() if kind == "model"]
            code |= dict.fromkeys(models or [settings.target])
    return names, list(code)


def _named_sources(settings: Settings) -> dict[str, str]:
    embedded = {*pocket.members(), *pocket.heads()}
    names = {name: "model" for name in (settings.target, settings.draft) if name}
    return {
        **{name: kind for name, kind in names.items() if name not in embedded},
        **({settings.text: "text"} if settings.text and settings.text not in NAMED_TEXTS else {}),
        **({settings.dataset: "dataset"} if settings.dataset else {}),
    }


def _may_be_path(dataset: str) -> bool:
    """Return whether a dataset, NAME[:CONFIG], may be a path on this machine, not a hub's name."""
    name = dataset.partition(":")[0]
    if not HUB_NAME(name):
        return True
    return os.path.lexists(name)


def _is_beside(file: Path | None, name: str) -> bool:
    """Return whether a path leads into the profile's own folder, and to nothing hidden."""
    if file is None:
        return False
    try:
        inside = Path(name).resolve().relative_to(file.resolve().parent)
    except (OSError, ValueError, RuntimeError):  # it lies elsewhere, or is no path at all
        return False
    return not any(part.startswith(".") for part in inside.parts)


def _allow_option(name: str) -> str:
    return shlex.quote(f"--allow={name[:MAX_SHOWN_CHARS]}")


def _show_name(name: str) -> str:
    return repr(brief(name, MAX_SHOWN_CHARS))
