"""The bytes that the key-value caches hold, against the bytes of their tokens (theory 6.1).

Knows bytes and lengths. Bytes far above the formula are not the cache's tokens: they are room
reserved ahead, copies, or entries that were never rolled back.
"""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from specprof.analysis.columns import Columns
from specprof.analysis.tables import Passes, Rounds

if TYPE_CHECKING:
    from specprof.records import ModelFacts

Role = Literal["target", "draft"]
CACHE_FIELDS = ("length", "kv_bytes", "evicted")


@dataclass(frozen=True, slots=True)
class KVCache:
    """One model's cache at the end of the last round, or of the last pass over known text."""

    role: Role
    length: int
    """Tokens fed to the cache, including the tokens it dropped later."""
    evicted: int
    """Tokens that the cache dropped."""
    held_bytes: int
    bytes_per_token: int
    """From the model's shape: 2 * layers * kv heads * head size * bytes of a number."""

    @property
    def formula_bytes(self) -> int:
        """The bytes that the cache's tokens need."""
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
        length, bytes_, evicted = (_last_value(held, f"{role}_{of}") for of in CACHE_FIELDS)
        if facts is not None and not math.isnan(length + bytes_):
            dropped = 0 if math.isnan(evicted) else int(evicted)
            each = KVCache(role, int(length), dropped, int(bytes_), facts.kv_bytes_per_token)
            found.append(each)
    return found


def _last_value(table: Rounds | Passes, name: str) -> float:
    return float(getattr(table, name, [math.nan])[-1])
