"""Stops after a token the draft itself gave little probability; that token is still verified.

transformers' `assistant_confidence_threshold` stops so too. To drop the doubtful token unverified
would be lossy: the remaining tokens would no longer follow the draft's law (theory 8).
"""

from specprof.extend import Depth


class Confidence(Depth):
    """Drafts up to `Settings.depth`, or to the first token below `Settings.confidence`."""

    watches = True

    def ask(self) -> int:
        """Return the most tokens to draft."""
        return self.settings.depth

    def go_on(self, confidences: list[float]) -> bool:
        """Return whether the token drawn last was likely enough to draft on."""
        return confidences[-1] >= self.settings.confidence
