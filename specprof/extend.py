"""The base class of every kind of plug-in: a plug-in author reads only this file.

One file adds one member. Put it in a folder named like its kind (`drafters/`, `shapes/`, `depths/`,
`caches/`, `acceptance/`, `backends/`, `rules/`, `exporters/`). Define one class in it that derives
from the kind's base below. The file's stem, with dashes for underscores, is the member's name. The
built-in members are added in the same way, and the contract tests run over all that are found.

Class variables say what a member can do. Those of the engine's members are read from its file
before torch is loaded (`specprof/capabilities.py`), and an inherited one counts. Give each a
literal, or the name of a constant: a value that can't be read in this way is refused by name.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from specprof.findings import Family, Model, Outcome, Stage
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
    """What drafters and shapes get: settings, models, the law, the shared clock and generator."""

    settings: Settings
    law: "Law"
    policy: "Depth"
    generator: "torch.Generator"
    watch: "Stopwatch"
    target: "Decoder"
    """The target. A drafter may read its features. It may not feed it."""
    draft: "Loaded | None"
    """What the drafter's `load` returned."""
    decoder: "Callable[[torch.nn.Module], Decoder]"
    """Makes a decoder of a Hugging Face causal model, with a cache of the draft's kind."""
    store: "Callable[[torch.nn.Module], Store]"
    """Makes a cache of the draft's kind alone, for a drafter that decodes in its own way."""
    capacity: int
    """Tokens that the caches have room for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """Drafted tokens, their parents, and the law (distribution) that each was drawn from."""

    tokens: "torch.Tensor"
    """[N] int64, on the device, parents before children; N may be 0, or less than was asked for."""
    logits: "torch.Tensor | None"
    """[N, vocab] raw draft logits at each token's place; None if the draft has no distribution
    (n-gram lookup). The evidence applies `Parts.law` to them. So a drafter with a temperature or
    filters of its own must put these into its logits."""
    draft_probs: "torch.Tensor | None"
    """[N, vocab] the law that each token was drawn from. If siblings are drawn without replacement,
    a token's law leaves out the siblings before it. None for a deterministic draft: its law puts
    all mass on the drafted token, and the acceptance owed is target_prob (theory 2.3)."""
    parents: "torch.Tensor | None" = None
    """[N] int64 index of each token's parent, -1 for the last committed token; None for a chain."""
    family: int = 1
    """The largest number of children that one token has: 1 in a chain."""


class Drafter(ABC):
    """Proposes tokens. It owns its cache. After every round it learns what was committed."""

    member_kind: ClassVar[str] = "drafter"

    distribution: ClassVar[bool] = True
    """Whether it draws its drafts from a distribution. False: it copies tokens or drafts none. A
    round may then find nothing to draft, `Proposal.logits` is None, and it can't grow a tree."""
    refed: ClassVar[bool] = False
    """Whether every round feeds the accepted drafts of the last round again. If so, the draft's
    cache after a round ends where that round began."""

    draft: "Decoder | None" = None
    """The decoder it drafts with. Its cache is measured and rolled back. None without a cache."""
    plain: "torch.nn.Module | None" = None
    """A module whose forward over the bare tokens gives the draft's logits. The draft's state is
    compared with it. None if there is no such module."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts

    @classmethod
    def load(cls, settings: Settings, target: "Loaded") -> "Loaded | None":
        """Load what it drafts with onto the target's device; return None if it needs nothing.

        Raises UsageError or EnvironmentMissing if that is missing, or can't draft for `target`.
        """
        del settings, target
        return None

    @abstractmethod
    def propose(self, committed: list[int], depth: int) -> Proposal:
        """Draft up to `depth` tokens, or levels of a tree, after the token ids `committed`."""

    def prefill(self, committed: list[int]) -> None:
        """Feed known text: all of `committed` but its last token, which the next round feeds."""
        if self.draft is not None:
            self.draft.prefill(committed[self.draft.length : -1])

    def rollback(self, committed: int) -> None:
        """Forget the tokens that were fed beyond the first `committed` - 1.

        After an all-accepted round there is nothing to forget: its last draft was never fed.
        """
        if self.draft is not None:
            self.draft.rollback(min(self.draft.length, committed - 1))


class Shape(ABC):
    """Decides which drafted token follows which: a chain, or a tree."""

    member_kind: ClassVar[str] = "shape"

    tree: ClassVar[bool] = True

    def __init__(self, parts: Parts) -> None:
        self.parts = parts

    @classmethod
    def room(cls, settings: Settings, depth: int) -> int:
        """Return the most tokens that `depth` levels add to the target's or the draft's cache."""
        del settings
        return depth

    @abstractmethod
    def grow(self, draft: "Decoder", fed: "torch.Tensor", depth: int) -> Proposal:
        """Feed `fed`, [n] committed tokens that the draft lacks; draft `depth` levels after them.

        It times each step on `Parts.watch`. It rolls a tree back from the draft's cache before it
        returns.
        """


class Depth(ABC):
    """Chooses K of each round before the target sees its drafts, so the output's law is unchanged.

    It may stop drafting after a token. It may not drop a token that was drawn: that would change
    the output's law.
    """

    member_kind: ClassVar[str] = "depth"

    watches: ClassVar[bool] = False
    """Whether `go_on` needs each token's probability as it is drawn: reading it waits for the
    device."""
    deepest: ClassVar[int] = 0
    """The largest K it may ask for, if that is more than `Settings.depth`."""

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
        """Return whether to draft on, given the draft's probability of each token drawn so far."""
        del confidences
        return True

    def learn(self, drafted: int, accepted: int) -> None:  # noqa: B027 - overriding is optional
        """Learn a round's outcome: its drafted levels (in a chain, tokens), its accepted tokens."""

    def timed(self, played: Round) -> None:  # noqa: B027 - overriding is optional
        """Learn a round's times, once they are known."""


