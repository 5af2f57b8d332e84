"""Which K and which way of counting fit all rows of a table that states neither (theory 1.3).

A row's accepted share and its tokens per forward, or per round, are tied by K and by how the engine
works. Every way of counting is tried at every K up to 64, against the intervals of the printed
digits. A way is left out if any row rules it out.
"""

from dataclasses import dataclass
from functools import lru_cache

from scipy import optimize

from specprof.published.read.figures import Figure, exactly, total
from specprof.published.read.results import Arm, Results

MAX_DEPTH = 64
MAX_INDEPENDENCE_ERROR = 0.03
"""Relative error of the length where the share of all-accepted rounds is computed as if drafts were
accepted independently of each other."""
ONE_FORWARD = "one target forward a round"
TWO_FORWARDS = "two target forwards a round"
THREE_FORWARDS = "three target forwards a round"
REPLAYED = "a second target forward after each rejection"
NO_BONUS = "no bonus token after an all-accepted round"
BONUS_IN = "the length counts the token after the accepted drafts"
BONUS_OUT = "the length counts accepted drafts only"
FORWARDS = {ONE_FORWARD: 1, BONUS_IN: 1, TWO_FORWARDS: 2, THREE_FORWARDS: 3}
PER_FORWARD = (ONE_FORWARD, TWO_FORWARDS, THREE_FORWARDS, REPLAYED, NO_BONUS)
PER_ROUND = (BONUS_IN, BONUS_OUT, NO_BONUS)


@dataclass(frozen=True, slots=True)
class Fit:
    """One way of counting that no row rules out."""

    way: str
    depth: int | None
    """The K that all rows share; None where each row states its own K."""
    exact: bool
    """False: it assumes that drafts are accepted independently of each other."""

    @property
    def forwards(self) -> int:
        """Target forwards per round in this way of counting; 1 where it gives no fixed number."""
        return FORWARDS.get(self.way, 1)


@dataclass(frozen=True, slots=True)
class Fits:
    """The ways of counting that fit all rows."""

    of: str
    """`tokens_per_forward` or `length`."""
    arms: list[Arm]
    found: list[Fit]
    by_chance: float
    """Upper bound of the chance that unrelated rows fit one of the ways tried."""

    @property
    def depth(self) -> int | None:
        """The only possible K; None where several are possible or each row states its own."""
        depths = {fit.depth for fit in self.found}
        return next(iter(depths)) if len(depths) == 1 else None

    @property
    def ways(self) -> list[str]:
        """The possible ways of counting, each once."""
        return list(dict.fromkeys(fit.way for fit in self.found))


def find_fits(results: Results, of: str) -> Fits:
    """Return the ways of counting that fit all rows with an accepted share and `of`.

    Ways that assume independence are tried only where no other way fits. Raises MissingEvidence
    where no row has both numbers.
    """
    arms = [arm for arm in results.rows_with("accept_frac", of) if not arm.tree]
    ways = PER_FORWARD if of == "tokens_per_forward" else PER_ROUND
    own_depths = [arm.get("depth") for arm in arms]
    depths = [None] if all(own_depths) else [*range(1, MAX_DEPTH + 1)]
    for exact in (True, False):
        found = [
            Fit(way, depth, exact)
            for way in ways
            for depth in depths
            if all(_meets(arm, of, way, depth, exact=exact) for arm in arms)
        ]
        if found:
            return Fits(of, arms, found, _by_chance(arms, of, found, len(ways) * len(depths)))
    return Fits(of, arms, [], 1.0)


def fits_any(arm: Arm, of: str) -> bool:
    """Whether a row with a K of its own fits some way of counting by itself."""
    ways = PER_FORWARD if of == "tokens_per_forward" else PER_ROUND
    return any(_meets(arm, of, way, None, exact=exact) for way in ways for exact in (True, False))


def _by_chance(arms: list[Arm], of: str, found: list[Fit], tried: int) -> float:
    """Return the number of ways tried, times each row's matching share of its possible range."""
    fit = found[0]
    counted, chance = set[tuple[float, float]](), float(tried)
    for arm in arms:
        share, printed, own = arm.get("accept_frac"), arm.get(of), own_depth(arm, fit.depth)
        if not share or not printed or not own or (share.value, printed.value) in counted:
            continue
        counted.add((share.value, printed.value))
        expected = predict_tokens(share, own, fit.way, full_survival(arm, own, exact=fit.exact))
        if expected is not None:
            room = expected.high - expected.low + printed.high - printed.low
            room += 0.0 if fit.exact else 2 * MAX_INDEPENDENCE_ERROR * expected.value
            chance *= min(room / max(own.value, 1.0), 1.0)
    return min(chance, 1.0)


def own_depth(arm: Arm, depth: int | None) -> Figure | None:
    """Return the K of a row: its own, or the inferred `depth`."""
    own = arm.get("depth")
    return own or (exactly(depth) if depth else None)


def _meets(arm: Arm, of: str, way: str, depth: int | None, *, exact: bool) -> bool:
    share, printed, own = arm.get("accept_frac"), arm.get(of), own_depth(arm, depth)
    if share is None or printed is None or own is None or share.high > 1 + 1e-9:
        return share is None or printed is None or own is None
    expected = predict_tokens(share, own, way, full_survival(arm, own, exact=exact))
    return expected is not None and printed.meets(
        expected, 0.0 if exact else MAX_INDEPENDENCE_ERROR
    )


def predict_tokens(share: Figure, depth: Figure, way: str, full: Figure | None) -> Figure | None:
    """Return tokens per forward or per round from accepted/drafted, K and S_K (theory I4, I10)."""
    accepted = share * depth
    tokens = exactly(1) + accepted
    if way == BONUS_OUT:
        return accepted
    if way in FORWARDS:
        return tokens / exactly(FORWARDS[way])
    if full is None:
        return None
    return tokens - full if way == NO_BONUS else tokens / (exactly(2) - full)


def full_survival(arm: Arm, depth: Figure, *, exact: bool) -> Figure | None:
    """Return S_K, the share of all-accepted rounds: as printed, or as of independent drafts."""
    last = round(depth.value)
    if exact:
        return arm.survival.get(last)
    share = arm.get("accept_frac")
    if share is None or last < 1:
        return None
    low, value, high = (
        all_accepted_share(each, last) for each in (share.low, share.value, share.high)
    )
    return Figure(value, low, high)


@lru_cache(maxsize=4096)
def all_accepted_share(share: float, depth: int) -> float:
    """Return alpha^K for the alpha with this accepted/drafted at K (theory I7)."""
    return independent_alpha(share, depth) ** depth


@lru_cache(maxsize=4096)
def independent_alpha(share: float, depth: int) -> float:
    """Return alpha, each reached draft's chance, from accepted/drafted at K (theory I7)."""
    if share <= 0 or share >= 1:
        return min(max(share, 0.0), 1.0)

    def excess(alpha: float) -> float:
        stood = alpha * (1 - alpha**depth) / (1 - alpha) if alpha < 1 else depth
        return stood / depth - share

    return float(optimize.brentq(excess, 0.0, 1.0))


def length_by_survival(arm: Arm) -> Figure | None:
    """Return 1 + the sum of S_i (theory I5); None where an index is missing."""
    if not arm.survival or set(arm.survival) != set(range(1, len(arm.survival) + 1)):
        return None
    return exactly(1) + total(arm.survival.values())
