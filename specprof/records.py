"""What a capture holds: one struct for each kind of event, and for what they consist of.

All are frozen msgspec structs. ``None`` means *not known*, never zero. Times are integer
nanoseconds on the run's own clock (0 = start of the run). Sizes are bytes. Rates carry their
denominator's name. Structs of which a round has many are left out of garbage collection
(`gc=False`): none holds a cycle.
"""

from typing import Annotated, Literal

import msgspec

from specprof import amounts
from specprof.recheck_records import (
    OtherInput,
    OtherLaws,
    ProcessedRows,
    Rechecked,
    Rescored,
    ShiftedRows,
)
from specprof.settings import RunSpec

SCHEMA = 1
"""It is raised if an older reader could misread a newer file. An added optional field is safe."""


class ModelFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a loaded model."""

    name: str
    architecture: str
    parameters: amounts.Size
    layers: amounts.Count
    vocabulary: amounts.Positive
    dtype: str
    weight_bytes: amounts.Size
    kv_bytes_per_token: amounts.Size
    """Bytes over all layers, keys and values, for one sequence."""
    trained_context: amounts.Count | None = None
    """max_position_embeddings, or the original length under a RoPE scaling."""
    window: amounts.Count | None = None
    """Tokens that its sliding-window layers see, as configured; None: every layer sees all."""
    rope: str | None = None
    """The configured kind of rotation: `default`, `linear`, `yarn` ...; None: it has none."""
    rotation: amounts.Angles = []
    """Radians per position for each pair of rotary dimensions, as the loaded module has them."""
    rotation_configured: amounts.Angles = []
    """Radians per position for each pair of rotary dimensions, as the configuration asks for."""
    vocabulary_sha: str | None = None
    """The first 16 digits of the SHA-256 of the tokenizer's table of ids and strings."""
    path: str | None = None
    """How its forwards were computed: `flat` or `modules`; None: not by specprof's own loop."""
    path_reason: str | None = None
    """Why they were not flat, if `modules` was not asked for."""
    graphs: bool | None = None
    """Whether short forwards over a chain were recorded and replayed: as CUDA graphs on a GPU, as
    TorchScript on a CPU; None: specprof's own loop did not run them."""
    graphs_reason: str | None = None
    """Why they were not replayed."""

    @property
    def forwards(self) -> str | None:
        """How its forwards were computed, in a word or two; None: not by specprof's own loop."""
        return f"{self.path} replayed" if self.path and self.graphs else self.path


class ClockFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Which clock timed the spans, and the cost of reading it."""

    kind: str
    """`perf_counter_ns`, or the accelerator's events: `cuda`, `xpu`, `mps`."""
    read_ns: amounts.Cost
    """Measured cost of one reading, in nanoseconds."""


class Header(msgspec.Struct, frozen=True, kw_only=True, tag="header", tag_field="event"):
    """The first line of a capture: what ran, on what, with which versions."""

    schema: int = SCHEMA
    specprof: str
    created: str
    """UTC, ISO 8601."""
    spec: RunSpec
    command: list[str] = []
    target: ModelFacts | None = None
    draft: ModelFacts | None = None
    acceptance: str
    """The acceptance rule in force, after `auto` was resolved."""
    lossless: bool | None = None
    """Whether the acceptance rule claims that the output follows the target's law."""
    clock: ClockFacts
    device: str
    """As torch names it: `cpu`, `cuda:0`."""
    machine: dict[str, str | int | None] = {}
    """Device name, cores, threads, memory, driver, as far as they could be found out."""
    versions: dict[str, str | None] = {}
    """Packages that change what is measured; None = not installed."""
    text: str | None = None
    """Where the prompt text came from, with its SHA-256."""
    engine: str | None = None
    """The name of the loop whose rounds `specprof.record` recorded; None for specprof's runs."""
    locked_on: str | None = None
    """The id of the machine's boot during which the recorder holds a lock on the file.

    None if the file can't be locked, or the boot has no id. A reader then can't see whether the
    recorder still runs."""


