"""The embedded default family: a small target, two drafts of different size, one tokenizer.

Knows where the checkpoints lie; `corpus` knows their text, `recipe` how they were made.
"""

from pathlib import Path

from specprof.errors import UnknownName

PREFIX = "pocket/"


def members() -> list[str]:
    """Return the family's model names, as `--target` and `--draft` take them."""
    here = Path(__file__).parent
    return sorted(PREFIX + config.parent.name for config in here.glob("*/config.json"))


def folder(name: str) -> Path:
    """Return the checkpoint folder of a member such as `pocket/target`."""
    place = Path(__file__).parent / name.removeprefix(PREFIX)
    if not (place / "config.json").is_file():
        raise UnknownName("pocket model", name, members())
    return place
