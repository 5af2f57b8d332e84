"""How context lies along a plot's axis."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from specprof.analysis.tables import Places, ScoredTokens
from specprof.tui.figures import short_count
from specprof.tui.widgets.braille import Floats

_SPAN = 16  # times the shallowest context from which on doublings read better


@dataclass(frozen=True, slots=True)
class Scale:
    """How context lies along the axis: by doublings where a walk spans many, else evenly."""

    doublings: bool
    low: float
    high: float

    @classmethod
    def of(cls, places: Places | ScoredTokens) -> "Scale":
        """Return the scale that suits the places' contexts; an even one starts at 0."""
        low, high = max(int(places.context.min()), 1), max(int(places.context.max()), 2)
        if high < _SPAN * low:
            return cls(doublings=False, low=0.0, high=float(high))
        return cls(doublings=True, low=float(np.log2(low)), high=float(np.log2(high)))

    def at(self, context: NDArray[np.generic]) -> Floats:
        """Return where contexts lie on the axis."""
        values = context.astype(np.float64)
        return np.log2(np.maximum(values, 1.0)) if self.doublings else values

    def label(self, tick: float) -> str:
        """Return a tick's context; nothing between two doublings."""
        if not self.doublings:
            return short_count(tick)
        return f"{2 ** round(tick):,}" if tick == round(tick) else ""
