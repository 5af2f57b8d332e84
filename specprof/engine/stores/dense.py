"""The key-value store of one sequence: preallocated, owns the positions, is rolled back for free.

A row is written once. Rolling back only lowers `length`, so a rejected token costs nothing, and the
rows that stay are bit for bit what was computed. The growing cache of transformers copies the whole
store at every step: a quarter gigabyte a token, at 20k tokens of the pocket target.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from specprof.engine.releases import CacheForm, LayerForm
from specprof.engine.transfer import on_device
from specprof.engine.tree import ancestry
from specprof.errors import SpecprofError


@dataclass(frozen=True, slots=True)
class Placement:
    """The positions of tokens about to be fed, and the stored rows that each may see."""

    positions: torch.Tensor
    """[1, n] their position ids."""
    visible: torch.Tensor | None = None
    """[1, n, columns] bool. None: each token sees all rows stored so far, and the new ones up to
    its own."""
    columns: torch.Tensor | None = None
    """[1, columns] the position of every row that attention is given; None where `visible` is
    None."""


@dataclass(frozen=True, slots=True)
class Frame:
    """The rows of a recorded forward: replays change those it writes, not how many it reads."""

    rows: torch.Tensor
    """[n] the rows its tokens are written to."""
    span: int
    """How many rows attention is given, from the first on; a mask hides those beyond the text."""


class Store(CacheForm):
    """Every layer's keys and values for `capacity` tokens, of which `length` are filled."""

    def __init__(self, layers: int, capacity: int) -> None:
        self.length = 0
        self.capacity = capacity
        self.dropped = 0
        """Tokens whose rows were given to others: later tokens lie that many rows further to the
        front."""
        self._parents: torch.Tensor | None = None
        """[nodes] the parents in the tree that follows the chain; its rows are the last ones
        filled."""
        self._positions: torch.Tensor | None = None
        """[1, capacity] position ids, made once; those of a chain are a view of them."""
        self.frame: Frame | None = None
        """Set while a forward is recorded: it then writes the rows of a tensor, not those at
        `length`."""
        super().__init__(layers=[self._layer(number) for number in range(layers)])

    def _layer(self, number: int) -> "PreallocatedLayer":
        """Make the rows of one layer."""
        del number
        return PreallocatedLayer(self)

    def place(
        self, count: int, device: torch.device, parents: torch.Tensor | None = None
    ) -> Placement:
        """Place the next `count` tokens: the only source of positions.

        With `parents` [count] they are nodes of a tree, each following the node of that index; -1
        follows the chain.
        """
        if self.length + count > self.capacity:
            title = (
                f"the cache holds {self.capacity} tokens; {self.length + count} were asked of it"
            )
            raise SpecprofError(title, "this is a fault of specprof's own; please report it")
        if parents is None:
            return self._place_chain(count, device)
        known = self._parents
        self._parents = parents if known is None else torch.cat([known, parents])
        return self._place_tree(count, device)

    def advance(self, count: int) -> None:
        """Count `count` tokens as stored; every layer has written them."""
        self.length += count

    def keep(self, branch: Sequence[int]) -> None:
        """Make one `branch` of the tree part of the chain, and forget the rest of the tree."""
        if self._parents is None:
            raise SpecprofError("there is no tree to keep a branch of", "feed one first")
        start = self.length - self._parents.shape[0]
        if list(branch) != list(range(len(branch))):
            first = start - self.dropped
            rows = on_device([first + node for node in branch], self._parents.device)
            for layer in self.layers:
                layer.move(rows, first)
        self._parents = None
        self.length = start + len(branch)

    def rollback(self, length: int) -> None:
        """Forget all but the first `length` tokens, and with them any tree."""
        chain = self.length - (0 if self._parents is None else self._parents.shape[0])
        if not 0 <= length <= chain:
            title = f"can't roll a cache of {chain} tokens back to {length}"
            raise SpecprofError(title, "a drafter or backend asked for tokens it never fed")
        self._parents = None
        self.length = length

    @property
    def kv_bytes(self) -> int:
        """Bytes of all keys and values that are kept, in all layers."""
        per_token: int = sum(layer.bytes_per_token for layer in self.layers)
        return (self.length - (self.evicted or 0)) * per_token

    @property
    def evicted(self) -> int | None:
        """Tokens that no token fed from now on can see; None in a store that never drops any."""
        return None

    def _place_chain(self, count: int, device: torch.device) -> Placement:
        """Place `count` tokens that follow the chain: each sees all tokens before it."""
        if self._positions is None:
            self._positions = torch.arange(self.capacity, device=device)[None]
        return Placement(self._positions[:, self.length : self.length + count])

    def _place_tree(self, count: int, device: torch.device, first: int = 0) -> Placement:
        """Place the last `count` nodes of the tree: each sees its ancestors, and the chain.

        Columns are the chain's from position `first` on, then the nodes.
        """
        assert self._parents is not None  # noqa: S101 - the caller has just set it
        lines = ancestry(self._parents)  # [nodes, nodes]; a node counts as its own ancestor
        start = self.length + count - lines.shape[0]
        depth = lines.sum(1) - 1 + start  # [nodes] positions
        chain = torch.ones(count, start - first, dtype=torch.bool, device=device)
        visible = torch.cat([chain, lines[-count:]], 1)[None]
        columns = torch.cat([torch.arange(first, start, device=device), depth])[None]
        return Placement(depth[None, -count:], visible, columns)


