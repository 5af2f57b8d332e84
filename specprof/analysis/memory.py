"""What the key-value caches hold, against what their tokens should take (theory 6.1).

Knows bytes and lengths. A cache that holds much more than its formula is not the cache's tokens:
it is room reserved ahead, copies, or entries that were never rolled back.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from specprof.analysis.columns import Columns, Floats

if TYPE_CHECKING:
    from specprof.records import ModelFacts

Role = Literal["target", "draft"]


@dataclass(frozen=True, slots=True)
class KVCache:
    """One model's cache at the end of the last round."""

    role: Role
    length: int
    """Tokens in it."""
    held_bytes: int
    bytes_per_token: int
    """By the model's shape: 2 * layers * kv heads * head size * bytes of a number."""

    @property
    def formula_bytes(self) -> int:
        """What its tokens take."""
        return self.length * self.bytes_per_token


def caches(columns: Columns) -> list[KVCache]:
    """Return the caches whose bytes, length and model shape were all recorded."""
    header, rounds, found = columns.header, columns.rounds, list[KVCache]()
    if header is None or not len(rounds):
        return found
    both: tuple[tuple[Role, ModelFacts | None, Floats, Floats], ...] = (
        ("target", header.target, rounds.target_length, rounds.target_kv_bytes),
        ("draft", header.draft, rounds.draft_length, rounds.draft_kv_bytes),
    )
    for role, facts, length, held in both:
        if facts is not None and not np.isnan(length[-1] + held[-1]):
            found.append(KVCache(role, int(length[-1]), int(held[-1]), facts.kv_bytes_per_token))
    return found
