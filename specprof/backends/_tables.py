"""Two made-up models whose laws are tables: what a synthetic round is drawn from.

Knows laws, draws and verdicts; nothing of rounds, caches or time. The draft's logits are the
target's plus noise that grows past a trained context, so its mismatch is real and known.
"""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from specprof.records import Observed, Rechecked

Floats = NDArray[np.float64]
FAULTS = (
    "none",
    "always-accept",
    "too-strict",
    "greedy-draft-soft-law",
    "residual-not-subtracted",
    "draft-cache-short",
    "draft-last-missing",
    "draft-state",
    "target-keeps-rejected",
    "two-target-forwards",
    "no-bonus",
    "looping-text",
    "slow-draft",
    "host-gap",
)
"""What may be broken, one thing at a time."""
STRICT = 0.8
"""too-strict: the chance of standing is this much of what is owed."""
LOOP = 7
"""looping-text: its period."""


@dataclass(frozen=True, slots=True)
class Place:
    """The two laws at one place, as the round used them and as a clean recompute sees them."""

    target: Floats  # [vocab]
    draft: Floats  # [vocab]
    clean_target: Floats  # [vocab]
    clean_draft: Floats  # [vocab]
    margin: float
    draft_logits: Floats  # [vocab]
    clean_logits: Floats  # [vocab], the draft's


class Tables:
    """A target and a draft; every call draws from one seeded generator."""

    vocabulary: ClassVar[int] = 48
    trained_context: ClassVar[int] = 2048

    def __init__(self, fault: str, noise: float, temperature: float, seed: int) -> None:
        self.fault = fault
        self.noise = noise
        self.temperature = temperature
        self.random = np.random.default_rng(seed)

    def place(self, context: int, *, draft_astray: float, target_astray: float) -> Place:
        """Draw the laws after `context` tokens; each used law is astray by that much noise."""
        far = max(0.0, float(np.log2(context / self.trained_context))) if context else 0.0
        target = 2.5 * self._noise()
        if self.fault == "looping-text":
            target[context % LOOP] += 15
        draft = target + self.noise * (1 + far) * self._noise()
        top = np.partition(target, -2)[-2:]
        used = self._law(target + target_astray * self._noise())
        draft_logits = draft + draft_astray * self._noise()
        return Place(
            target=used,
            draft=self._law(draft_logits),
            clean_target=self._law(target),
            clean_draft=self._law(draft),
            margin=float(top[1] - top[0]),
            draft_logits=draft_logits,
            clean_logits=draft,
        )

    def left(self, place: Place, token: int) -> Place:
        """Return what is left of a place once its drafted `token` was rejected.

        Recursive rejection (arXiv 2402.14160): the target's law becomes the residual, the draft's
        goes on without the token. The next sibling is drawn, and judged, by these.
        """
        without, clean = place.draft_logits.copy(), place.clean_logits.copy()
        without[token] = clean[token] = -np.inf
        return replace(
            place,
            target=_residual(place.target, place.draft),
            draft=self._law(without),
            clean_target=_residual(place.clean_target, place.clean_draft),
            clean_draft=self._law(clean),
            draft_logits=without,
            clean_logits=clean,
        )

    def nll(self, context: int) -> float:
        """Draw a text's next token after `context` tokens; return what the target makes of it."""
        law = self.place(context, draft_astray=0.0, target_astray=0.0).target
        return short(-float(np.log(law[self._draw(law)])))

    def drafted(self, place: Place) -> int:
        """Draw the drafted token."""
        if self.fault == "greedy-draft-soft-law":
            return int(place.draft.argmax())
        return self._draw(place.draft)

    def stands(self, place: Place, token: int) -> bool:
        """Flip the coin for a drafted token."""
        owed = _owed(place, token) * (STRICT if self.fault == "too-strict" else 1)
        return bool(self.random.random() < owed) or self.fault == "always-accept"

    def correction(self, place: Place) -> int:
        """Draw the token after a rejection: from the residual."""
        if self.fault == "residual-not-subtracted":
            return self._draw(place.target)
        return self._draw(_residual(place.target, place.draft))

    def bonus(self, place: Place) -> int:
        """Draw the token after an all-accepted round: from the target."""
        return self._draw(place.target)

    def _noise(self) -> Floats:
        return self.random.standard_normal(self.vocabulary)

    def _law(self, logits: Floats) -> Floats:
        if self.temperature == 0:
            return np.asarray(np.eye(self.vocabulary)[int(logits.argmax())])
        weights = np.exp((logits - logits.max()) / self.temperature)
        return np.asarray(weights / weights.sum(), dtype=np.float64)

    def _draw(self, weights: Floats) -> int:
        wanted = self.random.random() * weights.sum()
        return int(np.searchsorted(weights.cumsum(), wanted, side="right"))


def observed(place: Place, token: int) -> Observed:
    """Return what the laws in use make of a drafted token."""
    return Observed(
        target_prob=short(place.target[token]),
        draft_prob=short(place.draft[token]),
        overlap=short(np.minimum(place.target, place.draft).sum()),
        accept_owed=short(_owed(place, token)),
        draft_rank=short(_rank(place.draft, token)),
    )


def rechecked(place: Place, token: int, round_: int, index: int) -> Rechecked:
    """Return what the clean laws make of it."""
    return Rechecked(
        round=round_,
        index=index,
        target_prob=short(place.clean_target[token]),
        draft_prob=short(place.clean_draft[token]),
        overlap=short(np.minimum(place.clean_target, place.clean_draft).sum()),
        margin=short(place.margin),
    )


def short(value: float) -> float:
    """Five significant digits: enough for every test, half the bytes."""
    return float(f"{value:.5g}")


def _residual(target: Floats, draft: Floats) -> Floats:
    """Return max(target - draft, 0), renormalised; the target itself where nothing is left."""
    residual = np.maximum(target - draft, 0)
    whole = float(residual.sum())
    return np.asarray(residual / whole) if whole else target


def _rank(law: Floats, token: int) -> float:
    return float(law[law > law[token]].sum() + law[law == law[token]].sum() / 2)


def _owed(place: Place, token: int) -> float:
    return min(1.0, float(place.target[token]) / float(place.draft[token]))
