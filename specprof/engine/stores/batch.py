"""The key-value stores of a batch: one for each sequence, in tensors that one forward can take.

Every sequence keeps a `Store` of its own, with its own length, tree and rollback; the layers of all
stores are views of shared tensors. So a sequence can be fed alone, as in prefill, or with others in
one forward. Its store works alike in both cases.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch.nn.utils.rnn import pad_sequence

from specprof.engine.releases import CacheForm, LayerForm
from specprof.engine.stores.dense import Placement, PreallocatedLayer, Store, empty_rows
from specprof.engine.transfer import on_device


@dataclass(frozen=True, slots=True)
class BatchRows:
    """The part of the shared tensors that one forward over several sequences reads and writes."""

    first: int
    """The first sequence. The forward goes over all sequences from it to `last`, idle ones too."""
    last: int
    """One past the last sequence."""
    start: int
    """The fewest rows that a fed sequence has before the forward."""
    end: int
    """Columns that attention sees: the most rows that a fed sequence has after the forward."""
    written: tuple[torch.Tensor, ...] | None
    """Four tensors [tokens], for each token that is fed: the sequence and the row it is written to,
    then the sequence (counted from `first`) and the place in the padded forward it is read from.
    None: all sequences are written from row `start` on."""


class SharedStore(CacheForm):
    """The stores of all sequences, in the form of the one cache that a padded forward takes."""

    def __init__(self, stores: Sequence[Store]) -> None:
        """Take over empty stores of one kind: their layers become views of this store's layers."""
        self.stores = list(stores)
        self.touched = BatchRows(0, len(stores), 0, 0, None)
        super().__init__(layers=[SharedLayer(self) for _ in stores[0].layers])
        for store in stores:
            store.layers = [OwnLayer(store, layer) for layer in self.layers]

    def place(
        self, fed: Mapping[int, tuple[torch.Tensor, torch.Tensor | None]]
    ) -> tuple[torch.Tensor, Placement]:
        """Place a forward of some sequences, each fed [n] tokens and, for a tree, [n] parents.

        Returns [sequences, longest n] padded tokens and where they stand. Its sequences are
        `range(touched.first, touched.last)`; those that are fed nothing are idle.
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
        written = None if alike else _written_rows(starts, counts, first, nothing.device)
        self.touched = BatchRows(first, last, min(starts.values()), end, written)
        padded = pad_sequence(tokens, batch_first=True)
        if alike and all(each.visible is None for each in places.values()):
            return padded, Placement(torch.cat([each.positions for each in places.values()]))
        return padded, _joined_placements(places, padded, end)

    def advance(self, fed: Mapping[int, torch.Tensor]) -> None:
        """Count the [n] tokens of each sequence as stored; every layer has written them."""
        for sequence, tokens in fed.items():
            self.stores[sequence].advance(tokens.shape[0])


class SharedLayer(LayerForm):
    """One layer of all sequences: [batch, heads, capacity, head size] keys and values."""

    is_sliding = False
    """The mask does the windowing, as in a store of one sequence."""

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
        """Write the new rows [sequences, heads, new, head size]; return those attention sees."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        touched = self.whole.touched
        found = []
        for room, states in ((self.keys, key_states), (self.values, value_states)):
            if touched.written is None:
                room[touched.first : touched.last, :, touched.start : touched.end] = states
            else:
                sequence, row, source, place = touched.written
                room.transpose(1, 2)[sequence, row] = states.transpose(1, 2)[source, place]
            found.append(room[touched.first : touched.last, :, : touched.end])
        return found[0], found[1]

    def get_seq_length(self) -> int:
        """Return the fewest tokens that a fed sequence has stored."""
        return self.whole.touched.start

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


def _written_rows(
    starts: Mapping[int, int], counts: Mapping[int, int], first: int, device: torch.device
) -> tuple[torch.Tensor, ...]:
    """Return `BatchRows.written`; padding is written nowhere."""
    cells = [
        (sequence, starts[sequence] + place, sequence - first, place)
        for sequence, count in counts.items()
        for place in range(count)
    ]
    flat = [number for column in zip(*cells, strict=True) for number in column]
    return on_device(flat, device).view(4, len(cells)).unbind()


def _joined_placements(
    places: Mapping[int, Placement], padded: torch.Tensor, end: int
) -> Placement:
    """Join placements by row of the [rows, n] `padded` tokens: each row sees its own sequence only.

    Padding stands at position 0 and sees the first column: its answers are not read.
    """
    rows = padded.shape[0]
    found = (places[row].positions[0] if row in places else padded[0, :0] for row in range(rows))
    positions = pad_sequence([*found], batch_first=True)  # [rows, n]
    columns = torch.arange(end, device=padded.device).repeat(rows, 1)
    # A chain sees all up to itself. So no row past its own: the position of a node is at most its
    # row.
    visible = columns[:, None] <= positions[:, :, None]
    for row, place in places.items():
        if place.visible is not None and place.columns is not None:
            _, count, seen = place.visible.shape
            visible[row, :count, :seen] = place.visible[0]
            columns[row, :seen] = place.columns[0]
    return Placement(positions, visible, columns)
