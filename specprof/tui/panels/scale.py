"""The context axis of a plot, even or by doublings."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from specprof.analysis.tables import Places, ScoredTokens
from specprof.tui.figures import short_count
from specprof.tui.widgets.braille import Floats

_MIN_RATIO_FOR_DOUBLINGS = 16  # deepest over shallowest context, from which doublings read better


@dataclass(frozen=True, slots=True)
class Scale:
    """Maps context to the axis: by doublings where the contexts span many, else evenly."""

    doublings: bool
    low: float
    high: float

    @classmethod
    def of(cls, places: Places | ScoredTokens) -> "Scale":
        """Return the scale for the contexts of these places; an even scale starts at 0."""
        low, high = max(int(places.context.min()), 1), max(int(places.context.max()), 2)
        if high < _MIN_RATIO_FOR_DOUBLINGS * low:
            return cls(doublings=False, low=0.0, high=float(high))
        return cls(doublings=True, low=float(np.log2(low)), high=float(np.log2(high)))

    def at(self, context: NDArray[np.generic]) -> Floats:
        """Return the contexts' positions on the axis."""
        values = context.astype(np.float64)
        return np.log2(np.maximum(values, 1.0)) if self.doublings else values

    def label(self, tick: float) -> str:
        """Return a tick's context as text; empty between two doublings."""
        if not self.doublings:
            return short_count(tick)
        return f"{2 ** round(tick):,}" if tick == round(tick) else ""