class PreallocatedLayer(LayerForm):
    """One layer's rows, in the form transformers' attention asks for."""

    is_sliding = False
    """A sliding-window layer keeps every row too, and its mask hides those outside the window. Else
    rows that a rollback needs would be gone (huggingface/transformers#45745)."""

    def __init__(self, store: Store) -> None:
        super().__init__()
        self.store = store

    @property
    def rows(self) -> int:
        """Rows that are reserved."""
        return self.store.capacity

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        """Reserve the rows; states are [1, heads, new, head size]."""
        self.keys = empty_rows(key_states, len(key_states), self.rows)
        self.values = empty_rows(value_states, len(value_states), self.rows)
        self.is_initialized = True

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write the new rows [1, heads, new, head size] and return all rows so far."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        frame = self.store.frame
        if frame is not None:
            self.keys.index_copy_(2, frame.rows, key_states)
            self.values.index_copy_(2, frame.rows, value_states)
            return self.keys[:, :, : frame.span], self.values[:, :, : frame.span]
        start = self.store.length - self.store.dropped
        count = int(key_states.shape[2])
        self.keys.narrow(2, start, count).copy_(key_states)
        self.values.narrow(2, start, count).copy_(value_states)
        end = start + count
        return self.keys.narrow(2, 0, end), self.values.narrow(2, 0, end)

    def move(self, rows: torch.Tensor, start: int) -> None:
        """Move [n] `rows` together, in their order, from row `start` on."""
        for states in (self.keys, self.values):
            states[:, :, start : start + rows.shape[0]] = states[:, :, rows]

    def get_seq_length(self) -> int:
        """Return how many tokens are stored."""
        return self.store.length

    def get_max_length(self) -> int:
        """Return how many tokens fit."""
        return self.store.capacity

    @property
    def bytes_per_token(self) -> int:
        """Bytes of one token's key and value in this layer; 0 before the first token."""
        if not self.is_initialized:
            return 0
        (_, heads, _, size), own = self.keys.shape, self.values.shape  # shapes alone: no view
        return (heads * size + own[1] * own[3]) * self.keys.element_size()


def empty_rows(states: torch.Tensor, sequences: int, rows: int) -> torch.Tensor:
    """Return [sequences, heads, rows, head size] zeros for [any, heads, new, head size] states."""
    _, heads, _, size = states.shape
    return states.new_zeros(sequences, heads, rows, size)
