"""What a number in a capture can be: types that bound it where its line is decoded.

A bound is what no engine can mean, or what would cost a reader memory or time. It is never what a
wrong engine may do: a bug must reach the rule that looks for it. Only decoding checks a bound;
making a record by hand does not.
"""

from typing import Annotated

from msgspec import Meta

MOST = 1 << 31
"""Of anything that is counted one by one: tokens, rounds, bursts, forward passes."""
MOST_EXACT = 1 << 53
"""The largest number up to which every whole number is exact as a float too."""
MOST_IDS = 1 << 32
"""Tokenizers hold ids in 32 bits."""
MOST_DRAFTED = 4096
"""Tokens of one round, of whatever engine; ours may be asked for fewer: `settings.MOST_NODES`."""
LARGEST_TOKENIZER_BYTES = 256 << 20
"""Of a checkpoint's tokenizer: the largest published ones have 35 MiB."""
LONGEST_NS = 24 * 3600 * 10**9
"""A round, a step, a span: a day, which a stopped process may well have slept."""
LONGEST_NAME = 256
"""Characters of a span's name."""
ROUNDING = 1e-3
"""By how much a probability that was computed may miss 0 or 1."""
OF_ONE_ROUND = Meta(max_length=MOST_DRAFTED)

Count = Annotated[int, Meta(ge=0, le=MOST)]
Width = Annotated[int, Meta(ge=0, le=MOST_DRAFTED)]
"""A number of drafted tokens, or the place of one."""
Above = Annotated[int, Meta(ge=-1, lt=MOST_DRAFTED)]
"""The place of a drafted token's parent; -1 is the last committed token."""
Token = Annotated[int, Meta(ge=0, lt=MOST_IDS)]
Tokens = Annotated[
    list[Annotated[int, Meta(ge=-MOST, lt=MOST_IDS)]], Meta(max_length=2 * MOST_DRAFTED)
]
"""Committed by one round. A wrong engine may commit more than it drafted, and negative ids, which
stood for rejected drafts."""
Slot = Annotated[int, Meta(ge=0, lt=2 * MOST_DRAFTED)]
"""The place of one of them."""
Positive = Annotated[int, Meta(ge=1, le=MOST)]
Flag = Annotated[int, Meta(ge=0, le=1)]
Size = Annotated[int, Meta(ge=0, le=MOST_EXACT)]
"""Bytes, parameters."""
Moment = Annotated[int, Meta(ge=0, le=MOST_EXACT)]
"""Nanoseconds since the start of the run; 104 days at most."""
Stretch = Annotated[int, Meta(ge=0, le=LONGEST_NS)]
"""Nanoseconds that something took."""
Share = Annotated[float, Meta(ge=-ROUNDING, le=1 + ROUNDING)]
"""A probability, a mass, a total variation."""
Nats = Annotated[float, Meta(ge=-1e9, le=1e9)]
"""Nats, logits, and their differences."""
Surprise = Annotated[float, Meta(ge=-ROUNDING, le=1e6)]
"""Nats a model is short of certain of a token. Half precision holds no two logits further apart
than 131,008; an engine whose logits run astray must still be read."""
Spread = Annotated[float, Meta(ge=-ROUNDING, le=1e18)]
"""A variance, in nats squared."""
Watts = Annotated[float, Meta(ge=0, le=1e9)]
Cost = Annotated[float, Meta(ge=0, le=LONGEST_NS)]
"""Nanoseconds, in the mean of many."""
Angles = Annotated[list[Annotated[float, Meta(ge=-1e9, le=1e9)]], Meta(max_length=1 << 16)]
"""Radians a position."""
Name = Annotated[str, Meta(max_length=LONGEST_NAME)]
