"""Where a model lies: a member of the pocket family, a folder here, or an id of the hub.

A name of something that lies here is never sought on the hub, and the hub is asked once, briefly.
"""

import os
from pathlib import Path
from typing import Literal

from specprof import pocket
from specprof.errors import EnvironmentMissing, summarise_error

REACHED_IN_S = 5.0
"""The hub answers within this, or isn't there: its client would try six times, over 23 s."""
Kind = Literal["model", "head"]
ASKED: dict[Kind, str] = {
    "model": "give a Hugging Face id, a checkpoint folder with safetensors, or one of: ",
    "head": "give a Hugging Face id of an EAGLE or EAGLE-3 head, a folder that holds one, or: ",
}


def place_of(name: str, kind: Kind = "model") -> Path | str:
    """Return the folder a name means, or the id where it can only be the hub's.

    Loads nothing. Raises UnknownName for a misspelt pocket member, EnvironmentMissing where it
    names something here that is no folder, or a place where nothing is.
    """
    if name.startswith(pocket.PREFIX):
        return pocket.folder(name)
    path = os.path.expanduser(name)  # noqa: PTH111 - Path's raises for a user nobody knows
    if name.strip() and os.path.isdir(path):  # noqa: PTH112 - Path's raises for a name too long
        return Path(path)
    if name.strip() and os.path.lexists(path):
        raise _refused(kind, name, "it is no folder", "give the folder that holds config.json")
    if not _may_be_an_id(name):
        raise _refused(kind, name, "there is no such folder", known(kind))
    return name  # also where a folder here is called like its owner: what is sought isn't in it


def trouble_with_hub(name: str) -> str | None:
    """Return why the hub can't be asked for `name`; None: it answered, whatever it said."""
    from huggingface_hub import HfApi, constants
    from huggingface_hub.errors import HfHubHTTPError

    if constants.HF_HUB_OFFLINE:
        return "HF_HUB_OFFLINE is set"
    try:
        HfApi().model_info(name, timeout=REACHED_IN_S)
    except HfHubHTTPError:  # what it says of the files is told to whoever asks for them
        return None
    except Exception as trouble:  # noqa: BLE001 - whatever the client's transport calls its errors
        return summarise_error(trouble, (Exception,))
    return None


def unreached(name: str, trouble: str, kind: Kind = "model") -> EnvironmentMissing:
    """Return the error of an id that is nowhere here while the hub can't be asked."""
    owner = name.partition("/")[0]
    here = owner != name and os.path.isdir(owner)  # noqa: PTH112
    absent = f"there is no such folder in {owner!r}" if here else "it is no folder here"
    found = f"{absent}, and no hub was reached: {trouble}"
    return _refused(kind, name, found, known(kind))


def known(kind: Kind = "model") -> str:
    """Return what can be given, as a hint."""
    return ASKED[kind] + ", ".join(pocket.heads() if kind == "head" else pocket.members())


def _may_be_an_id(name: str) -> bool:
    """Whether a name could be an id of the hub: NAME or ORG/NAME, and no way to a file here."""
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    if not name.isascii() or name[:1] in ("", ".", "~", "/"):
        return False
    try:
        validate_repo_id(name)
    except HFValidationError:
        return False
    return True


def _refused(kind: Kind, name: str, found: str, hint: str) -> EnvironmentMissing:
    return EnvironmentMissing(f"can't load {kind} {name!r}: {found}", hint)
