"""Finds the line of a capture's file that holds the round a finding names.

A capture is JSON lines, so a round has a line number that an editor can open. This module reads the
file again as it is now. Where the file can't be read or lacks the round, a caller names the first
line, the header.
"""

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec

from specprof.capture import MAX_LINE_BYTES
from specprof.diagnosis.diagnose import Diagnosis
from specprof.findings import Finding
from specprof.reading import open_regular

HEADER_LINE = 1


class _Numbered(msgspec.Struct):
    event: str
    index: int = -1


_decoder = msgspec.json.Decoder(_Numbered)


def line_numbers(diagnosis: Diagnosis) -> dict[int, int]:
    """Return the line number, from 1, of the first round that shows each finding: round -> line."""
    wanted = [first_round(verdict.finding) for verdict in diagnosis.found if verdict.finding]
    return _number_rounds(Path(diagnosis.capture), {each for each in wanted if each is not None})


def first_round(finding: Finding) -> int | None:
    """Return the first round that shows a finding; None where it concerns the run as a whole."""
    if finding.where:
        return finding.where.round
    return finding.rounds[0] if finding.rounds else None


def _number_rounds(path: Path, wanted: Iterable[int]) -> dict[int, int]:
    left, found = set(wanted), dict[int, int]()
    with contextlib.ExitStack() as stack:
        try:
            file = stack.enter_context(open_regular(path))
        except OSError:
            return found
        for number, line in enumerate(_read_lines(file), start=1):
            if not left:
                break
            index = _round_index(line)
            if index in left:
                found[index] = number
                left.discard(index)
    return found


def _read_lines(file: BinaryIO) -> Iterator[bytes]:
    """Yield the lines that a file has now, up to the first one too long for a capture."""
    end = file.seek(0, os.SEEK_END)
    file.seek(0)
    while file.tell() < end and len(line := file.readline(MAX_LINE_BYTES)) < MAX_LINE_BYTES:
        yield line


def _round_index(line: bytes) -> int | None:
    """Return the index of the round in a line; None where the line holds no round."""
    try:
        numbered = _decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return numbered.index if numbered.event == "round" else None
