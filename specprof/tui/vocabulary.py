"""The text of tokens, from a `tokenizer.json` on this machine; without that file ids are shown.

Knows where a capture's target may be stored locally and how to write single tokens. Never uses the
network and never loads a model.
"""

from collections.abc import Callable
from pathlib import Path

from specprof.amounts import LARGEST_TOKENIZER_BYTES, MOST_IDS
from specprof.errors import STOPPED
from specprof.pocket import PREFIX, folder, members
from specprof.reading import is_regular, read_text
from specprof.records import Header
from specprof.tokenizer_file import find_trouble, keep_decoder_only
from specprof.tui.snapshot import ids_only

_WORD_START = "▁"  # how SentencePiece writes a leading space


def load_vocabulary(header: Header) -> Callable[[int], str]:
    """Return a function from a token of the capture's target to its text, or to its id."""
    found = next((path for path in tokenizer_paths(header) if is_regular(path)), None)
    return ids_only if found is None else _load_decoder(found)


def tokenizer_paths(header: Header) -> list[Path]:
    """Return where the target's tokenizer may be: in the pocket family or a checkpoint folder."""
    target = header.spec.settings.target
    if target.startswith(PREFIX):
        return [folder(target) / "tokenizer.json"] if target in members() else []
    return [Path(target) / "tokenizer.json"]


def _load_decoder(path: Path) -> Callable[[int], str]:
    from tokenizers import Tokenizer

    try:
        written = read_text(path, LARGEST_TOKENIZER_BYTES)
        needed = None if find_trouble(written) else keep_decoder_only(written)
        if needed is None:
            return ids_only
        tokenizer = Tokenizer.from_str(needed)
    except STOPPED:
        raise
    except BaseException:  # noqa: BLE001 - for a broken file the package raises any error, or panics
        return ids_only
    known: dict[int, str] = {}

    def text(token: int) -> str:
        if token not in known:
            piece = tokenizer.id_to_token(token) if 0 <= token < MOST_IDS else None
            try:
                known[token] = _text(piece, tokenizer.decode, token)
            except STOPPED:
                raise
            except BaseException:  # noqa: BLE001 - a panic of the package is no Exception
                known[token] = ids_only(token)
        return known[token]

    return text


def _text(piece: str | None, decode: Callable[..., str], token: int) -> str:
    if piece is None:
        return ids_only(token)
    decoded = decode([token], skip_special_tokens=False)
    # A decoder drops the leading space of a single piece; here the space is part of the text.
    return f" {decoded}" if piece.startswith(_WORD_START) and decoded[:1] != " " else decoded
