"""Scored text against context: the negative log-likelihood that the target gave its tokens."""

import numpy as np

from specprof.analysis.perplexity import perplexity
from specprof.tui.figures import ratio, short_count
from specprof.tui.panels.scale import Scale
from specprof.tui.sheet import Sheet
from specprof.tui.snapshot import Snapshot
from specprof.tui.widgets.braille import Floats, draw_axes

_MIN_PER_BUCKET = 24  # tokens that a bucket needs for a point of its own
_MAX_BUCKETS = 48


def draw_scored(sheet: Sheet, snapshot: Snapshot) -> None:
    """Draw the mean negative log-likelihood of neighbouring tokens along the text."""
    scored = snapshot.columns.scored
    scale = Scale.of(scored)
    at, nats = _bucket_means(scale.at(scored.context), scored.nll, (scale.low, scale.high))
    plot = draw_axes(
        sheet, 1, sheet.height - 1, (scale.low, scale.high), (0.0, max(float(nats.max()), 1.0)),
        x_text=scale.label, y_text="{:.1f}".format, x_name="context, tokens",
    )  # fmt: skip
    plot.line(at, nats, "target")
    plot.show()
    x = sheet.write(0, 0, "━ nats/token ", "target")
    x = sheet.write(x, 0, f"of {short_count(len(scored))}", "dim")
    found = perplexity(snapshot.columns)
    if found is not None:
        text = f"{ratio(found.value)} ({ratio(found.low)} to {ratio(found.high)})"
        x = sheet.write(x + 2, 0, "perplexity ", "strong")
        sheet.write(x, 0, text, "dim")


def _bucket_means(at: Floats, nll: Floats, span: tuple[float, float]) -> tuple[Floats, Floats]:
    """Return mean position and mean nll of each bucket that is not empty, [buckets] each."""
    number = int(np.clip(len(at) // _MIN_PER_BUCKET, 1, _MAX_BUCKETS))
    which = ((at - span[0]) / ((span[1] - span[0]) or 1.0) * number).astype(np.int64)
    which = np.clip(which, 0, number - 1)
    held = np.bincount(which, minlength=number)
    seen = held > 0
    means = [np.bincount(which, weights=each, minlength=number)[seen] for each in (at, nll)]
    return np.asarray(means[0] / held[seen]), np.asarray(means[1] / held[seen])
