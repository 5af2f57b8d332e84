"""The outcomes of a rule or probe: found, with numbers; explained; clear; unknown; or crashed."""

from dataclasses import dataclass
from enum import Enum
from typing import Literal

Family = Literal["bug", "mismatch", "cost", "measurement", "configuration"]
Model = Literal["target", "draft"]


class Stage(Enum):
    """Where a defect shows, in the order in which findings lead; each catalogue case has a stage.

    `specprof/decision_table.py` says why each stage has its place.
    """

    CAPTURE = "capture"
    """The file itself."""
    STREAM = "stream"
    """The emitted tokens."""
    BOOKKEEPING = "bookkeeping"
    """Cache lengths, tokens a round, forwards."""
    TARGET_STATE = "target state"
    """The target's caches, positions and masks."""
    ACCEPT_RULE = "accept rule"
    """How drafted tokens are accepted or rejected."""
    DRAFT_LAW = "draft law"
    """Which law drafts are drawn from, and which law the accept step is given."""
    EMISSION = "emission"
    """Corrections and bonus tokens."""
    DRAFTER = "drafter"
    """How a head is fed and wired."""
    DRAFT_STATE = "draft state"
    """The draft's caches, positions and masks."""
    CONFIGURATION = "configuration"
    """Wrong settings of an engine that works."""
    NUMERICS = "numerics"
    """Rounding and near ties."""
    MISMATCH = "mismatch"
    """How far the two models' laws differ."""
    COST = "cost"
    """Where time goes."""
    MEASUREMENT = "measurement"
    """Whether the numbers can be trusted."""

    @property
    def number(self) -> int:
        """The place among the stages, from 0."""
        return list(Stage).index(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One number of a finding, with its unit, sample size and interval."""

    name: str
    """Includes the denominator: `accepted per reached token`, `ms per round`."""
    value: float
    unit: str = ""
    n: int | None = None
    """The number of observations."""
    counted: str = ""
    """What `n` counts: `rounds`, `reached tokens`; empty: what the name counts."""
    low: float | None = None
    high: float | None = None
    """Upper end of the interval; the rule's docstring gives its level, by default 95%."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """The first place where the value that the run used differs from the right one."""

    round: int
    context: int
    """Committed tokens before the place."""
    index: int | None = None
    """Draft index in the round, from 0; None: the correction or bonus, or the round as a whole."""
    event: str = ""
    """What had just happened: `after a rejection`, `at the window's first eviction` ..."""
    used: float | None = None
    """The value that the run used there, in the unit of the finding's first measure."""
    clean: float | None = None
    """The right value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a rule found: a sentence, its numbers, what to do, and how to confirm it."""

    message: str
    measures: tuple[Measure, ...]
    remedy: str
    confirm: tuple[str, ...] = ()
    """Commands whose outcome would confirm or overturn the finding. In a diagnosis of a user's own
    loop the experiment stands here in words: no command of specprof's runs that loop."""
    rounds: tuple[int, ...] = ()
    """Indices of the first rounds that show it."""
    where: Where | None = None
    """The first place that shows it; None where the finding concerns the run as a whole."""
    suspects: tuple[str, ...] = ()
    """Cases of the catalogue that leave these signals, the likeliest first; two at most."""
    headline: bool = False
    """Whether the diagnosis's sentence names the finding as a cause."""
    model: Model | None = None
    """The model whose state is wrong; None where the finding is about neither model's state."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The rule fired."""

    finding: Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """The rule fired, and a more basic finding leaves what it saw: one cause is one finding."""

    by: str
    """The rule whose finding explains it."""
    finding: Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class Clear:
    """The rule looked and found nothing."""

    detectable: str
    """The smallest effect that the rule would have found."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """The rule can't judge: evidence is missing, or another verdict undermines the rule."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Crashed:
    """The rule itself failed; other rules are not affected."""

    error: str


Outcome = Found | Explained | Clear | Unknown | Crashed
