"""What one can add to specprof: a plugin author reads only this file.

One file adds one member: put it in a folder named like its kind (`drafters/`, `shapes/`, `depths/`,
`caches/`, `acceptance/`, `backends/`, `rules/`, `exporters/`), define one class derived from the
kind's base below, and the file's stem, dashes for underscores, is the member's name. The built-in
members enter by the same door, and the contract tests run over whatever the registry finds.

Class variables say what a member can do. Those of the engine's members are read from its file
before torch is loaded (`specprof/capabilities.py`), and an inherited one counts. Give each a
literal, or the name of a constant: what can't be read so is refused by name.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from specprof.findings import Family, Outcome, Stage
from specprof.records import Event, Header, Round
from specprof.settings import RunSpec, Settings

if TYPE_CHECKING:
    from pathlib import Path

    import torch

    from specprof.analysis.evidence import Evidence
    from specprof.capture import Capture
    from specprof.engine.decoder import Decoder
    from specprof.engine.instruments.stopwatch import Stopwatch
    from specprof.engine.setup.loading import Loaded
    from specprof.engine.stores.dense import Store

# --- the engine's members ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a run's members are made from: settings, the law, the shared clock and generator."""

    settings: Settings
    law: "Law"
    policy: "Depth"
    generator: "torch.Generator"
    watch: "Stopwatch"
    target: "Decoder"
    """The target itself: a drafter may read its features, never feed it."""
    draft: "Loaded | None"
    """What the drafter's `load` returned."""
    decoder: "Callable[[torch.nn.Module], Decoder]"
    """Makes a decoder of a Hugging Face causal model over a cache of the draft's kind."""
    store: "Callable[[torch.nn.Module], Store]"
    """Makes such a cache alone, for a drafter that decodes in its own way."""
    capacity: int
    """Tokens the caches have room for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """Drafted tokens, how they hang together, and the law each was really drawn from."""

    tokens: "torch.Tensor"
    """[N] int64, on the device, parents before children; N may be 0 or less than asked."""
    logits: "torch.Tensor | None"
    """[N, vocab] raw draft logits of each token's place; None where the draft has no distribution
    (n-gram lookup). Draws are judged by `Parts.law` of these: one with a temperature or filters of
    its own has them in its logits."""
    draft_probs: "torch.Tensor | None"
    """[N, vocab] the law each token was drawn from: without the siblings before it where they are
    drawn without replacement. None for a deterministic draft, whose law puts all its mass on the
    drafted token (theory 2.3: such a draft owes target_prob of it)."""
    parents: "torch.Tensor | None" = None
    """[N] int64 index of the token each follows, -1 the last committed one; None for a chain."""
    family: int = 1
    """The most siblings any token has, itself included."""


class Drafter(ABC):
    """Proposes tokens. Owns its own cache; is told after every round what was committed."""

    member_kind: ClassVar[str] = "drafter"

    distribution: ClassVar[bool] = True
    """Whether its drafts are drawn from a distribution. False: it copies tokens or drafts none, so
    a round may find nothing to draft, its `Proposal.logits` are None, and it can't grow a tree."""
    refed: ClassVar[bool] = False
    """Whether every round feeds anew what the last one drafted: after a round the draft's cache
    then ends where that round began."""

    draft: "Decoder | None" = None
    """What it drafts with, where that has a cache to be measured and rolled back."""
    plain: "torch.nn.Module | None" = None
    """A module whose forward over the bare tokens gives the draft's logits, to hold its state
    against; None where there is none."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts

    @classmethod
    def load(cls, settings: Settings, target: "Loaded") -> "Loaded | None":
        """Load what it drafts with, onto the target's device; None where it needs nothing.

        Raises UsageError or EnvironmentMissing where that can't be had or can't draft for `target`.
        """
        del settings, target
        return None

    @abstractmethod
    def propose(self, committed: list[int], depth: int) -> Proposal:
        """Draft up to `depth` tokens, or levels of a tree, after `committed`."""

    def prefill(self, committed: list[int]) -> None:
        """Take in known text: all of `committed` but its last token, which the round feeds."""
        if self.draft is not None:
            self.draft.prefill(committed[self.draft.length : -1])

    def rollback(self, committed: int) -> None:
        """Forget whatever was fed beyond the first `committed` tokens less one.

        After an all-accepted round there is nothing to forget: its last draft was never fed.
        """
        if self.draft is not None:
            self.draft.rollback(min(self.draft.length, committed - 1))


class Shape(ABC):
    """Says how a model's drafted tokens hang together: a chain, a tree."""

    member_kind: ClassVar[str] = "shape"

    tree: ClassVar[bool] = True

    def __init__(self, parts: Parts) -> None:
        self.parts = parts

    @classmethod
    def room(cls, settings: Settings, depth: int) -> int:
        """Return how many tokens `depth` levels can take in a cache, the target's or its own."""
        del settings
        return depth

    @abstractmethod
    def grow(self, draft: "Decoder", fed: "torch.Tensor", depth: int) -> Proposal:
        """Feed [n] the committed tokens the draft lacks, then draft `depth` levels after them.

        Times each step on the parts' watch. A tree is rolled back from the draft's cache before it
        is returned.
        """


