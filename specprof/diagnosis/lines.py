"""Where in a capture's file a finding shows: the line of the round it names.

A capture is JSON lines, so that a round has a line number an editor can open. Reads the file again
as it stands; where it can't be read, or the round isn't in it, the first line, the header, answers.
"""

from collections.abc import Iterable
from pathlib import Path

import msgspec

from specprof.capture import LONGEST_LINE
from specprof.diagnosis.diagnose import Diagnosis
from specprof.findings import Finding

HEADER = 1


class _Numbered(msgspec.Struct):
    event: str
    index: int = -1


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
    decoder = msgspec.json.Decoder(_Numbered)
    if not left or not path.is_file():
        return found
    with path.open("rb") as file:
        for number, line in enumerate(iter(lambda: file.readline(LONGEST_LINE), b""), start=1):
            try:
                one = decoder.decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                continue
            if one.event == "round" and one.index in left:
                found[one.index] = number
                left.discard(one.index)
            if not left:
                break
    return found
