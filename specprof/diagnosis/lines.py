"""Where in a capture's file a finding shows: the line of the round it names.

A capture is JSON lines, so that a round has a line number an editor can open. Reads the file again
as it stands; where it can't be read, or the round isn't in it, the first line, the header, answers.
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

HEADER = 1


class _Numbered(msgspec.Struct):
    event: str
    index: int = -1


_decoder = msgspec.json.Decoder(_Numbered)


def lines(diagnosis: Diagnosis) -> dict[int, int]:
    """Return the line, from 1, of each round that a finding of the diagnosis shows at first."""
    wanted = [first_round(verdict.finding) for verdict in diagnosis.found if verdict.finding]
    return _found(Path(diagnosis.capture), {each for each in wanted if each is not None})


def first_round(finding: Finding) -> int | None:
    """Return the round a finding shows at first; None where it is of the run as a whole."""
    if finding.where:
        return finding.where.round
    return finding.rounds[0] if finding.rounds else None


def _found(path: Path, wanted: Iterable[int]) -> dict[int, int]:
    left, found = set(wanted), dict[int, int]()
    with contextlib.ExitStack() as stack:
        try:
            file = stack.enter_context(open_regular(path))
        except OSError:
            return found
        for number, line in enumerate(_whole(file), start=1):
            if not left:
                break
            index = _round(line)
            if index in left:
                found[index] = number
                left.discard(index)
    return found


def _whole(file: BinaryIO) -> Iterator[bytes]:
    """Yield the lines a file has by now, up to one that no capture's reader takes."""
    end = file.seek(0, os.SEEK_END)
    file.seek(0)
    while file.tell() < end and len(line := file.readline(MAX_LINE_BYTES)) < MAX_LINE_BYTES:
        yield line


def _round(line: bytes) -> int | None:
    """Return the index of the round in a line; None where it holds another event, or none."""
    try:
        one = _decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return one.index if one.event == "round" else None
