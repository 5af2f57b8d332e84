"""The key-value stores of a batch: each sequence's own, in tensors one forward can take whole.

Every sequence keeps a `Store` of its own, with its own length, tree and rollback; the layers of all
of them are views of shared tensors. So a sequence can be fed alone, as prefill does, or with others
in one forward, and its store can't tell which it was.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch.nn.utils.rnn import pad_sequence

from specprof.engine.releases import CacheForm, LayerForm
from specprof.engine.stores.dense import Placement, PreallocatedLayer, Store, empty_rows
from specprof.engine.transfer import on_device


@dataclass(frozen=True, slots=True)
class Span:
    """What one forward over several sequences touches of the shared tensors."""

    first: int
    """The first sequence in it; it goes over all from there to `last`, idle ones too."""
    last: int
    """One past the last sequence in it."""
    start: int
    """Rows every sequence in it can be said to have: the fewest any has."""
    end: int
    """Columns attention sees: the most rows any sequence has, the fed tokens included."""
    written: tuple[torch.Tensor, ...] | None
    """Four of [tokens]: of each token fed the sequence and row it is written to, the sequence from
    `first` and place in the padded forward it is read from. None: all, from row `start` on."""


class SharedStore(CacheForm):
    """The stores of all sequences, as the one cache a padded forward takes."""

    def __init__(self, stores: Sequence[Store]) -> None:
        """Take `stores` over: their layers become views of this one's. All are empty and alike."""
        self.stores = list(stores)
        self.span = Span(0, len(stores), 0, 0, None)
        super().__init__(layers=[SharedLayer(self) for _ in stores[0].layers])
        for store in stores:
            store.layers = [OwnLayer(store, layer) for layer in self.layers]

    def place(
        self, fed: Mapping[int, tuple[torch.Tensor, torch.Tensor | None]]
    ) -> tuple[torch.Tensor, Placement]:
        """Place a forward of some sequences, each fed [n] tokens with, if a tree, [n] parents.

        Returns [sequences, longest n] padded tokens and where they stand. The rows are those of
        `range(span.first, span.last)`; the ones that were fed nothing are idle.
        """
        first, last = min(fed), max(fed) + 1
        nothing = next(iter(fed.values()))[0][:0]
        tokens, places = [nothing] * (last - first), {}
        starts = {sequence: self.stores[sequence].length for sequence in fed}
        for sequence, (fresh, parents) in fed.items():
            tokens[sequence - first] = fresh
            store = self.stores[sequence]
            places[sequence - first] = store.place(fresh.shape[0], fresh.device, parents)
        counts = {sequence: fresh.shape[0] for sequence, (fresh, _) in fed.items()}
        end = max(starts[sequence] + counts[sequence] for sequence in fed)
        alike = len(fed) == last - first and len({*starts.values()}) == len({*counts.values()}) == 1
        written = None if alike else _written(starts, counts, first, nothing.device)
        self.span = Span(first, last, min(starts.values()), end, written)
        padded = pad_sequence(tokens, batch_first=True)
        if alike and all(each.visible is None for each in places.values()):
            return padded, Placement(torch.cat([each.positions for each in places.values()]))
        return padded, _ragged(places, padded, end)

    def advance(self, fed: Mapping[int, torch.Tensor]) -> None:
        """Count each sequence's [n] tokens as stored; every layer has written them."""
        for sequence, tokens in fed.items():
            self.stores[sequence].advance(tokens.shape[0])


class SharedLayer(LayerForm):
    """One layer of all sequences: [batch, heads, capacity, head size] keys and values."""

    is_sliding = False
    """As in a store of one sequence: the mask does the windowing."""

    def __init__(self, whole: SharedStore) -> None:
        super().__init__()
        self.whole = whole
        self.owned: list[OwnLayer] = []

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        """Reserve room for every sequence; states are [any, heads, new, head size]."""
        stores = self.whole.stores
        self.keys = empty_rows(key_states, len(stores), stores[0].capacity)
        self.values = empty_rows(value_states, len(stores), stores[0].capacity)
        self.is_initialized = True
        for sequence, own in enumerate(self.owned):
            own.keys = self.keys[sequence : sequence + 1]
            own.values = self.values[sequence : sequence + 1]
            own.is_initialized = True

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write the new rows [sequences, heads, new, head size]; return what the span sees."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        span = self.whole.span
        found = []
        for room, states in ((self.keys, key_states), (self.values, value_states)):
            if span.written is None:
                room[span.first : span.last, :, span.start : span.end] = states
            else:
                sequence, row, source, place = span.written
                room.transpose(1, 2)[sequence, row] = states.transpose(1, 2)[source, place]
            found.append(room[span.first : span.last, :, : span.end])
        return found[0], found[1]

    def get_seq_length(self) -> int:
        """Return how many tokens are stored, where that is the same for all."""
        return self.whole.span.start

    def get_max_length(self) -> int:
        """Return how many tokens of each sequence fit."""
        return self.whole.stores[0].capacity


class OwnLayer(PreallocatedLayer):
    """One sequence's part of a shared layer."""

    def __init__(self, store: Store, shared: SharedLayer) -> None:
        super().__init__(store)
        self.shared = shared
        shared.owned.append(self)

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        """Reserve room for every sequence at once; states are [1, heads, new, head size]."""
        self.shared.lazy_initialization(key_states, value_states)


def _written(
    starts: Mapping[int, int], counts: Mapping[int, int], first: int, device: torch.device
) -> tuple[torch.Tensor, ...]:
    """Return four of [tokens]: where each token goes and comes from; padding goes nowhere."""
    cells = [
        (sequence, starts[sequence] + place, sequence - first, place)
        for sequence, count in counts.items()
        for place in range(count)
    ]
    flat = [number for column in zip(*cells, strict=True) for number in column]
    return on_device(flat, device).view(4, len(cells)).unbind()


def _ragged(places: Mapping[int, Placement], padded: torch.Tensor, end: int) -> Placement:
    """Join placements by row of the [rows, n] `padded` tokens: each row sees what is its own.

    Padding stands at position 0 and sees the first column: nobody reads what becomes of it.
    """
    rows = padded.shape[0]
    found = (places[row].positions[0] if row in places else padded[0, :0] for row in range(rows))
    positions = pad_sequence([*found], batch_first=True)  # [rows, n]
    columns = torch.arange(end, device=padded.device).repeat(rows, 1)
    # A chain sees all up to itself, and no row past its own: a node stands at most where it lies.
    visible = columns[:, None] <= positions[:, :, None]
    for row, place in places.items():
        if place.visible is not None and place.columns is not None:
            _, count, seen = place.visible.shape
            visible[row, :count, :seen] = place.visible[0]
            columns[row, :seen] = place.columns[0]
    return Placement(positions, visible, columns)