class Law(ABC):
    """Turns raw logits into the law (distribution) of the next token: temperature, top-k, top-p."""

    greedy: bool

    @property
    def of_draft(self) -> "Law":
        """The law by which drafts are drawn: the same, but for a user's loop that says another."""
        return self

    @abstractmethod
    def probs(self, logits: "torch.Tensor") -> "torch.Tensor":
        """Return float32 probabilities of the same shape, [..., vocab]."""

    @abstractmethod
    def draw(self, probs: "torch.Tensor", generator: "torch.Generator") -> "torch.Tensor":
        """Draw one token from each row of [rows, vocab] probabilities; return [rows] int64."""


class Acceptance(ABC):
    """Decides which drafted tokens are accepted, and draws the token that follows them."""

    member_kind: ClassVar[str] = "acceptance"

    lossless: ClassVar[bool] = True
    """Whether the emitted tokens follow the target's own law. A contract test checks this claim."""
    trees: ClassVar[bool] = False
    """Whether it can decide a tree."""
    joint: ClassVar[bool] = False
    """Whether it judges all drafts of a round together. If so, `left` does not give the law that a
    correction is drawn from."""

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
        token, row i+1 its answer after drafted token i. The path to the returned drafted token is
        accepted. The token after it is a correction, or a bonus if the path could go no deeper.
        """

    @abstractmethod
    def owed(self, target_probs: "torch.Tensor", draft_probs: "torch.Tensor") -> "torch.Tensor":
        """Return [places] the acceptance owed before the draw, from [places, vocab] laws."""

    @abstractmethod
    def owed_given(self, target_prob: float, draft_prob: float) -> float:
        """Return the acceptance owed to a drafted token, given its two probabilities."""

    def owed_each(
        self, target_probs: "torch.Tensor", draft_probs: "torch.Tensor", tokens: "torch.Tensor"
    ) -> "torch.Tensor | None":
        """Return [places] the acceptance owed to each of `tokens`, from [places, vocab] laws.

        None if a token's two probabilities suffice: then `owed_given` is asked instead.
        """
        del target_probs, draft_probs, tokens
        return None

    def left(
        self, target_probs: "torch.Tensor", draft_probs: "torch.Tensor", tokens: "torch.Tensor"
    ) -> "torch.Tensor":
        """Return [places, vocab] the target's weights after `tokens` [places] were rejected.

        The next sibling in a tree is judged by them. `tokens` were drawn from `draft_probs` and
        judged by `target_probs`, both [places, vocab]. By default a rejected token's weight is 0.
        """
        del draft_probs
        return target_probs.scatter(1, tokens[:, None], 0.0)


class Cache(ABC):
    """Makes the key-value store that a model decodes with. It owns the tokens' positions."""

    member_kind: ClassVar[str] = "cache"

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @abstractmethod
    def open(self, model: "torch.nn.Module", capacity: int) -> "Store":
        """Return a store for `model` with room for `capacity` tokens."""

    def held(self, capacity: int) -> int:
        """Return how many of `capacity` tokens its stores keep at once."""
        return capacity

    def plain(self, model: "torch.nn.Module") -> "torch.nn.Module":
        """Return a module that gives, without a cache, the answers of `model` with this cache."""
        return model


