"""What a judge says: found, with its numbers; or looked and saw nothing; or can't say."""

from dataclasses import dataclass
from enum import Enum
from typing import Literal

Family = Literal["bug", "mismatch", "cost", "measurement", "configuration"]


class Stage(Enum):
    """Where a defect shows, in the order in which findings lead; cases of the catalogue have one.

    `specprof/decision_table.py` says why each stands where it stands.
    """

    CAPTURE = "capture"
    """The file itself."""
    STREAM = "stream"
    """The tokens, read as a text."""
    BOOKKEEPING = "bookkeeping"
    """Cache lengths, tokens a round, forwards."""
    TARGET_STATE = "target state"
    """The target's caches, positions and masks."""
    ACCEPT_RULE = "accept rule"
    """How drafted tokens are decided."""
    DRAFT_LAW = "draft law"
    """Which law drafts are drawn from, and which one the accept step is given."""
    EMISSION = "emission"
    """Corrections and bonus tokens."""
    DRAFTER = "drafter"
    """How a head is fed and wired."""
    DRAFT_STATE = "draft state"
    """The draft's caches, positions and masks."""
    CONFIGURATION = "configuration"
    """What was set wrongly in an engine that works."""
    NUMERICS = "numerics"
    """Rounding and near ties."""
    MISMATCH = "mismatch"
    """What two models think of each other."""
    COST = "cost"
    """Where time goes."""
    MEASUREMENT = "measurement"
    """Whether the numbers can be trusted."""

    @property
    def number(self) -> int:
        """Its place among the stages, from 0."""
        return list(Stage).index(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One number of a finding, with what a reader needs to trust it."""

    name: str
    """With its denominator: `accepted per reached token`, `ms per round`."""
    value: float
    unit: str = ""
    n: int | None = None
    """How many observations it rests on."""
    low: float | None = None
    high: float | None = None
    """Interval; its level is in the rule's docstring (95% unless it says otherwise)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """The first place where what was used and what is clean part."""

    round: int
    context: int
    """Committed tokens before the place."""
    index: int | None = None
    """Draft index in the round, from 0; None: the correction or bonus, or the round as a whole."""
    event: str = ""
    """What had just happened: `after a rejection`, `at the window's first eviction` ..."""
    used: float | None = None
    """What the run acted on there, in the unit of the finding's first measure."""
    clean: float | None = None
    """What it should have been."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a rule saw: a sentence, the numbers behind it, what to do, how to make sure."""

    message: str
    measures: tuple[Measure, ...]
    remedy: str
    confirm: tuple[str, ...] = ()
    """Commands whose outcome would confirm or overturn this."""
    rounds: tuple[int, ...] = ()
    """Indices of the first rounds that show it."""
    where: Where | None = None
    """The first place that shows it, where one does."""
    suspects: tuple[str, ...] = ()
    """Cases of the catalogue that leave these very signals, the likeliest first; two at most."""
    headline: bool = False
    """Whether the cause stands in the diagnosis' attribution sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The rule fired."""

    finding: Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class Clear:
    """The rule looked and saw nothing; `detectable` is the smallest effect it would have seen."""

    detectable: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """The rule can't say: the evidence is missing, or another verdict undermines it."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Crashed:
    """The rule itself failed; the others are not affected."""

    error: str


Outcome = Found | Clear | Unknown | Crashed
