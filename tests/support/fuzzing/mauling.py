"""A strategy that changes a few places of a recorded capture at random."""

import json
from copy import deepcopy

from hypothesis import strategies as st

NUMBERS = [
    *(-1, 0, 1, 2, 3, 7, 255, 4096, 4097, 65_536, 10**6, 10**9, 10**15),
    *(2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**53, 2**53 + 1, 2**63 - 1, 2**63, 2**64, -(2**63)),
    *(-1.0, -1e-9, 0.5, 1.0000001, 1.5, 2.0, 1e15, 1e308, -1e308, 5e-324),
]
TEXTS = ["", "x" * 100_000, "~nosuchuser/m", "\x1b[31m[bold]x", "=1+1", "a\x00b", "\u202e"]
ODD = [None, True, False, [], {}, [[]], {"": None}]


class Lines(list):
    """A capture's lines, with a short `repr`."""

    def __repr__(self) -> str:
        return f"<{len(self)} lines>"


@st.composite
def maul(draw, recorded: list[list[dict]]) -> Lines:
    """Return the lines of one of the captures `recorded`, with one to three changes."""
    lines = deepcopy(draw(st.sampled_from(recorded)))
    for _ in range(draw(st.integers(1, 3))):
        draw(
            st.sampled_from(
                [
                    _change_number,
                    _change_number,
                    _change_any,
                    _change_list,
                    _change_line,
                    _change_field,
                    _change_every,
                ]
            )
        )(draw, lines)
    return Lines(lines)


def encode_lines(lines: list[dict]) -> bytes:
    """Return the lines as a file's bytes."""
    return b"".join(json.dumps(line).encode("utf-8", "replace") + b"\n" for line in lines)


def _change_number(draw, lines):
    place = _find_place(draw, draw(st.sampled_from(lines)), (int, float))
    if place:
        holder, key = place
        holder[key] = draw(st.sampled_from(NUMBERS))


def _change_any(draw, lines):
    place = _find_place(draw, draw(st.sampled_from(lines)), object)
    if place:
        holder, key = place
        holder[key] = draw(st.sampled_from([*NUMBERS, *TEXTS, *ODD]))


def _change_list(draw, lines):
    place = _find_place(draw, draw(st.sampled_from(lines)), list)
    if place:
        holder, key = place
        old, cut = holder[key], draw(st.integers(0, 3))
        kinds = ([], old[cut:], old[:-1], old * 2, old * draw(st.sampled_from([50, 3000])))
        holder[key] = deepcopy(draw(st.sampled_from(kinds)))


def _change_line(draw, lines):
    """Double, drop, move or swap lines, or reverse a stretch."""
    at, to = (draw(st.integers(0, len(lines) - 1)) for _ in range(2))
    way = draw(st.sampled_from(["double", "drop", "move", "swap", "reverse"]))
    if way == "double":
        lines.insert(to, deepcopy(lines[at]))
    elif way == "drop" and len(lines) > 2:
        del lines[at]
    elif way == "move":
        lines.insert(to, lines.pop(at))
    elif way == "swap":
        lines[at], lines[to] = lines[to], lines[at]
    else:
        lines[min(at, to) : max(at, to)] = lines[min(at, to) : max(at, to)][::-1]


def _change_field(draw, lines):
    """Drop a field, or exchange its values in two lines."""
    one, other = (draw(st.sampled_from(lines)) for _ in range(2))
    key = draw(st.sampled_from(sorted(one))) if one else None
    if key is None or key == "event":
        return
    if key in other and draw(st.booleans()):
        one[key], other[key] = other[key], one[key]
    else:
        del one[key]


def _change_every(draw, lines):
    """Give one field of every line of a kind one odd value."""
    chosen = draw(st.sampled_from(lines))
    keys = sorted(key for key in chosen if key != "event")
    if not keys or "event" not in chosen:
        return
    key, value = draw(st.sampled_from(keys)), draw(st.sampled_from([*NUMBERS, [], None]))
    for line in lines:
        if line.get("event") == chosen["event"]:
            line[key] = deepcopy(value)


def _find_place(draw, line, kind):
    """Return a container in a line, and a key in it whose value is of type `kind`."""
    found, waiting = [], [line]
    while waiting:
        holder = waiting.pop()
        pairs = holder.items() if isinstance(holder, dict) else enumerate(holder)
        for key, value in pairs:
            if isinstance(value, kind) and not (holder is line and key == "event"):
                found.append((holder, key))
            if isinstance(value, dict | list):
                waiting.append(value)
    return draw(st.sampled_from(found)) if found else None
