"""The embedded default family: a small target, two drafts of different size, a head, one tokenizer.

This module finds the checkpoints; `corpus` has their text, and `recipe` makes them.
"""

from pathlib import Path

from specprof.errors import UnknownName

PREFIX = "pocket/"


HEADS = ("eagle",)


def members() -> list[str]:
    """Return the family's language models, as `--target` and `--draft` take them."""
    return sorted(set(_folders()) - set(heads()))


def heads() -> list[str]:
    """Return the family's heads, as `--draft` takes them with the drafter `eagle`."""
    return [PREFIX + name for name in HEADS]


def folder(name: str) -> Path:
    """Return the checkpoint folder of a member such as `pocket/target`."""
    if name not in _folders():  # no path: `pocket/../x` and `pocket//x` would lead elsewhere
        raise UnknownName("pocket model", name, _folders())
    return Path(__file__).parent / name.removeprefix(PREFIX)


def _folders() -> list[str]:
    here = Path(__file__).parent
    return sorted(PREFIX + config.parent.name for config in here.glob("*/config.json"))
