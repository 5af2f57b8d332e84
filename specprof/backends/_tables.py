"""Two synthetic models whose laws are tables; synthetic rounds are drawn from them.

This module has laws, draws and acceptance, but no rounds, caches or times. The draft's logits are
the target's plus noise that grows past a trained context, so its mismatch is real and known.
"""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from specprof.recheck_records import Rechecked, Rescored
from specprof.records import Observed

Floats = NDArray[np.float64]
FAULTS = (
    "none",
    "always-accept",
    "too-strict",
    "greedy-draft-soft-law",
    "residual-not-subtracted",
    "residual-softmaxed",
    "bonus-from-draft",
    "uniform-reused",
    "draft-temperature",
    "constant-drafts",
    "wrong-ratio",
    "exact-match-unsaid",
    "first-draft-unchecked",
    "correction-lost",
    "nothing-proposed",
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
"""Faults to choose from, one at a time."""
SMALLEST_FLOAT = float(np.finfo(np.float64).tiny)
STRICT_SHARE = 0.8
"""too-strict: the chance to stand is this share of the acceptance owed."""
WARM_FACTOR = 1.5
"""draft-temperature: drafts are drawn at this many times the declared temperature."""
CONSTANT_TOKEN = 7
"""constant-drafts: the token that is drafted everywhere."""
LOOP_TOKENS = 7
"""looping-text: the length of its loop."""


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
    index: int
    """Draft index, from 0."""
    target_raw: Floats
    """[vocab] the target's clean logits; rejected siblings don't change them."""
    draft_raw: Floats
    """[vocab] the draft's clean logits; rejected siblings don't change them."""
    target_gap: float
    """Total variation between the target's raw law as used and the clean one."""
    draft_gap: float


class Tables:
    """A target and a draft; every call draws from one seeded generator."""

    vocabulary: ClassVar[int] = 48
    trained_context: ClassVar[int] = 2048

    def __init__(
        self,
        fault: str,
        noise: float,
        temperature: float,
        seed: int,
        strength: float | None = None,
    ) -> None:
        self.fault = fault
        self.noise = noise
        self.temperature = temperature
        self.random = np.random.default_rng(seed)
        self.strict = STRICT_SHARE if strength is None else 1 - strength
        self._coin = 0.0
        """The last coin flipped for a drafted token."""
        self._wanted = 0
        """exact-match-unsaid: the token that the last drafted token had to equal."""

    def place(
        self, context: int, *, draft_astray: float, target_astray: float, index: int = 0
    ) -> Place:
        """Draw the laws after `context` tokens, of which this round drafted `index`.

        `draft_astray` and `target_astray` are the noise on the logits that the round uses.
        """
        far = max(0.0, float(np.log2(context / self.trained_context))) if context else 0.0
        target = 2.5 * self._noise()
        if self.fault == "looping-text":
            target[context % LOOP_TOKENS] += 15
        draft = target + self.noise * (1 + far) * self._noise()
        top = np.partition(target, -2)[-2:]
        target_logits = self._with_noise(target, target_astray)
        draft_logits = self._with_noise(draft, draft_astray)
        clean_target, clean_draft = self._law(target), self._law(draft)
        return Place(
            target=self._law(target_logits) if target_astray else clean_target,
            draft=self._law(draft_logits) if draft_astray else clean_draft,
            clean_target=clean_target,
            clean_draft=clean_draft,
            margin=float(top[1] - top[0]),
            draft_logits=draft_logits,
            clean_logits=draft,
            index=index,
            target_raw=target,
            draft_raw=draft,
            target_gap=_gap(target_logits, target) if target_astray else 0.0,
            draft_gap=_gap(draft_logits, draft) if draft_astray else 0.0,
        )

    def left(self, place: Place, token: int) -> Place:
        """Return the place as it is after its drafted `token` was rejected.

        Recursive rejection (arXiv 2402.14160): the target's law becomes the residual, and the
        draft's law loses the token. The next sibling is drawn and judged by these laws.
        """
        clean = self._after(place.clean_target, place.clean_draft, place.clean_logits, token)
        used = clean
        if place.target is not place.clean_target or place.draft is not place.clean_draft:
            used = self._after(place.target, place.draft, place.draft_logits, token)
        return replace(
            place,
            target=used[0],
            draft=used[1],
            draft_logits=used[2],
            clean_target=clean[0],
            clean_draft=clean[1],
            clean_logits=clean[2],
        )

    def _after(
        self, target: Floats, draft: Floats, logits: Floats, token: int
    ) -> tuple[Floats, Floats, Floats]:
        """Return the residual, and the draft's law and logits without the token; [vocab] each."""
        without = logits.copy()
        without[token] = -np.inf
        return _residual(target, draft), self._law(without), without

    def nll(self, context: int) -> float:
        """Draw a text's next token after `context` tokens; return its nats under the target."""
        law = self.place(context, draft_astray=0.0, target_astray=0.0).target
        return short(-float(np.log(law[self._draw(law)])))

    def draw_draft(self, place: Place) -> int:
        """Draw a drafted token."""
        match self.fault:
            case "greedy-draft-soft-law":
                return int(place.draft.argmax())
            case "draft-temperature":
                return self._draw(self._law(place.draft_logits / WARM_FACTOR))
            case "constant-drafts":
                return CONSTANT_TOKEN
            case _:
                return self._draw(place.draft)

    def stands(self, place: Place, token: int) -> bool:
        """Flip a coin for a drafted token; return whether the token stands."""
        owed = _owed(place, token) * (self.strict if self.fault == "too-strict" else 1)
        match self.fault:
            case "wrong-ratio":
                owed = place.draft[token] / max(place.target[token], SMALLEST_FLOAT)
            case "exact-match-unsaid":
                self._wanted = self._draw(place.target)
                return self._wanted == token
        self._coin = float(self.random.random())
        unchecked = self.fault == "first-draft-unchecked" and place.index == 0
        return bool(self._coin < owed) or unchecked or self.fault == "always-accept"

    def draw_correction(self, place: Place) -> int:
        """Draw the token after a rejection, from the residual."""
        residual = _residual(place.target, place.draft)
        match self.fault:
            case "residual-not-subtracted":
                return self._draw(place.target)
            case "residual-softmaxed":
                return self._draw(np.exp(residual))
            case "uniform-reused":
                return _token_at(residual, self._coin)
            case "exact-match-unsaid":
                return self._wanted
            case _:
                return self._draw(residual)

    def draw_bonus(self, place: Place) -> int:
        """Draw the token after an all-accepted round, from the target."""
        return self._draw(place.draft if self.fault == "bonus-from-draft" else place.target)

    def rescore(self, place: Place, token: int, round_: int, slot: int) -> Rescored:
        """Return the numbers of a committed token under the clean laws at its place."""
        law = self._law(place.target_raw)
        some = law[law > 0]
        surprise = -np.log(some)
        entropy = float((some * surprise).sum())
        return Rescored(
            round=round_,
            slot=slot,
            target_prob=short(law[token]),
            entropy=short(entropy),
            spread=short(float((some * (surprise - entropy) ** 2).sum())),
            shortfall=short(float(place.target_raw.max() - place.target_raw[token])),
            target_gap=short(place.target_gap),
            draft_nll=short(-float(np.log(_softmax(place.draft_raw)[token]))),
        )

    def _with_noise(self, logits: Floats, astray: float) -> Floats:
        """Return the logits with that much noise on them; the noise is drawn even if it is 0."""
        noise = self._noise()
        return logits + astray * noise if astray else logits

    def _noise(self) -> Floats:
        return self.random.standard_normal(self.vocabulary)

    def _law(self, logits: Floats) -> Floats:
        if self.temperature == 0:
            return np.asarray(np.eye(self.vocabulary)[int(logits.argmax())])
        return _softmax(logits / self.temperature)

    def _draw(self, weights: Floats) -> int:
        return _token_at(weights, float(self.random.random()))


def observe(place: Place, token: int) -> Observed:
    """Return the numbers of a drafted token under the laws that the round used."""
    return Observed(
        target_prob=short(place.target[token]),
        draft_prob=short(place.draft[token]),
        overlap=short(np.minimum(place.target, place.draft).sum()),
        accept_owed=short(_owed(place, token)),
        draft_rank=short(_rank(place.draft, token)),
    )


def recheck(place: Place, token: int, round_: int, index: int) -> Rechecked:
    """Return the numbers of a drafted token under the clean laws."""
    return Rechecked(
        round=round_,
        index=index,
        target_prob=short(place.clean_target[token]),
        draft_prob=short(place.clean_draft[token]),
        overlap=short(np.minimum(place.clean_target, place.clean_draft).sum()),
        margin=short(place.margin),
        target_gap=short(place.target_gap),
        draft_gap=short(place.draft_gap),
    )


def rank_final(place: Place, token: int, *, corrected: bool) -> tuple[float, float]:
    """Return a final token's rank and order in the law that it must be drawn from."""
    due = _residual(place.target, place.draft) if corrected else place.target
    return short(_rank(due, token)), short(float(due[:token].sum() + due[token] / 2))


def short(value: float) -> float:
    """Return five significant digits: enough for every test, half the bytes."""
    return float(f"{value:.5g}")


def _residual(target: Floats, draft: Floats) -> Floats:
    """Return max(target - draft, 0), renormalised; the target itself where nothing is left."""
    residual = np.maximum(target - draft, 0)
    whole = float(residual.sum())
    return np.asarray(residual / whole) if whole else target


def _rank(law: Floats, token: int) -> float:
    return float(law[law > law[token]].sum() + law[law == law[token]].sum() / 2)


def _owed(place: Place, token: int) -> float:
    target, draft = float(place.target[token]), float(place.draft[token])
    return min(1.0, target / draft) if draft > 0 else float(target > 0)


def _softmax(logits: Floats) -> Floats:
    weights = np.exp(logits - logits.max())
    return np.asarray(weights / weights.sum(), dtype=np.float64)


def _gap(used: Floats, clean: Floats) -> float:
    return float(np.abs(_softmax(used) - _softmax(clean)).sum() / 2)


def _token_at(weights: Floats, share: float) -> int:
    """Return the token at that share of the cumulated weights [vocab]."""
    return int(np.searchsorted(weights.cumsum(), share * weights.sum(), side="right"))