class Span(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A stretch of a round's or a prefill's time. The host gap is derived, never recorded."""

    name: amounts.Name
    """`draft` and its steps, `verify`, `accept`, `rollback`; `prefill-target`, `prefill-draft`."""
    parent: amounts.Name | None
    """The span that this span lies in; None directly below its round or prefill."""
    start_ns: amounts.Duration
    """Since the start of its round or prefill."""
    ns: amounts.Duration
    """Duration on the clock that the header names: an accelerator's events, or the host's clock."""


class Observed(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Both models' probabilities of a drafted token, computed from the raw logits.

    The accept step does not compute them, so a faulty accept step can't vouch for itself.
    """

    target_prob: amounts.Share
    """Target's probability of the token, after temperature and truncation."""
    draft_prob: amounts.Share
    """Its probability under the law it is declared to be drawn from (1: a deterministic draft)."""
    overlap: amounts.Share
    """Acceptance owed before the draw. For rejection: the sum over tokens of min(target, draft)
    (arXiv 2211.17192, section 3.2). For greedy: 1 if both first choices are one token, else 0."""
    accept_owed: amounts.Share
    """Acceptance owed to this token: min(1, target_prob / draft_prob), or 0 or 1 for greedy."""
    draft_rank: amounts.Share | None = None
    """Mass of the declared law on tokens likelier than this token, plus half the mass on tokens
    just as likely. Its mean is 1/2 for every law, if the token was drawn from that law."""


class Drafted(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One drafted token and what became of it."""

    token: amounts.Token
    parent: amounts.ParentIndex
    """Index in the round of the drafted token it follows; -1 for the last committed token."""
    reached: bool
    """Whether it was evaluated: all its ancestors were accepted, and no earlier sibling was.
    Reached tokens are the honest denominator of an acceptance rate."""
    accepted: bool
    seen: Observed | None = None
    """None if it was not reached, or if the run recorded no evidence."""


class Round(
    msgspec.Struct, frozen=True, kw_only=True, tag="round", tag_field="event", omit_defaults=True
):
    """One draft-verify-accept round."""

    index: amounts.Count
    burst: amounts.Count = 0
    """Which burst of the run it belongs to. Each round of a burst continues the round before."""
    context: amounts.Count
    """Committed tokens when the round started."""
    depth_asked: amounts.Width
    """K that the depth policy asked for; `drafted` may hold fewer."""
    drafted: Annotated[list[Drafted], amounts.OF_ONE_ROUND] = []
    accepted: amounts.Width
    emitted: amounts.Tokens
    """Committed by this round, in order: accepted drafts, then the correction or bonus."""
    final_target_prob: amounts.Share | None = None
    """Target's probability of the last emitted token (the correction or the bonus)."""
    final_draft_prob: amounts.Share | None = None
    """The draft's probability of the correction at the rejected place; None for a bonus."""
    final_rank: amounts.Share | None = None
    """Where the last emitted token stands in the law it must be drawn from: the residual after a
    rejection, else the target's. It is the mass of likelier tokens, plus half the mass of tokens
    just as likely. Its mean over true draws is 1/2. None if nothing is drawn."""
    final_order: amounts.Share | None = None
    """Where the last emitted token stands in that law by token id. It is the mass of tokens with
    lower ids, plus half its own mass. It is uniform over true draws, whatever was drawn before."""
    row_choices: amounts.Tokens = []
    """The target's first choice by each row of the verify pass: after the last committed token, and
    after each drafted one. Only of a chain at temperature 0 whose outcome does not follow from
    them."""
    start_ns: amounts.Moment
    wall_ns: amounts.Duration
    spans: list[Span] = []
    target_forwards: amounts.Count = 1
    draft_forwards: amounts.Count = 0
    target_length: amounts.Count | None = None
    """Tokens in the target's cache after rollback: committed - 1 if the loop is right."""
    draft_length: amounts.Count | None = None
    """Tokens in the draft's cache after rollback: committed - 1. After an all-accepted round,
    committed - 2, because its last drafted token was never fed."""
    target_kv_bytes: amounts.Size | None = None
    draft_kv_bytes: amounts.Size | None = None
    target_evicted: amounts.Count | None = None
    """Tokens of this sequence that the target's cache has dropped so far; None: it drops none."""
    draft_evicted: amounts.Count | None = None
    sequence: amounts.Count = 0
    """Which sequence of a batch it belongs to."""
    shared: amounts.Positive = 1
    """Sequences in the batch step it was part of. Its times are those of the whole step."""
    no_law: Literal["target", "draft", "sum", "processed"] | None = None
    """Why no law can be made of the rows by which a user's loop decided this round, so that the
    round has no probabilities: the target's or the draft's logits hold NaN or infinity; the
    probabilities are negative or don't sum to 1; or the rows are processed in a way not known."""


class Prefill(
    msgspec.Struct, frozen=True, kw_only=True, tag="prefill", tag_field="event", omit_defaults=True
):
    """Feeding known text before a burst."""

    burst: amounts.Count
    context: amounts.Count
    """Committed tokens after the prefill."""
    fed: amounts.Count
    """Tokens that this prefill fed to the target (a walk goes on from the last depth)."""
    start_ns: amounts.Moment
    wall_ns: amounts.Duration
    spans: list[Span] = []


class Burst(
    msgspec.Struct, frozen=True, kw_only=True, tag="burst", tag_field="event", omit_defaults=True
):
    """The end of a burst. Its wall time less the times of its prefill and rounds is the tail.

    Each sequence of a batch has its own bursts. Bursts that were decoded together overlap in time.
    """

    burst: amounts.Count
    start_ns: amounts.Moment
    wall_ns: amounts.Moment
    rounds: amounts.Count
    emitted: amounts.Count
    finish: Literal["length", "eos", "stopped"]
    sequence: amounts.Count = 0
    """Which sequence of a batch it belongs to."""
    request: amounts.Name | None = None
    """The id that a user's loop gave it, whose rounds may alternate with those of others."""


class Plain(msgspec.Struct, frozen=True, kw_only=True, tag="plain", tag_field="event"):
    """Plain decoding by the target alone, timed right after a burst, from where the burst ended.

    The loop, the cache and the clock are the burst's, and nothing is drafted. It is the baseline of
    the burst's speed-up.
    """

    burst: amounts.Count
    context: amounts.Count
    """Committed tokens before the first step."""
    steps_ns: list[amounts.Duration]
    """Wall time of each step. A step decodes one token; in a batch, one token of every sequence. A
    batch records its steps once for all bursts of a stop."""


class Scored(
    msgspec.Struct, frozen=True, kw_only=True, tag="scored", tag_field="event", omit_defaults=True
):
    """Known text fed to the target, and the likelihood of each token: the workload `ppl`."""

    context: amounts.Count
    """Committed tokens before the first scored one."""
    nll: list[amounts.Nll]
    """Negative log-likelihood of each token in turn, in nats, given the cached tokens before it."""
    start_ns: amounts.Moment
    wall_ns: amounts.Duration
    target_length: amounts.Count | None = None
    target_kv_bytes: amounts.Size | None = None
    target_evicted: amounts.Count | None = None


class Overlaps(
    msgspec.Struct, frozen=True, kw_only=True, tag="overlaps", tag_field="event", omit_defaults=True
):
    """Known text read by both models without a cache: the acceptance owed to a draft at each place.

    It comes from the workload `overlap`, which plays no rounds and draws nothing. So all its runs
    over one text compare equal prefixes.
    """

    context: amounts.Count
    """Tokens before the first place."""
    overlap: list[amounts.Share]
    """Acceptance owed before the draw, by the run's acceptance rule and law."""
    agree: list[amounts.Flag]
    """1 if both models' first choice is one token, else 0."""
    target_nll: list[amounts.Nats]
    """Negative log-likelihood of the text's next token under the raw law, in nats."""
    draft_nll: list[amounts.Nats]
    start_ns: amounts.Moment
    wall_ns: amounts.Moment


class Scan(
    msgspec.Struct, frozen=True, kw_only=True, tag="scan", tag_field="event", omit_defaults=True
):
    """One way of feeding a hidden-state drafter, tried over known text by the workload `scan`."""

    convention: str
    """`as run`, or how it was fed instead: `features a token later` ..."""
    agreed: amounts.Count
    """Places at which the drafter's first choice was the target's."""
    n: amounts.Count
    """All places that were tried."""


class Recheck(
    msgspec.Struct, frozen=True, kw_only=True, tag="recheck", tag_field="event", omit_defaults=True
):
    """The reached drafts of a burst, recomputed by a plain forward pass without any cache."""

    burst: amounts.Count
    places: list[Rechecked]
    emitted: list[Rescored] = []
    """The burst's committed tokens, scored again."""
    others: list[OtherLaws] = []
    """Drafts of chains under laws that an accept step may use by mistake; above temperature 0."""
    processed: list[ProcessedRows] = []
    """Rows that a user's loop processed before it decided by them, of each model that has some."""
    other_inputs: list[OtherInput] = []
    """For each model the token whose feeding explains its first wrong row, if one does."""
    shifted: list[ShiftedRows] = []
    """Rows of the target that are those of the place before or after; empty if none is."""
    unknown: amounts.Count = 0
    """Recomputed rows of the target that hold NaN or infinity, or rule every id out: their places
    and tokens are left out."""


class Sample(
    msgspec.Struct, frozen=True, kw_only=True, tag="sample", tag_field="event", omit_defaults=True
):
    """Counters of the machine, which a thread of its own reads now and then."""

    at_ns: amounts.Moment
    rss_bytes: amounts.Size | None = None
    memory_used_bytes: amounts.Size | None = None
    allocated_bytes: amounts.Size | None = None
    reserved_bytes: amounts.Size | None = None
    utilisation_percent: amounts.Count | None = None
    power_watts: amounts.Watts | None = None
    sm_clock_mhz: amounts.Count | None = None
    throttle: list[str] = []
    processor_ns: amounts.Moment | None = None
    """Processor time of the whole process since the run began, all its threads together."""
    loop_ran_ns: amounts.Moment | None = None
    """Processor time of the thread that plays the rounds, since the run began."""
    loop_waited_ns: amounts.Moment | None = None
    """How long that thread was ready to run and waited for a processor, since the run began."""
    preempted: amounts.Size | None = None
    """How often the system took a processor from the process, since the run began."""


class Note(msgspec.Struct, frozen=True, kw_only=True, tag="note", tag_field="event"):
    """A remark about the recording itself: what is missing from it, and why."""

    at_ns: amounts.Moment
    text: str


class End(msgspec.Struct, frozen=True, kw_only=True, tag="end", tag_field="event"):
    """The last line of a capture. A run that was killed writes none."""

    status: Literal["complete", "interrupted", "failed"]
    reason: str | None = None
    wall_ns: amounts.Moment
    rounds: amounts.Size
    emitted: amounts.Size
    write_ns: amounts.Moment
    """Time spent encoding and writing the capture: the profiler's own cost, measured."""
    observe_ns: amounts.Moment = 0
    """Time spent computing the evidence: also the profiler's own cost, measured."""


Event = (
    Header
    | Prefill
    | Round
    | Burst
    | Plain
    | Scored
    | Overlaps
    | Scan
    | Recheck
    | Sample
    | Note
    | End
)
