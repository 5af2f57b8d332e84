"""Which K and which way of counting a table's rows agree on, when it says neither (theory 1.3).

A row's accepted share and its tokens per forward, or per round, are tied by K and by how the engine
works. Each way is tried at every K up to 64, against the intervals the printed digits leave, over
all rows together: a way that any row rules out is out.
"""

from dataclasses import dataclass
from functools import lru_cache

from scipy import optimize

from specprof.published.read.figures import Figure, exactly, total
from specprof.published.read.results import Arm, Results

DEEPEST = 64
INDEPENDENT = 0.03
"""How far the share of all-accepted rounds may be off where it is worked out as if drafts stood
independently of each other: relative, of the length."""
ONE = "one target forward a round"
TWO = "two target forwards a round"
THREE = "three target forwards a round"
REPLAYED = "a second target forward after each rejection"
NO_BONUS = "no bonus token after an all-accepted round"
BONUS_IN = "the length counts the token after the accepted drafts"
BONUS_OUT = "the length counts accepted drafts only"
FORWARDS = {ONE: 1, BONUS_IN: 1, TWO: 2, THREE: 3}
PER_FORWARD = (ONE, TWO, THREE, REPLAYED, NO_BONUS)
PER_ROUND = (BONUS_IN, BONUS_OUT, NO_BONUS)


@dataclass(frozen=True, slots=True)
class Fit:
    """One way of counting that no row rules out."""

    way: str
    depth: int | None
    """The K all rows share; None where each row has its own."""
    exact: bool
    """False: it rests on drafts that stand independently of each other."""

    @property
    def forwards(self) -> int:
        """Target forwards a round that it means, where that is one number; else 1."""
        return FORWARDS.get(self.way, 1)


@dataclass(frozen=True, slots=True)
class Fits:
    """What the rows leave possible."""

    of: str
    """`tokens_per_forward` or `length`."""
    arms: list[Arm]
    found: list[Fit]
    by_chance: float
    """Bounds the chance that rows of no common way of counting fit one of those tried."""

    @property
    def depth(self) -> int | None:
        """The one K that is possible, where the table told none."""
        depths = {fit.depth for fit in self.found}
        return next(iter(depths)) if len(depths) == 1 else None

    @property
    def ways(self) -> list[str]:
        """The ways that are possible."""
        return list(dict.fromkeys(fit.way for fit in self.found))


def fits(results: Results, of: str) -> Fits:
    """Return what the rows that tell a share and `of` leave possible; MissingEvidence if none do.

    Ways that rest on independence are tried only where no other is left.
    """
    arms = [arm for arm in results.having("accept_frac", of) if not arm.tree]
    ways = PER_FORWARD if of == "tokens_per_forward" else PER_ROUND
    told = [arm.get("depth") for arm in arms]
    depths = [None] if all(told) else [*range(1, DEEPEST + 1)]
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
    """Whether a row that tells its own K fits some way of counting by itself."""
    ways = PER_FORWARD if of == "tokens_per_forward" else PER_ROUND
    return any(_meets(arm, of, way, None, exact=exact) for way in ways for exact in (True, False))


def _by_chance(arms: list[Arm], of: str, found: list[Fit], tried: int) -> float:
    """Return the ways tried, times the share of its range each row's digits leave."""
    fit = found[0]
    told, chance = set[tuple[float, float]](), float(tried)
    for arm in arms:
        share, printed, own = arm.get("accept_frac"), arm.get(of), own_depth(arm, fit.depth)
        if not share or not printed or not own or (share.value, printed.value) in told:
            continue
        told.add((share.value, printed.value))
        expected = predicted(share, own, fit.way, survival(arm, own, exact=fit.exact))
        if expected is not None:
            room = expected.high - expected.low + printed.high - printed.low
            room += 0.0 if fit.exact else 2 * INDEPENDENT * expected.value
            chance *= min(room / max(own.value, 1.0), 1.0)
    return min(chance, 1.0)


def own_depth(arm: Arm, depth: int | None) -> Figure | None:
    """Return the K of a row: its own, or the one inferred."""
    told = arm.get("depth")
    return told or (exactly(depth) if depth else None)


def _meets(arm: Arm, of: str, way: str, depth: int | None, *, exact: bool) -> bool:
    share, printed, own = arm.get("accept_frac"), arm.get(of), own_depth(arm, depth)
    if share is None or printed is None or own is None or share.high > 1 + 1e-9:
        return share is None or printed is None or own is None
    expected = predicted(share, own, way, survival(arm, own, exact=exact))
    return expected is not None and printed.meets(expected, 0.0 if exact else INDEPENDENT)


def predicted(share: Figure, depth: Figure, way: str, full: Figure | None) -> Figure | None:
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


def survival(arm: Arm, depth: Figure, *, exact: bool) -> Figure | None:
    """Return S_K, the share of rounds all of whose drafts stood: as printed, or by independence."""
    last = round(depth.value)
    if exact:
        return arm.survival.get(last)
    share = arm.get("accept_frac")
    if share is None or last < 1:
        return None
    low, value, high = (all_stand(each, last) for each in (share.low, share.value, share.high))
    return Figure(value, low, high)


@lru_cache(maxsize=4096)
def all_stand(share: float, depth: int) -> float:
    """Return alpha^K for the alpha that gives this accepted/drafted at K (theory I7)."""
    return independent(share, depth) ** depth


@lru_cache(maxsize=4096)
def independent(share: float, depth: int) -> float:
    """Return alpha, the chance of each reached draft, from accepted/drafted at K (theory I7)."""
    if share <= 0 or share >= 1:
        return min(max(share, 0.0), 1.0)

    def excess(alpha: float) -> float:
        stood = alpha * (1 - alpha**depth) / (1 - alpha) if alpha < 1 else depth
        return stood / depth - share

    return float(optimize.brentq(excess, 0.0, 1.0))


def length_by_survival(arm: Arm) -> Figure | None:
    """Return 1 + the sum of S_i (theory I5), where every index from 1 on is told."""
    if not arm.survival or set(arm.survival) != set(range(1, len(arm.survival) + 1)):
        return None
    return exactly(1) + total(arm.survival.values())
