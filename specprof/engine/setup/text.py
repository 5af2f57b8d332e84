"""Where the tokens come from: a named text, a file, or a Hugging Face dataset.

Named texts are made on the spot. Each differs in its own way from what the pocket family knows. A
file that has such a name is read if its path is written `./NAME`.
"""

import hashlib
import random
import string
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from pydoc_data import topics
from typing import Any

from specprof.engine.setup.tokens import token_ids
from specprof.errors import EnvironmentMissing, UsageError, summarise_error
from specprof.pocket.corpus import held_out_text
from specprof.reading import read_text
from specprof.settings import Settings

MAX_TEXT_BYTES = 256 << 20
"""The tokens of a text take some eight times as much memory."""


def document(settings: Settings) -> tuple[str, str]:
    """Return the text to decode, and its source with its SHA-256."""
    if settings.text and settings.dataset:
        raise UsageError("--text and --dataset both name a text", "give one of them")
    if settings.text in NAMED_TEXTS:
        make, origin = NAMED_TEXTS[settings.text]
        text, source = make(), f"{settings.text}: {origin}"
    elif settings.text:
        text, source = _read_file(Path(settings.text)), settings.text
    elif settings.dataset:
        text, source = (
            _read_dataset(settings.dataset, settings.context * settings.batch),
            settings.dataset,
        )
    else:
        text, source = held_out_text(), "Python standard library, held-out modules"
    return text, f"{source}; sha256 {hashlib.sha256(text.encode()).hexdigest()[:16]}"


def _make_prose() -> str:
    """Return the standard library's language reference: English that no pocket model trained on."""
    return "\n\n".join(text for _, text in sorted(topics.topics.items()))


def _make_repetition() -> str:
    """Return a few lines over and over, as text that loops."""
    return REPEATED_LINES * 4000


def _make_reversed() -> str:
    """Return the held-out document from its last letter to its first."""
    return held_out_text()[::-1]


def _make_random() -> str:
    """Return letters drawn evenly, from a fixed seed."""
    letters = string.ascii_letters + string.digits + string.punctuation + " \n"
    return "".join(random.Random(0).choices(letters, k=200_000))


REPEATED_LINES = """\
def area(width, height):
    return width * height

"""
DATASET_BUILDERS = frozenset(
    {"arrow", "audiofolder", "cache", "csv", "eval", "generator", "hdf5", "imagefolder", "json"}
    | {"lance", "niftifolder", "pandas", "parquet", "pdffolder", "spark", "sql", "text"}
    | {"videofolder", "webdataset", "xml"}
)
"""Names that `datasets` takes for readers of local files: one unpickles, others run code."""
NAMED_TEXTS: dict[str, tuple[Callable[[], str], str]] = {
    "prose": (_make_prose, "Python standard library, pydoc topics"),
    "repetition": (_make_repetition, "a function of two lines, over and over"),
    "reversed": (_make_reversed, "Python standard library, held-out modules, backwards"),
    "random": (_make_random, "letters drawn evenly"),
}
"""Texts that are no files: the function that makes each, and its origin."""


def encode(tokenizer: Any, text: str, count: int) -> list[int]:  # noqa: ANN401 - transformers is untyped
    """Return the first `count` tokens of `text`; refuse a text too short for them."""
    return stretches(tokenizer, text, count, 1)[0]


def stretches(tokenizer: Any, text: str, count: int, batch: int) -> list[list[int]]:  # noqa: ANN401
    """Return `count` tokens of `text` for each sequence, at starts spread evenly over the text."""
    tokens = _tokens(tokenizer, text)
    if len(tokens) < count:
        title = f"a context of {count} tokens was asked for; the text has {len(tokens)}"
        less = f"use --context {len(tokens)} or less, or " if tokens else "use "
        raise UsageError(title, f"{less}a longer --text")
    apart = (len(tokens) - count) // max(1, batch - 1)
    if batch > 1 and not apart:
        title = f"{batch} different stretches of {count} tokens were asked of a text of "
        title += f"{len(tokens)}"
        raise UsageError(title, f"use --context {len(tokens) - batch + 1} or less, or batch 1")
    return [tokens[start : start + count] for start in range(0, apart * batch or 1, apart or 1)]


@lru_cache(maxsize=2)
def _tokens(tokenizer: Any, text: str) -> list[int]:  # noqa: ANN401
    """Return the text's tokens; the cells of a sweep share one text, half a second's work."""
    found: list[int] = token_ids(tokenizer, text)
    return found


def _read_file(path: Path) -> str:
    try:
        return read_text(path, MAX_TEXT_BYTES)
    except (OSError, UnicodeDecodeError) as trouble:
        hint = f"give a UTF-8 text file, or one of: {', '.join(NAMED_TEXTS)}"
        reason = trouble.strerror if isinstance(trouble, OSError) else trouble
        raise UsageError(f"can't read --text {path}: {reason}", hint) from trouble


def _read_dataset(name: str, context: int) -> str:
    """Join rows of the dataset's text column until they surely hold `context` tokens."""
    path, _, config = name.partition(":")
    if path in DATASET_BUILDERS:
        title = f"--dataset {path} is no dataset: it would read the files in this folder"
        raise UsageError(title, "give a dataset's name, OWNER/NAME; or a file with --text")
    try:
        from datasets import load_dataset
    except ImportError as trouble:
        hint = "install it with: pip install 'specprof[datasets]'"
        raise EnvironmentMissing("--dataset needs the package datasets", hint) from trouble
    wanted, texts = 16 * context, list[str]()
    try:
        for row in load_dataset(path, config or None, split="test", streaming=True):
            texts.append(_text_of(row, name))
            if sum(map(len, texts)) >= wanted:
                break
    except (OSError, ValueError, RuntimeError) as trouble:
        hint = "check the name (name[:config]) and the network, or use --text FILE"
        reason = summarise_error(trouble, (Exception,))
        raise EnvironmentMissing(f"can't read dataset {name!r}: {reason}", hint) from trouble
    return "\n\n".join(texts)


def _text_of(row: dict[str, object], name: str) -> str:
    for column in ("text", "content", "book_text"):
        value = row.get(column)
        if isinstance(value, str):
            return value
    title = f"dataset {name!r} has no text column; it has {', '.join(row)}"
    raise UsageError(title, "choose a dataset with a column called text")