class Depth(ABC):
    """Chooses each round's K before the target has seen any of it, and so keeps the target's law.

    It may stop drafting after a token, never drop one that was drawn: that would be lossy.
    """

    member_kind: ClassVar[str] = "depth"

    watches: ClassVar[bool] = False
    """Whether it wants each drafted token's probability as it is drawn: a wait for the device."""
    deepest: ClassVar[int] = 0
    """The largest K it may ask for, where that is more than `Settings.depth`."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @property
    def bound(self) -> int:
        """The largest K it may ever ask for."""
        return max(self.deepest, self.settings.depth)

    @abstractmethod
    def ask(self) -> int:
        """Return K for the round that begins."""

    def go_on(self, confidences: list[float]) -> bool:
        """Whether to draft on, given the draft's probability of each token drawn so far."""
        del confidences
        return True

    def learn(self, drafted: int, accepted: int) -> None:  # noqa: B027 - an offer, not a duty
        """Take in how the round ended."""

    def timed(self, played: Round) -> None:  # noqa: B027 - likewise
        """Take in a round's times, once they are known."""


class Law(ABC):
    """Turns raw logits into the law tokens are drawn from (temperature, top-k, top-p)."""

    greedy: bool

    @abstractmethod
    def probs(self, logits: "torch.Tensor") -> "torch.Tensor":
        """Return float32 probabilities of the same shape, [..., vocab]."""

    @abstractmethod
    def draw(self, probs: "torch.Tensor", generator: "torch.Generator") -> "torch.Tensor":
        """Draw one token per row of [rows, vocab] probabilities; returns [rows] int64."""


class Acceptance(ABC):
    """Decides how many drafted tokens stand, and the token that follows them."""

    member_kind: ClassVar[str] = "acceptance"

    lossless: ClassVar[bool] = True
    """Whether the emitted tokens follow the target's own law. A contract test holds it to this."""
    trees: ClassVar[bool] = False
    """Whether it can decide a tree."""
    joint: ClassVar[bool] = False
    """Whether it judges a round's drafts together, so that `left` says nothing of a correction."""

    @abstractmethod
    def decide(
        self,
        target_logits: "torch.Tensor",
        proposal: Proposal,
        law: Law,
        generator: "torch.Generator",
    ) -> "torch.Tensor":
        """Return [2] int64: the last accepted drafted token, -1 if none, and the token after it.

        `target_logits` are [N+1, vocab]: row 0 is the target's answer after the last committed
        token, row i+1 its answer after drafted token i. What is accepted is the path to the one
        returned; the token after it is a correction, or a bonus where the path could go no deeper.
        """

    @abstractmethod
    def owed(self, target_probs: "torch.Tensor", draft_probs: "torch.Tensor") -> "torch.Tensor":
        """Return [places] the acceptance owed before the draw, from [places, vocab] laws."""

    @abstractmethod
    def owed_given(self, target_prob: float, draft_prob: float) -> float:
        """Return the acceptance owed given a drafted token's two probabilities."""

    def owed_each(
        self, target_probs: "torch.Tensor", draft_probs: "torch.Tensor", tokens: "torch.Tensor"
    ) -> "torch.Tensor | None":
        """Return [places] what is owed given each of `tokens` where two probabilities don't tell.

        From [places, vocab] laws; None where they do, and `owed_given` answers.
        """
        del target_probs, draft_probs, tokens
        return None

    def left(
        self, target_probs: "torch.Tensor", draft_probs: "torch.Tensor", tokens: "torch.Tensor"
    ) -> "torch.Tensor":
        """Return [places, vocab] weights a next sibling is held against once `tokens` fell.

        Of a tree: `target_probs` are in force for `tokens` [places], drawn from `draft_probs`.
        Unless said otherwise the tokens that fell are simply no longer to be had.
        """
        del draft_probs
        return target_probs.scatter(1, tokens[:, None], 0.0)


