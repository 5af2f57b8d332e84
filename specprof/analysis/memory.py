"""What the key-value caches hold, against what their tokens should take (theory 6.1).

Knows bytes and lengths. A cache that holds much more than its formula is not the cache's tokens:
it is room reserved ahead, copies, or entries that were never rolled back.
"""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from specprof.analysis.columns import Columns
from specprof.analysis.tables import Passes, Rounds

if TYPE_CHECKING:
    from specprof.records import ModelFacts

Role = Literal["target", "draft"]
OF = ("length", "kv_bytes", "evicted")


@dataclass(frozen=True, slots=True)
class KVCache:
    """One model's cache at the end of the last round, or pass over known text."""

    role: Role
    length: int
    """Tokens in it, those it dropped since included."""
    evicted: int
    """Tokens it dropped."""
    held_bytes: int
    bytes_per_token: int
    """By the model's shape: 2 * layers * kv heads * head size * bytes of a number."""

    @property
    def formula_bytes(self) -> int:
        """What its tokens take."""
        return (self.length - self.evicted) * self.bytes_per_token


def caches(columns: Columns) -> list[KVCache]:
    """Return the caches whose bytes, length and model shape were all recorded."""
    header, found = columns.header, list[KVCache]()
    held = columns.rounds if len(columns.rounds) else columns.passes
    if header is None or not len(held):
        return found
    both: tuple[tuple[Role, ModelFacts | None], ...] = (
        ("target", header.target),
        ("draft", header.draft),
    )
    for role, facts in both:
        length, bytes_, evicted = (_last(held, f"{role}_{of}") for of in OF)
        if facts is not None and not math.isnan(length + bytes_):
            dropped = 0 if math.isnan(evicted) else int(evicted)
            each = KVCache(role, int(length), dropped, int(bytes_), facts.kv_bytes_per_token)
            found.append(each)
    return found


def _last(table: Rounds | Passes, name: str) -> float:
    return float(getattr(table, name, [math.nan])[-1])
