"""Room for numbers that keep coming: one column of a table, of one type.

Views stay valid while a column grows, and keep their length. As long as all numbers are equal the
column stores one number and repeats it: many fields never change over a capture, or were never
recorded.
"""

import mmap
from typing import Any

import numpy as np
from numpy.typing import NDArray

INITIAL_ROWS = 256
"""Room of a column whose numbers begin to differ."""
MAPPED_BYTES = 1 << 20
"""Room from this size on is mapped by the system. The allocator would fill memory it has used
before with zeros, and so take all of it at once."""


class Column:
    """Numbers appended in batches."""

    def __init__(self, dtype: type[np.generic]) -> None:
        self.shown: NDArray[Any] = np.empty(0, dtype)
        """All numbers so far, [rows]; don't write to it."""
        self._room: NDArray[Any] | None = None
        """None while all numbers are equal."""

    def extend(self, values: NDArray[Any]) -> None:
        """Append these numbers, [n], n > 0, converted to the column's type."""
        start, dtype = len(self.shown), self.shown.dtype
        values = values.astype(dtype, copy=False)
        rows = start + len(values)
        if self._room is None:
            one = self.shown[:1] if start else values[:1].copy()
            if _are_alike(values, one):
                self.shown = _repeat_number(one, rows)
                return
            self._room = allocate_room(max(INITIAL_ROWS, 2 * rows), dtype)
            self._room[:start] = one
        self._room = ensure_room(self._room, rows, start)
        self._room[start:rows] = values
        self.shown = self._room[:rows]


def ensure_room(room: NDArray[Any], rows: int, used: int) -> NDArray[Any]:
    """Return `room` if it has enough rows, else a copy of its used rows in twice that room."""
    if rows <= len(room):
        return room
    grown = allocate_room(2 * rows, room.dtype)
    grown[:used] = room[:used]
    return grown


def allocate_room(rows: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return room for `rows` numbers, all zero. Long room takes memory only as it is filled."""
    size = rows * dtype.itemsize
    if size < MAPPED_BYTES:
        return np.zeros(rows, dtype)
    return np.frombuffer(mmap.mmap(-1, size, access=mmap.ACCESS_COPY), dtype)


def _repeat_number(one: NDArray[Any], rows: int) -> NDArray[Any]:
    """Return this number `rows` times without copies; faster than `numpy.broadcast_to`."""
    shown: NDArray[Any] = np.ndarray(rows, one.dtype, one.data, strides=(0,))
    shown.flags.writeable = False
    return shown


def _are_alike(values: NDArray[Any], one: NDArray[Any]) -> bool:
    """Whether all values equal `one` bit by bit: nan equals nan, and -0 differs from 0."""
    bits = np.dtype(f"u{one.itemsize}")
    return bool((values.view(bits) == one.view(bits)).all())
