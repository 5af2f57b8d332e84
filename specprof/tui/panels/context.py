"""Acceptance against context: at which depth of the text the target rejects more drafts."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from specprof.analysis.stats import proportion
from specprof.analysis.tables import Places
from specprof.tui.figures import rate, share
from specprof.tui.panels.scale import Scale
from specprof.tui.panels.scored import draw_scored
from specprof.tui.panels.sentences import NO_DRAFTS, explain_no_rounds
from specprof.tui.sheet import Sheet
from specprof.tui.snapshot import Snapshot
from specprof.tui.widgets.braille import Floats, draw_axes

_MIN_PER_BUCKET = 24  # reached places that a bucket needs for a point of its own
_MAX_BUCKETS = 48


@dataclass(frozen=True, slots=True)
class Buckets:
    """Places (in a tree: levels) grouped by context, [buckets] each; no bucket is empty."""

    context: Floats
    """Mean context of the places."""
    reached: Floats
    alpha_cond: Floats
    low: Floats
    """Lower end of alpha_cond's 95% interval: Wilson, or exact for few places (theory.md 3.6)."""
    high: Floats
    overlap: Floats
    """Mean acceptance that the two distributions promise before the draw; nan without evidence."""


def draw_context(sheet: Sheet, snapshot: Snapshot) -> None:
    """Draw the panel."""
    places = snapshot.columns.places.levels()
    if len(snapshot.columns.scored):
        return draw_scored(sheet, snapshot)
    if not snapshot.rounds:
        return sheet.write_sentence(explain_no_rounds(snapshot))
    if not len(places):
        return sheet.write_sentence(NO_DRAFTS)
    scale = Scale.of(places)
    buckets = group_by_context(places, scale)
    plot = draw_axes(
        sheet, 1, sheet.height - 1, (scale.low, scale.high), (0.0, 1.0),
        x_text=scale.label, y_text="{:.1f}".format, x_name="context, tokens",
    )  # fmt: skip
    at = scale.at(buckets.context)
    plot.band(at, buckets.low, buckets.high, "band")
    plot.line(at, buckets.overlap, "owed")
    plot.line(at, buckets.alpha_cond, "accepted")
    plot.show()
    trained = _trained_context(snapshot)
    if trained:
        plot.mark(float(scale.at(np.array([trained]))[0]), f"trained {trained:,}")
    return _draw_legend(sheet, places, buckets, "level" if snapshot.columns.trees else "")


def group_by_context(places: Places, scale: Scale) -> Buckets:
    """Return the places in buckets of equal width on the scale; empty buckets are left out."""
    number = int(np.clip(len(places) // _MIN_PER_BUCKET, 1, _MAX_BUCKETS))
    span = scale.high - scale.low or 1.0
    which = ((scale.at(places.context) - scale.low) / span * number).astype(np.int64)
    which = np.clip(which, 0, number - 1)
    reached = np.bincount(which, minlength=number).astype(np.float64)
    seen = reached > 0

    def total(values: NDArray[np.generic]) -> Floats:
        sums = np.bincount(which, weights=values, minlength=number)
        return sums[seen].astype(np.float64)

    reached = reached[seen]
    accepted = total(places.accepted)
    rates = [proportion(int(a), int(n)) for a, n in zip(accepted, reached, strict=True)]
    return Buckets(
        context=total(places.context) / reached,
        reached=reached,
        alpha_cond=accepted / reached,
        low=np.array([one.low for one in rates]),
        high=np.array([one.high for one in rates]),
        overlap=total(places.overlap) / reached,
    )


def _draw_legend(sheet: Sheet, places: Places, buckets: Buckets, unit: str) -> None:
    """Write the names of the lines, each with its value over the whole run."""
    overall = share(places.accepted.sum(), len(places))
    x = sheet.write(0, 0, "━ alpha_cond ", "accepted")
    x = sheet.write(x, 0, f"{rate(overall)} acc/reached {unit}".rstrip(), "dim")
    if not np.isnan(buckets.overlap).all():
        x = sheet.write(x + 2, 0, "━ overlap owed ", "owed")
        x = sheet.write(x, 0, rate(float(np.nanmean(places.overlap))), "dim")
    if x + 18 < sheet.width:
        x = sheet.write(x + 2, 0, "▒ 95% interval", "band")


def _trained_context(snapshot: Snapshot) -> int | None:
    header = snapshot.columns.header
    return header.draft.trained_context if header and header.draft else None
