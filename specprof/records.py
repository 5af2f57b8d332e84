"""The nouns everything else is made of: what a capture holds.

Frozen msgspec structs. ``None`` means *not known*, never zero. Times are integer nanoseconds on
the run's own clock (0 = start of the run); sizes are bytes; rates carry their denominator's name.
Those made by the dozen a round are left out of garbage collection (`gc=False`): none holds a cycle.
"""

from typing import Annotated, Literal

import msgspec

from specprof import amounts
from specprof.settings import RunSpec

SCHEMA = 1
"""Raised when an older reader could misread a newer file; added optional fields don't raise it."""


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
    """Over all layers, keys and values, one sequence."""
    trained_context: amounts.Count | None = None
    """max_position_embeddings, or the original length under a RoPE scaling."""
    window: amounts.Count | None = None
    """Tokens its sliding-window layers see, as configured; None: every layer sees all."""
    rope: str | None = None
    """The configured kind of rotation: `default`, `linear`, `yarn` ...; None: it has none."""
    rotation: amounts.Angles = []
    """Radians a position of each pair of its rotary dimensions, as the loaded module has them."""
    rotation_configured: amounts.Angles = []
    """The same as its configuration asks for."""
    vocabulary_sha: str | None = None
    """SHA-256 of the tokenizer's table of ids and strings, its first 16 digits."""
    path: str | None = None
    """How its forwards were computed: `flat` or `modules`; None: by a peer's own loop."""
    path_reason: str | None = None
    """Why not flat, where that was not asked for."""
    graphs: bool | None = None
    """Whether its short forwards over a chain were replayed from recordings: CUDA graphs on a GPU,
    TorchScript on a CPU; None: by a peer's own loop."""
    graphs_reason: str | None = None
    """Why they were not."""

    @property
    def forwards(self) -> str | None:
        """How its forwards were computed, in a word or two; None: by a peer's own loop."""
        return f"{self.path} replayed" if self.path and self.graphs else self.path


class ClockFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Which clock timed the spans, and what reading it costs."""

    kind: str
    """`perf_counter_ns`, or the accelerator's events: `cuda`, `xpu`, `mps`."""
    read_ns: amounts.Cost
    """Measured cost of one reading."""


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
    """The rule in force after `auto` was resolved."""
    lossless: bool | None = None
    """Whether that rule claims to leave the target's law as it is."""
    clock: ClockFacts
    device: str
    """As torch names it: `cpu`, `cuda:0`."""
    machine: dict[str, str | int | None] = {}
    """Device name, cores, threads, memory, driver: whatever could be found out."""
    versions: dict[str, str | None] = {}
    """Packages that change what is measured; None = not installed."""
    text: str | None = None
    """Where the prompt text came from, with its SHA-256."""
    engine: str | None = None
    """Whose loop played the rounds, where somebody's own recorded them."""
    locked_on: str | None = None
    """The boot of the machine on which the recorder locks the file as long as it lives.

    None where the file can't be locked, or nobody knows; a reader then can't see the recorder."""


