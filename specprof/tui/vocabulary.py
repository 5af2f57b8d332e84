"""The text of tokens, from a `tokenizer.json` on this machine; none found means ids are shown.

Knows where a capture's target may lie locally and how single tokens read; never goes to the
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


def vocabulary(header: Header) -> Callable[[int], str]:
    """Return what writes a token of the capture's target as text; ids where that isn't known."""
    found = next((path for path in places(header) if is_regular(path)), None)
    return ids_only if found is None else _reading(found)


def places(header: Header) -> list[Path]:
    """Return where the target's tokenizer might lie: the pocket family, or a checkpoint folder."""
    target = header.spec.settings.target
    if target.startswith(PREFIX):
        return [folder(target) / "tokenizer.json"] if target in members() else []
    return [Path(target) / "tokenizer.json"]


def _reading(path: Path) -> Callable[[int], str]:
    from tokenizers import Tokenizer

    try:
        written = read_text(path, LARGEST_TOKENIZER_BYTES)
        needed = None if find_trouble(written) else keep_decoder_only(written)
        if needed is None:
            return ids_only
        tokenizer = Tokenizer.from_str(needed)
    except STOPPED:
        raise
    except BaseException:  # noqa: BLE001 - for a broken file the package raises anything, or panics
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
    # A decoder drops the space a single piece starts with; here it is part of the text.
    return f" {decoded}" if piece.startswith(_WORD_START) and decoded[:1] != " " else decoded