class Cache(ABC):
    """Makes the key-value store a model decodes with; owns tokens' positions."""

    member_kind: ClassVar[str] = "cache"

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @abstractmethod
    def open(self, model: "torch.nn.Module", capacity: int) -> "Store":
        """Return a store for `model` with room for `capacity` tokens."""

    def held(self, capacity: int) -> int:
        """Return how many of `capacity` tokens its stores have rows for at once."""
        return capacity

    def plain(self, model: "torch.nn.Module") -> "torch.nn.Module":
        """Return a module that gives `model`'s answers over this cache without any cache."""
        return model


class Backend(ABC):
    """Turns a RunSpec into the events of a capture: a Header first, no End (the recorder's)."""

    member_kind: ClassVar[str] = "backend"

    observe_ns: int = 0
    """Time this backend spent computing evidence so far."""

    @property
    def more(self) -> bool:
        """Whether another event follows at once the one just yielded: they are written together."""
        return False

    @abstractmethod
    def run(self, spec: RunSpec, command: list[str]) -> Generator[Event]:
        """Yield the events as they happen; closing the iterator must release every resource."""


# --- the readers' members ---------------------------------------------------------------------


class Rule(ABC):
    """Reads evidence, returns an outcome. Its module's docstring is what `explain` prints.

    The docstring opens with one line that names the defect and has these headings, in order:
    Measures, Fires when, Why this is a bug and not a mismatch (or the like), Likely causes,
    Confirm, Does not see, Try it.
    """

    member_kind: ClassVar[str] = "rule"

    family: ClassVar[Family]
    undermines: ClassVar[bool] = False
    """Where this measurement rule fires, statistical verdicts become Unknown."""
    statistical: ClassVar[bool] = True
    """Exact rules (bookkeeping) stand whatever the quality of the measurement."""

    stage: ClassVar[Stage | None] = None
    """Where the defect shows. Of several rules that fire, the one of the first stage leads.

    Within a stage `specprof/decision_table.py` says which leads; a rule that is not listed there
    stands last. None: after all other rules.
    """

    @abstractmethod
    def judge(self, evidence: "Evidence") -> Outcome:
        """Look at the evidence. May raise MissingEvidence, which becomes Unknown."""


class Probe(ABC):
    """A controlled change whose outcome confirms or overturns a verdict.

    Its module's docstring has these headings, in order: Changes, Confirms, Overturns, Does not see.
    """

    member_kind: ClassVar[str] = "probe"

    bears_on: ClassVar[frozenset[str]]
    """Rules whose findings, or whose Unknown, its outcome would settle."""
    family: ClassVar[Family]
    """What a finding of its own is."""
    stage: ClassVar[Stage | None] = None
    """As a rule's."""
    clears: ClassVar[frozenset[str]] = frozenset()
    """Rules whose findings don't stand where it looked and saw nothing."""
    corrects: ClassVar[frozenset[str]] = frozenset()
    """Rules whose findings don't stand where it found something: that explains them."""

    @abstractmethod
    def runs(self, header: Header) -> list[Settings]:
        """Return the runs to make: the capture's own settings with little varied.

        An empty list where it doesn't apply to that capture.
        """

    @abstractmethod
    def judge(self, evidence: "Evidence", runs: Sequence["Evidence"]) -> Outcome:
        """Judge the capture by the runs that were made, in the order of `runs`."""


class Exporter(ABC):
    """Writes a capture in another tool's format."""

    member_kind: ClassVar[str] = "exporter"

    suffix: ClassVar[str]
    """What the file's name ends in, with its dot."""
    viewer: ClassVar[str]
    """Where to open the result, for the line printed after an export."""
    binary: ClassVar[bool] = False
    """Whether the format is no text, and so never goes to the terminal."""

    @abstractmethod
    def write(self, capture: "Capture", path: "Path") -> None:
        """Write `capture` to `path`, where no file is yet.

        Go through `capture.events` as often as you need. Each time they are read anew from the
        file, a piece at a time: you hold only what you keep of them. `capture.end`, `damaged`,
        `torn` and `state` are known once you have gone through them all; asked before, they cost
        a time through. `len` and places such as `events[-1]` work too, and hold every event.
        """
