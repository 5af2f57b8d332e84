"""The time of one forward pass, and its floor: the bytes that it must read over bandwidth."""

import numpy as np
import torch

from specprof.analysis.comparison import Figure
from specprof.analysis.paired_timing import median
from specprof.engine.decoder import Decoder
from specprof.engine.instruments.bout import synchronise
from specprof.engine.instruments.machine import bandwidth
from specprof.engine.instruments.stopwatch import Clock, clock_for
from specprof.engine.replay.model import ReplayedModel
from specprof.engine.setup.loading import Loaded

WARMUP_PASSES = 3
"""Passes that are not counted."""
COPY_BYTES = 2**31
"""Bytes of the copy that measures bandwidth: so many that its start costs nothing in comparison."""
COPY_REPEATS = 10


def time_pass(decoder: Decoder, width: int, repeats: int) -> Figure | None:
    """Return the milliseconds of a pass over `width` tokens at the decoder's current length.

    Passes follow each other without a wait, as in a round. It is a median with its interval.
    """
    clock: Clock = clock_for(decoder.device)
    if isinstance(decoder, ReplayedModel):
        decoder.record_widths([width])
    length = decoder.length
    tokens = torch.arange(width, device=decoder.device)
    marks = []
    for _ in range(WARMUP_PASSES + repeats):
        began = clock.mark()
        decoder.feed(tokens)
        marks.append((began, clock.mark()))
        decoder.rollback(length)
    return median(np.array([clock.between(*each) for each in marks[WARMUP_PASSES:]]) / 1e6)


def count_bytes_read(loaded: Loaded, length: int) -> int:
    """Return the bytes a pass must read: every weight it multiplies by, and `length` tokens' rows.

    An embedding table that isn't also the output matrix is not counted: few of its rows are read.
    """
    model = loaded.model
    table, head = model.get_input_embeddings(), model.get_output_embeddings()  # type: ignore[operator]
    tied = head is not None and head.weight is table.weight
    looked_up = 0 if tied else table.weight.nbytes
    return loaded.facts.weight_bytes - looked_up + loaded.facts.kv_bytes_per_token * length


def floor_ms(loaded: Loaded, length: int, bytes_per_s: float) -> float:
    """Return the milliseconds that reading those bytes takes."""
    return count_bytes_read(loaded, length) / bytes_per_s * 1e3


def measure_bandwidths(device: torch.device, *, reduced: bool) -> tuple[int, float]:
    """Return bytes per second as a capture's header has them, and by a long copy on the device.

    Both count a copied byte as one read and one written.
    """
    size = COPY_BYTES if device.type == "cuda" and not reduced else 2**22
    source = torch.ones(size, dtype=torch.uint8, device=device)
    goal = torch.empty_like(source).copy_(source)
    clock: Clock = clock_for(device)
    took = []
    for _ in range(COPY_REPEATS):
        began = clock.mark()
        goal.copy_(source)
        ended = clock.mark()
        synchronise(device)
        took.append(clock.between(began, ended))
    return bandwidth(device), 2 * size / (float(np.median(took)) / 1e9)
