"""StreamingLLM's store: the first tokens, the sinks, and a window of the most recent ones.

What a token sees depends on its position alone (`Window`), and not on the rounds, drafts and chunks
it was fed in. So a speculative run has the same law as a plain run (theory 6.3). Positions are
those inside the cache: the sinks stand directly before the window (arXiv 2309.17453, section 3.2).

Rotary attention depends on differences of positions only. (The angles of far positions are rounded,
in a dense cache too: a total variation of 1e-4 at 19k tokens in float32.) So the rows of the window
stay where they were written. Only the sinks are turned, each time from their originals, to the
positions directly before the window of the token that attends to them. The tokens of one forward
may have different windows: attention is given a copy of the sinks for each window, and the mask
shows every token its own copy.

Rows are held as far back as a rollback may go, and then given to other tokens: memory is bounded by
the window, not by the text.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from specprof.engine.stores.dense import Placement, PreallocatedLayer, Store
from specprof.engine.stores.rotation import Rotation
from specprof.errors import SpecprofError


@dataclass(frozen=True, slots=True)
class Window:
    """Which tokens each token sees beside itself."""

    sinks: int
    """How many first tokens are seen by all."""
    recent: int
    """How many of the most recent tokens are seen at least."""
    block: int = 1
    """How many tokens are evicted at once: up to `block` - 1 more than `recent` are seen."""

    def evicted(self, position: int) -> int:
        """Return how many tokens after the sinks the token at `position` no longer sees."""
        return max(position - self.recent - self.sinks, 0) // self.block * self.block

    def evicted_each(self, positions: torch.Tensor) -> torch.Tensor:
        """Return how many tokens the tokens at [...] `positions` no longer see, [...]."""
        beyond = (positions - self.recent - self.sinks).clamp(min=0)
        return beyond // self.block * self.block

    @property
    def widest(self) -> int:
        """The most tokens kept: sinks and window."""
        return self.sinks + self.recent + self.block - 1


class WindowStore(Store):
    """Keys and values of the sinks and of a window that moves on with the text."""

    def __init__(
        self, rotations: Sequence[Rotation], window: Window, capacity: int, *, reach: int, rows: int
    ) -> None:
        """Reserve `rows`: what a rollback by `reach` tokens needs, and what is fed at once."""
        self.window = window
        self.reach = reach
        self.rotations = rotations
        self.rows = rows
        self.circles: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
        """By rotation, the cosines and sines [copies, 1, head size] that this forward turns the
        sinks by; empty if nothing is evicted."""
        self.seen_from = 0
        """The first row of the window that a token of this forward sees."""
        super().__init__(len(rotations), capacity)

    def _layer(self, number: int) -> PreallocatedLayer:
        return WindowLayer(self, self.rotations[number])

    @property
    def evicted(self) -> int:
        """Tokens that no token fed from now on can see."""
        return self.window.evicted(self.length)

    def rollback(self, length: int) -> None:
        """Forget all but the first `length` tokens; the window before these must still be held."""
        if length > self.window.sinks and self.window.evicted(length) < self.dropped:
            title = f"can't roll a streaming cache of {self.length} tokens back to {length}: "
            title += f"it holds what the last {self.reach} need"
            raise SpecprofError(title, "this is a fault of specprof's own; please report it")
        super().rollback(length)
        if length <= self.window.sinks:
            self.dropped = 0

    def _place_chain(self, count: int, device: torch.device) -> Placement:
        start, end = self.length, self.length + count
        self._make_room(count)
        plain = super()._place_chain(count, device)
        if not self.window.evicted(end - 1):
            self.circles = {}
            return plain
        first = self._first_seen(start)
        columns = torch.arange(first, end, device=device)
        visible = columns <= plain.positions[0, :, None]
        return self._cut_to_windows(
            Placement(plain.positions, visible[None], columns[None]), start, end
        )

    def _place_tree(self, count: int, device: torch.device, first: int = 0) -> Placement:
        assert self._parents is not None  # noqa: S101 - the caller has just set it
        nodes = self._parents.shape[0]
        start, end = self.length + count - nodes, self.length + count
        if nodes > self.window.recent:
            title = f"a tree of {nodes} tokens doesn't fit a window of {self.window.recent}"
            raise SpecprofError(title, "make the window wider or the tree smaller")
        self._make_room(count)
        if not self.window.evicted(end - 1):
            self.circles = {}
            return super()._place_tree(count, device)
        first = self._first_seen(start)
        return self._cut_to_windows(super()._place_tree(count, device, first), start, end)

    def _first_seen(self, start: int) -> int:
        """Return the first position after the sinks that the token at `start` sees."""
        return self.window.sinks + self.window.evicted(start)

    def _cut_to_windows(self, place: Placement, start: int, end: int) -> Placement:
        """Cut each token's view to its window, and put its own copy of the sinks before it.

        The tokens stand from `start` on and before `end`; the first column of `place` is the first
        that a token of them sees. The number of copies follows from `start` and `end`, so the host
        does not wait for the device.
        """
        assert place.visible is not None  # noqa: S101 - the caller has made them
        assert place.columns is not None  # noqa: S101
        window, device = self.window, place.positions.device
        evicted = window.evicted_each(place.positions[0])  # [n]
        near = place.columns >= (window.sinks + evicted)[:, None]  # [n, columns]
        fewest, most = window.evicted(start), window.evicted(end - 1)
        turns = torch.arange(fewest, most + 1, window.block, device=device)  # [copies]
        sinks = torch.arange(window.sinks, device=device)
        own = turns == evicted[:, None]  # [n, copies]
        before = sinks <= place.positions[0, :, None]  # [n, sinks]
        visible = torch.cat(
            [(own[:, :, None] & before[:, None]).flatten(1), place.visible[0] & near], 1
        )
        copies = (turns[:, None] + sinks).flatten()[None]
        kinds = {id(each): each for each in self.rotations}
        self.circles = {key: each.circle(turns[:, None]) for key, each in kinds.items()}
        self.seen_from = self._first_seen(start) - self.dropped
        return Placement(place.positions, visible[None], torch.cat([copies, place.columns], 1))

    def _make_room(self, count: int) -> None:
        """Move the rows that a rollback may need to the front, if the last row has been reached."""
        if self.length + count - self.dropped <= self.rows:
            return
        dropped = self.window.evicted(max(self.length - self.reach, 0))
        if self.length + count - dropped > self.rows:
            title = f"a streaming cache of {self.rows} rows was fed {count} tokens at once"
            raise SpecprofError(title, "this is a fault of specprof's own; please report it")
        first, last = self.window.sinks + dropped - self.dropped, self.length - self.dropped
        for layer in self.layers:
            rows = torch.arange(first, last, device=layer.keys.device)
            layer.move(rows, self.window.sinks)
        self.dropped = dropped


class WindowLayer(PreallocatedLayer):
    """One layer's rows: the sinks as they were written, then the window."""

    def __init__(self, store: WindowStore, rotation: Rotation) -> None:
        super().__init__(store)
        self.window_store = store
        self.rotation = rotation
        self.sinks = self.quarter = torch.empty(0)
        """[1, heads, 1, sinks, head size] float32: keys as written, and turned by a right angle."""

    @property
    def rows(self) -> int:
        """Rows that are reserved: fewer than the tokens of a long text."""
        return self.window_store.rows

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write the new rows [1, heads, new, head size]; return the sinks' copies and the window.

        As long as nothing is evicted, return all rows as they are.
        """
        store, sinks = self.window_store, self.window_store.window.sinks
        keys, values = super().update(key_states, value_states)
        if store.length < sinks:
            self._take_sinks()
        if not store.circles:
            return keys, values
        seen_keys, seen_values = keys[:, :, store.seen_from :], values[:, :, store.seen_from :]
        if not sinks:
            return seen_keys, seen_values
        cos, sin = store.circles[id(self.rotation)]
        turned = torch.addcmul(self.sinks * cos, self.quarter, sin).to(keys.dtype)
        copies = self.values[:, :, None, :sinks].expand(-1, -1, cos.shape[0], -1, -1)
        return (
            torch.cat([turned.flatten(2, 3), seen_keys], 2),
            torch.cat([copies.flatten(2, 3), seen_values], 2),
        )

    def move(self, rows: torch.Tensor, start: int) -> None:
        """Move [n] `rows` together, in their order, from row `start` on."""
        super().move(rows, start)
        if start < self.window_store.window.sinks:  # a branch of a tree became sinks
            self._take_sinks()

    def _take_sinks(self) -> None:
        self.sinks = self.keys[:, :, None, : self.window_store.window.sinks].float()
        self.quarter = self.rotation.quarter(self.sinks)