class Backend(ABC):
    """Turns a RunSpec into the events of a capture: a Header first; the recorder adds the End."""

    member_kind: ClassVar[str] = "backend"

    observe_ns: int = 0
    """Nanoseconds this backend has spent computing evidence so far."""

    @property
    def more(self) -> bool:
        """Whether another event follows the last one at once. Both are then written together."""
        return False

    @abstractmethod
    def run(self, spec: RunSpec, command: list[str]) -> Generator[Event]:
        """Yield the events as they happen. Closing the iterator must release every resource."""


# --- the readers' members ---------------------------------------------------------------------


class Rule(ABC):
    """Reads evidence and returns an outcome. `specprof explain` prints its module's docstring.

    The docstring opens with one line that names the defect and has these headings, in order:
    Measures, Fires when, Why this is a bug and not a mismatch (or the like), Likely causes,
    Confirm, Does not see, Try it.
    """

    member_kind: ClassVar[str] = "rule"

    family: ClassVar[Family]
    undermines: ClassVar[bool] = False
    """Whether statistical verdicts become Unknown if this measurement rule fires."""
    undermines_times: ClassVar[bool] = False
    """Whether verdicts of rules that judge times become Unknown if this measurement rule fires."""
    judges_times: ClassVar[bool] = False
    """Whether its verdict rests on measured times, so that a busy machine undermines it."""
    statistical: ClassVar[bool] = True
    """Whether its verdict is statistical. False: it is exact (bookkeeping), and stands even if the
    measurement is poor."""

    explained_by: ClassVar[frozenset[str]] = frozenset()
    """Rules of earlier places whose findings leave what this rule sees: it then stands down."""
    rests_on: ClassVar[Model | None] = None
    """The one model that its finding rests on: a wrong state of the other explains nothing."""
    silences: ClassVar[frozenset[str]] = frozenset()
    """Rules of later families that become Unknown if this one fires: their numbers mean nothing."""

    stage: ClassVar[Stage | None] = None
    """Where the defect shows. If several rules fire, the rule of the earliest stage leads.

    `specprof/decision_table.py` orders the rules of a stage. A rule that is not listed there comes
    last in its stage. None: it comes after all other rules.
    """

    @abstractmethod
    def judge(self, evidence: "Evidence") -> Outcome:
        """Judge the evidence. It may raise MissingEvidence, which becomes Unknown."""


class Probe(ABC):
    """A controlled change whose outcome confirms or overturns a verdict.

    Its module's docstring has these headings, in order: Changes, Confirms, Overturns, Does not see.
    """

    member_kind: ClassVar[str] = "probe"

    bears_on: ClassVar[frozenset[str]]
    """Names of the rules whose finding or Unknown its outcome would settle."""
    family: ClassVar[Family]
    """The family of its own finding."""
    stage: ClassVar[Stage | None] = None
    """Where the defect of its own finding shows, as `Rule.stage`."""
    clears: ClassVar[frozenset[str]] = frozenset()
    """Rules whose findings are withdrawn if the probe looked and saw nothing."""
    corrects: ClassVar[frozenset[str]] = frozenset()
    """Rules whose findings are withdrawn if the probe found something, which explains them."""

    @abstractmethod
    def runs(self, header: Header) -> list[Settings]:
        """Return the settings of the runs to make: the capture's own, with little varied.

        Return an empty list if the probe doesn't apply to that capture.
        """

    @abstractmethod
    def judge(self, evidence: "Evidence", runs: Sequence["Evidence"]) -> Outcome:
        """Judge the capture by the runs that were made, in the order of `runs`."""


class Exporter(ABC):
    """Writes a capture in another tool's format."""

    member_kind: ClassVar[str] = "exporter"

    suffix: ClassVar[str]
    """The ending of the file's name, with its dot."""
    viewer: ClassVar[str]
    """The program that opens the result. It is named in the line printed after an export."""
    binary: ClassVar[bool] = False
    """Whether the format is binary. Binary data is never written to the terminal."""

    @abstractmethod
    def write(self, capture: "Capture", path: "Path") -> None:
        """Write `capture` to `path`, where no file exists yet.

        Iterate over `capture.events` as often as you need. Each time they are read anew from the
        file, a piece at a time, so only the events that you keep take memory. `capture.end`,
        `damaged`, `torn` and `state` are known after the first time through. If you ask for them
        earlier, the file is read through once more. `events[-1]` works too, and holds every event.
        """
