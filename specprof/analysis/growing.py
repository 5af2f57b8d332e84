"""Room for numbers that keep coming: one column of a table, of one type.

Views stay valid while a column grows, and keep the length they had. As long as all numbers are
alike the column is one of them, repeated: much of a capture is told of every round and never
changes, or was never recorded at all.
"""

import mmap
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROOM = 256
"""Numbers there is room for at first, once they differ."""
MAPPED_BYTES = 1 << 20
"""Room from this size on is asked of the system: the allocator would fill what it has used before
with zeros, and so take all of it at once."""


class Column:
    """Numbers appended in batches."""

    def __init__(self, dtype: type[np.generic]) -> None:
        self.shown: NDArray[Any] = np.empty(0, dtype)
        """All numbers so far, [rows]; not to be written to."""
        self._room: NDArray[Any] | None = None
        """None while all are alike."""

    def extend(self, values: NDArray[Any]) -> None:
        """Append these, [n], n > 0; they are converted to the column's type."""
        start, dtype = len(self.shown), self.shown.dtype
        values = values.astype(dtype, copy=False)
        rows = start + len(values)
        if self._room is None:
            one = self.shown[:1] if start else values[:1].copy()
            if _alike(values, one):
                self.shown = _repeated(one, rows)
                return
            self._room = fresh(max(ROOM, 2 * rows), dtype)
            self._room[:start] = one
        self._room = with_room(self._room, rows, start)
        self._room[start:rows] = values
        self.shown = self._room[:rows]


def with_room(room: NDArray[Any], rows: int, used: int) -> NDArray[Any]:
    """Return `room`, or a copy of its used part in twice the room needed, zero beyond it."""
    if rows <= len(room):
        return room
    grown = fresh(2 * rows, room.dtype)
    grown[:used] = room[:used]
    return grown


def fresh(rows: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return room for so many numbers, all zero; a long one takes memory only as it is filled."""
    size = rows * dtype.itemsize
    if size < MAPPED_BYTES:
        return np.zeros(rows, dtype)
    return np.frombuffer(mmap.mmap(-1, size, access=mmap.ACCESS_COPY), dtype)


def _repeated(one: NDArray[Any], rows: int) -> NDArray[Any]:
    """Return this one number so many times over, in no memory: a quick `numpy.broadcast_to`."""
    shown: NDArray[Any] = np.ndarray(rows, one.dtype, one.data, strides=(0,))
    shown.flags.writeable = False
    return shown


def _alike(values: NDArray[Any], one: NDArray[Any]) -> bool:
    """Whether all are this `one`, bit by bit: nan is like nan, and -0 not like 0."""
    bits = np.dtype(f"u{one.itemsize}")
    return bool((values.view(bits) == one.view(bits)).all())