class Span(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A stretch of a round's or a prefill's time. The host gap is derived, never recorded."""

    name: amounts.Name
    """draft with its steps, verify, accept, rollback; prefill-target, prefill-draft."""
    parent: amounts.Name | None
    """The span this one lies in; None directly below its round."""
    start_ns: amounts.Stretch
    """Since the start of its round or prefill."""
    ns: amounts.Stretch
    """On the clock the header names: an accelerator's events, or the host's."""


class Observed(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What the two models made of a drafted token, computed from raw logits by `observe`.

    Computed apart from the accept step, so a faulty accept step can't vouch for itself.
    """

    target_prob: amounts.Share
    """Target's probability of the token, after temperature and truncation."""
    draft_prob: amounts.Share
    """Its probability under the law it is declared to be drawn from (1: a deterministic draft)."""
    overlap: amounts.Share
    """Acceptance owed before the draw: the sum over tokens of min(target, draft) for rejection
    (arXiv 2211.17192, section 3.2), agreement of the two first choices (0 or 1) for greedy."""
    accept_owed: amounts.Share
    """Acceptance owed given this token: min(1, target_prob / draft_prob), or 0/1 for greedy."""
    draft_rank: amounts.Share | None = None
    """Mass of the declared law on tokens likelier than this one, plus half the mass on those just
    as likely. Its mean is 1/2 if the token was drawn from that law, whatever the law."""


class Drafted(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One drafted token and what became of it."""

    token: amounts.Token
    parent: amounts.Above
    """Index in the round of the drafted token before it; -1 hangs on the last committed token."""
    reached: bool
    """Whether it was evaluated: all its ancestors were accepted, and no earlier sibling was. The
    honest denominator."""
    accepted: bool
    seen: Observed | None = None
    """None where it was not reached, or where the run recorded no evidence."""


class Round(
    msgspec.Struct, frozen=True, kw_only=True, tag="round", tag_field="event", omit_defaults=True
):
    """One draft-verify-accept round."""

    index: amounts.Count
    burst: amounts.Count = 0
    """Which burst of the run it belongs to; rounds of a burst continue one another."""
    context: amounts.Count
    """Committed tokens when the round started."""
    depth_asked: amounts.Width
    """K the depth policy asked for; `drafted` may hold fewer."""
    drafted: Annotated[list[Drafted], amounts.OF_ONE_ROUND] = []
    accepted: amounts.Width
    emitted: amounts.Tokens
    """Committed by this round, in order: accepted drafts, then the correction or bonus."""
    final_target_prob: amounts.Share | None = None
    """Target's probability of the last emitted token (the correction or the bonus)."""
    final_draft_prob: amounts.Share | None = None
    """The draft's probability of the correction at the rejected place; None for a bonus."""
    final_rank: amounts.Share | None = None
    """Mass, under the law the last emitted token is due to be drawn from (the residual after a
    rejection, else the target's), of likelier tokens, plus half that of those just as likely. 1/2
    in the mean of true draws; None where nothing is drawn."""
    final_order: amounts.Share | None = None
    """The same of tokens with lower ids, plus half its own: the token's place in the cumulated
    law. Uniform in the mean of true draws, whatever else was drawn before."""
    start_ns: amounts.Moment
    wall_ns: amounts.Stretch
    spans: list[Span] = []
    target_forwards: amounts.Count = 1
    draft_forwards: amounts.Count = 0
    target_length: amounts.Count | None = None
    """Tokens in the target's cache after rollback: committed - 1 if all is well."""
    draft_length: amounts.Count | None = None
    """Tokens in the draft's cache after rollback: committed - 1, or - 2 after an all-accepted
    round, whose last drafted token was never fed."""
    target_kv_bytes: amounts.Size | None = None
    draft_kv_bytes: amounts.Size | None = None
    target_evicted: amounts.Count | None = None
    """Tokens the target's cache has dropped of this sequence so far; None: it never drops any."""
    draft_evicted: amounts.Count | None = None
    sequence: amounts.Count = 0
    """Which sequence of a batch it belongs to."""
    shared: amounts.Positive = 1
    """Sequences of the batch step it was part of: its times are theirs together, not its own."""


class Prefill(
    msgspec.Struct, frozen=True, kw_only=True, tag="prefill", tag_field="event", omit_defaults=True
):
    """Feeding known text before a burst."""

    burst: amounts.Count
    context: amounts.Count
    """Committed tokens once it is done."""
    fed: amounts.Count
    """Tokens fed to the target by this prefill (a walk goes on from the last depth)."""
    start_ns: amounts.Moment
    wall_ns: amounts.Stretch
    spans: list[Span] = []


class Burst(
    msgspec.Struct, frozen=True, kw_only=True, tag="burst", tag_field="event", omit_defaults=True
):
    """The end of a burst. Its wall time less its prefill and rounds is the tail.

    A sequence of a batch has bursts of its own; those decoded together lie over one another.
    """

    burst: amounts.Count
    start_ns: amounts.Moment
    wall_ns: amounts.Moment
    rounds: amounts.Count
    emitted: amounts.Count
    finish: Literal["length", "eos", "stopped"]
    sequence: amounts.Count = 0
    """Which sequence of a batch it was."""


class Plain(msgspec.Struct, frozen=True, kw_only=True, tag="plain", tag_field="event"):
    """Plain decoding by the target alone, timed beside a burst, from where the burst ended.

    The same loop, cache and clock with nothing drafted: the baseline of the burst's speed-up.
    """

    burst: amounts.Count
    context: amounts.Count
    """Committed tokens before the first step."""
    steps_ns: list[amounts.Stretch]
    """Wall time of each step, one token a step; in a batch one of every sequence, decoded together:
    told once for all bursts of a stop."""


class Scored(
    msgspec.Struct, frozen=True, kw_only=True, tag="scored", tag_field="event", omit_defaults=True
):
    """Known text fed to the target, and what it made of each token: the PPL decode loop."""

    context: amounts.Count
    """Committed tokens before the first scored one."""
    nll: list[amounts.Surprise]
    """Negative log-likelihood in nats of each token in turn, given all before it that is cached."""
    start_ns: amounts.Moment
    wall_ns: amounts.Stretch
    target_length: amounts.Count | None = None
    target_kv_bytes: amounts.Size | None = None
    target_evicted: amounts.Count | None = None


class Overlaps(
    msgspec.Struct, frozen=True, kw_only=True, tag="overlaps", tag_field="event", omit_defaults=True
):
    """Known text read by both models without any cache: what a draft is owed at each place.

    The workload `overlap`: no rounds, no draws, so every run of it is of the same prefixes.
    """

    context: amounts.Count
    """Tokens before the first of the places."""
    overlap: list[amounts.Share]
    """Acceptance owed before the draw, by the run's rule and law."""
    agree: list[amounts.Flag]
    """1 where the two models' first choices are the same token."""
    target_nll: list[amounts.Nats]
    """Nats of the text's own next token under the raw law."""
    draft_nll: list[amounts.Nats]
    start_ns: amounts.Moment
    wall_ns: amounts.Moment


class Scan(
    msgspec.Struct, frozen=True, kw_only=True, tag="scan", tag_field="event", omit_defaults=True
):
    """One way of feeding a hidden-state drafter, tried over known text: the workload `scan`."""

    convention: str
    """`as run`, or what was done otherwise: `features a token later` ..."""
    agreed: amounts.Count
    """Places where its first choice was the target's."""
    n: amounts.Count


class Recheck(msgspec.Struct, frozen=True, kw_only=True, tag="recheck", tag_field="event"):
    """A burst's reached draft places, recomputed by a plain forward pass without any cache."""

    burst: amounts.Count
    places: list["Rechecked"]
    emitted: list["Rescored"] = []
    """The burst's committed tokens, scored anew."""


class Rechecked(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What `Drafted` says of a place, computed anew from the bare token sequence."""

    round: amounts.Count
    index: amounts.Width
    """Draft index within the round, from 0."""
    target_prob: amounts.Share
    draft_prob: amounts.Share | None
    """None, like `overlap`, where nothing can say again what the drafter's law was."""
    overlap: amounts.Share | None
    margin: amounts.Nats
    """Gap between the target's two largest logits here: a greedy flip inside the noise is a tie."""
    target_gap: amounts.Share | None = None
    """Total variation between the softmax of the target's raw logits the run acted on and that of
    those recomputed: 0 but for rounding, whatever the temperature."""
    draft_gap: amounts.Share | None = None
    """The same of the draft's."""


class Rescored(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What the target makes of a committed token, in one plain pass over the bare text."""

    round: amounts.Count
    slot: amounts.Slot
    """Which of the round's emitted tokens it is, from 0."""
    target_prob: amounts.Share
    """Under the run's law, after temperature and truncation."""
    entropy: amounts.Nats
    """Of that law, in nats."""
    spread: amounts.Spread
    """Variance of the log-probability of a token drawn from that law, in nats squared."""
    shortfall: amounts.Nats
    """Largest raw logit less this token's own: 0 for the first choice."""
    target_gap: amounts.Share | None = None
    """As in `Rechecked`, of the row the token was judged or drawn by."""
    draft_nll: amounts.Nats | None = None
    """Nats of the token under the draft's raw law, in one plain pass; None without a draft."""


class Sample(
    msgspec.Struct, frozen=True, kw_only=True, tag="sample", tag_field="event", omit_defaults=True
):
    """Slow counters, read by a thread of their own."""

    at_ns: amounts.Moment
    rss_bytes: amounts.Size | None = None
    memory_used_bytes: amounts.Size | None = None
    allocated_bytes: amounts.Size | None = None
    reserved_bytes: amounts.Size | None = None
    utilisation_percent: amounts.Count | None = None
    power_watts: amounts.Watts | None = None
    sm_clock_mhz: amounts.Count | None = None
    throttle: list[str] = []


class Note(msgspec.Struct, frozen=True, kw_only=True, tag="note", tag_field="event"):
    """Something worth knowing about the recording itself: what is absent, and why."""

    at_ns: amounts.Moment
    text: str


class End(msgspec.Struct, frozen=True, kw_only=True, tag="end", tag_field="event"):
    """The last line of a capture that ended by itself."""

    status: Literal["complete", "interrupted", "failed"]
    reason: str | None = None
    wall_ns: amounts.Moment
    rounds: amounts.Size
    emitted: amounts.Size
    write_ns: amounts.Moment
    """Time spent encoding and writing the capture: the profiler's own cost, measured."""
    observe_ns: amounts.Moment = 0
    """Time spent computing the evidence: likewise."""


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
