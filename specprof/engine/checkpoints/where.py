"""Find where a model is: in the pocket family, in a local folder, or on the hub.

A name that exists locally is never looked up on the hub. The hub is asked once, for a short time.
"""

import os
from pathlib import Path
from typing import Literal

from specprof import pocket
from specprof.errors import EnvironmentMissing, summarise_error

HUB_TIMEOUT_S = 5.0
"""Time for the hub's answer; its own client would try six times, over 23 s."""
Kind = Literal["model", "head"]
USAGE_HINTS: dict[Kind, str] = {
    "model": "give a Hugging Face id, a checkpoint folder with safetensors, or one of: ",
    "head": "give a Hugging Face id of an EAGLE or EAGLE-3 head, a folder that holds one, or: ",
}


def place_of(name: str, kind: Kind = "model") -> Path | str:
    """Return the folder that a name means, or the name itself if only the hub can have it.

    Loads nothing. Raises UnknownName for a misspelt pocket member, EnvironmentMissing if the name
    is a local file, or can be neither a folder nor an id.
    """
    if name.startswith(pocket.PREFIX):
        return pocket.folder(name)
    path = os.path.expanduser(name)  # noqa: PTH111 - Path's raises for an unknown user
    if name.strip() and os.path.isdir(path):  # noqa: PTH112 - Path's raises for a name too long
        return Path(path)
    if name.strip() and os.path.lexists(path):
        raise _refusal(kind, name, "it is no folder", "give the folder that holds config.json")
    if not _may_be_an_id(name):
        raise _refusal(kind, name, "there is no such folder", usage_hint(kind))
    return name  # a local folder may have the owner's name, but it doesn't hold the model


def trouble_with_hub(name: str) -> str | None:
    """Return why the hub can't be asked for `name`; None if it answered, even with an error."""
    from huggingface_hub import HfApi, constants
    from huggingface_hub.errors import HfHubHTTPError

    if constants.HF_HUB_OFFLINE:
        return "HF_HUB_OFFLINE is set"
    try:
        HfApi().model_info(name, timeout=HUB_TIMEOUT_S)
    except HfHubHTTPError:  # the request for a file will report the error
        return None
    except Exception as trouble:  # noqa: BLE001 - the client's transport may raise any error
        return summarise_error(trouble, (Exception,))
    return None


def unreached_error(name: str, trouble: str, kind: Kind = "model") -> EnvironmentMissing:
    """Return the error for an id that has no local files while the hub can't be asked."""
    owner = name.partition("/")[0]
    here = owner != name and os.path.isdir(owner)  # noqa: PTH112
    absent = f"there is no such folder in {owner!r}" if here else "it is no local folder"
    found = f"{absent}, and the hub can't be reached: {trouble}"
    return _refusal(kind, name, found, usage_hint(kind))


def usage_hint(kind: Kind = "model") -> str:
    """Return a hint that lists what can be given."""
    return USAGE_HINTS[kind] + ", ".join(pocket.heads() if kind == "head" else pocket.members())


def _may_be_an_id(name: str) -> bool:
    """Whether a name could be an id of the hub: NAME or ORG/NAME, and no path."""
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    if not name.isascii() or name[:1] in ("", ".", "~", "/"):
        return False
    try:
        validate_repo_id(name)
    except HFValidationError:
        return False
    return True


def _refusal(kind: Kind, name: str, found: str, hint: str) -> EnvironmentMissing:
    return EnvironmentMissing(f"can't load {kind} {name!r}: {found}", hint)
