"""The bounds of the numbers in a capture, as types: decoding a line checks them.

A number is out of bounds if no engine can mean it, or if it would cost a reader memory or time. A
number that a faulty engine may produce is in bounds: a bug must reach the rule that looks for it.
Only decoding checks the bounds. Code that makes a record itself is not checked.
"""

from typing import Annotated

from msgspec import Meta

MAX_COUNT = 1 << 31
"""The largest count of tokens, rounds, bursts or forward passes."""
MOST_EXACT = 1 << 53
"""Up to here a float holds every whole number exactly."""
MOST_IDS = 1 << 32
"""Tokenizers hold token ids in 32 bits."""
MOST_DRAFTED = 4096
"""Tokens that any engine may draft in a round. specprof drafts fewer: `settings.MOST_NODES`."""
LARGEST_TOKENIZER_BYTES = 256 << 20
"""The largest tokenizer file that is read. The largest published ones have 35 MiB."""
LONGEST_NS = 24 * 3600 * 10**9
"""The longest round, step or span: a day, because a suspended process may sleep that long."""
MAX_NAME_CHARS = 256
"""Characters of a span's name."""
MAX_ROUNDING_ERROR = 1e-3
"""How far rounding may take a probability below 0 or above 1."""
OF_ONE_ROUND = Meta(max_length=MOST_DRAFTED)

Count = Annotated[int, Meta(ge=0, le=MAX_COUNT)]
Width = Annotated[int, Meta(ge=0, le=MOST_DRAFTED)]
"""A number of drafted tokens, or the place of one."""
ParentIndex = Annotated[int, Meta(ge=-1, lt=MOST_DRAFTED)]
"""The place of a drafted token's parent; -1 is the last committed token."""
Token = Annotated[int, Meta(ge=0, lt=MOST_IDS)]
Tokens = Annotated[
    list[Annotated[int, Meta(ge=-MAX_COUNT, lt=MOST_IDS)]], Meta(max_length=2 * MOST_DRAFTED)
]
"""Tokens committed by a round. A faulty engine may commit more than it drafted. It may also commit
negative ids, with which it marks rejected drafts."""
Slot = Annotated[int, Meta(ge=0, lt=2 * MOST_DRAFTED)]
"""The index of a token in `Tokens`."""
Positive = Annotated[int, Meta(ge=1, le=MAX_COUNT)]
Flag = Annotated[int, Meta(ge=0, le=1)]
Size = Annotated[int, Meta(ge=0, le=MOST_EXACT)]
"""A number of bytes or of parameters."""
Moment = Annotated[int, Meta(ge=0, le=MOST_EXACT)]
"""Nanoseconds since the start of the run; 104 days at most."""
Duration = Annotated[int, Meta(ge=0, le=LONGEST_NS)]
"""A duration in nanoseconds."""
Share = Annotated[float, Meta(ge=-MAX_ROUNDING_ERROR, le=1 + MAX_ROUNDING_ERROR)]
"""A probability, a mass, a total variation."""
Nats = Annotated[float, Meta(ge=-1e9, le=1e9)]
"""Nats, logits, and their differences."""
Nll = Annotated[float, Meta(ge=-MAX_ROUNDING_ERROR, le=1e6)]
"""A negative log-likelihood in nats. Two logits in half precision differ by 131,008 at most. The
bound is higher, so that an engine with wild logits can still be read."""
Variance = Annotated[float, Meta(ge=-MAX_ROUNDING_ERROR, le=1e18)]
"""A variance, in nats squared."""
Watts = Annotated[float, Meta(ge=0, le=1e9)]
Cost = Annotated[float, Meta(ge=0, le=LONGEST_NS)]
"""A mean duration in nanoseconds."""
Angles = Annotated[list[Annotated[float, Meta(ge=-1e9, le=1e9)]], Meta(max_length=1 << 16)]
"""Radians per position."""
Name = Annotated[str, Meta(max_length=MAX_NAME_CHARS)]
