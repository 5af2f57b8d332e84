"""The nouns everything else is made of: what the user asked, and what a capture holds.

Frozen msgspec structs. ``None`` means *not known*, never zero. Times are integer nanoseconds on
the run's own clock (0 = start of the run); sizes are bytes; rates carry their denominator's name.
Those made by the dozen a round are left out of garbage collection (`gc=False`): none holds a cycle.
"""

from typing import Literal

import msgspec

SCHEMA = 1
"""Raised when an older reader could misread a newer file; added optional fields don't raise it."""

Workload = Literal["walk", "generate", "ppl"]
Detail = Literal["off", "rounds", "evidence"]
LoadFormat = Literal["auto", "dummy"]


Value = str | int | float | bool | None
Grid = dict[str, Value | list[Value]]


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One run's settings, every field one value; a sweep or a probe varies one of them."""

    target: str = "pocket/target"
    """A Hugging Face id, a local checkpoint folder, or a member of the pocket family."""
    draft: str | None = "pocket/draft"
    """Like `target`; None where the drafter needs no draft model."""
    backend: str = "native"
    drafter: str = "draft-model"
    depth: int = 4
    """K: tokens drafted a round, levels of a tree; 0 with the drafter `none`. A depth policy's
    start, or its bound."""
    depth_policy: str = "fixed"
    """Who chooses each round's K: a member of `depths/`."""
    confidence: float = 0.4
    """Depth policy `confidence`: drafting stops after a token the draft gave less than this."""
    shape: str = "chain"
    """How drafted tokens hang together: a member of `shapes/`."""
    widths: str = "4,2,1,1"
    """Shape `static-tree`: children of each node, level by level; later levels have one."""
    branch: int = 4
    """Shape `dynamic-tree`: children tried of each expanded node, and nodes expanded a level."""
    nodes: int = 16
    """Shape `dynamic-tree`: drafted tokens kept after the rerank."""
    acceptance: str = "auto"
    """`auto` is greedy at temperature 0 and rejection above it."""
    cache: str = "dense"
    """The target's cache, and the draft's where `draft_cache` names no other."""
    draft_cache: str | None = None
    """The draft's own cache; None: like the target's."""
    window: int = 512
    """Cache `sink-window`: the most recent tokens kept beside the sinks."""
    sinks: int = 4
    """Cache `sink-window`: first tokens never evicted."""
    block: int = 1
    """Cache `sink-window`: evicted at once, so that the window holds up to `block` - 1 more."""
    batch: int = 1
    """Sequences decoded at once, each accepting for itself."""
    ngram: int = 3
    """Drafter `ngram`: the longest suffix looked up in the text so far."""
    exit_layer: int | None = None
    """Drafter `layer-skip`: target layers it drafts with; None: a quarter of them."""
    noise: float = 0.1
    """Drafter `perturbed-self`: share of uniform mass mixed into the target's own law."""
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    """0 keeps every token."""
    workload: Workload = "walk"
    text: str | None = None
    """A text file; None is the pocket family's held-out document."""
    dataset: str | None = None
    """`name[:config]` of a Hugging Face dataset with a text column (needs the `datasets` extra)."""
    context: int = 20_000
    """walk, ppl: the deepest context reached, in target tokens; generate: the prompt's length."""
    stops: int = 40
    """walk: depths a burst is decoded at, each a constant factor deeper, up to `context`."""
    max_new_tokens: int = 32
    """New tokens of each burst (walk), or of the whole run (generate)."""
    score_step: int = 64
    """ppl: text tokens fed a forward; 1 is the decode loop token by token."""
    ignore_eos: bool = False
    """Go on past an end-of-text token: a timing run wants its full length."""
    seed: int = 0
    dtype: str = "auto"
    """`auto`: bfloat16 on an accelerator, float32 on a CPU."""
    device: str = "auto"
    threads: int = 0
    """Threads a CPU decodes with; 0 measures which count is fastest. Prefill takes them all."""
    load_format: LoadFormat = "auto"
    """`dummy`: random weights of the configured shape, for timing without a download."""
    detail: Detail = "evidence"
    """off: totals only; rounds: counts and times; evidence: probabilities as well."""
    recheck_context: int = 4096
    """Bursts at most this deep are recomputed without any cache; 0 turns the recheck off."""
    plain_steps: int = 6
    """Plain decoding steps timed beside each burst, as its baseline; 0 turns them off."""
    trust_remote_code: bool = False
    """Run model code from the checkpoint's repository. Off unless you trust its author."""


class Profile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the user wrote: a named experiment, as in `profiles/*.toml`."""

    name: str
    about: str = ""
    run: Settings = msgspec.field(default_factory=Settings)
    sweep: Grid = {}
    """Field of `run` -> the values it takes; several fields make a grid."""
    cell: list[Grid] = []
    """Cells beside the grid: each a field of `run` -> its value or values, and so a grid itself."""
    repeats: int = 1
    """Times every cell is run, in the order A B .. B A, so that drift falls on all alike."""
    quick: dict[str, Value] = {}
    """Fields of `run`, and `repeats`, as `--quick` has them."""


class RunSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One cell of a profile's grid: what exactly is to be run."""

    id: str
    profile: str
    settings: Settings
    varied: dict[str, Value] = {}
    """The swept fields and the values they have here."""
    label: str = ""
    """The few words that tell this cell from the others."""
    repeat: int = 0
    """Which repetition of the cell this is, from 0."""


class ModelFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a loaded model."""

    name: str
    architecture: str
    parameters: int
    layers: int
    vocabulary: int
    dtype: str
    weight_bytes: int
    kv_bytes_per_token: int
    """Over all layers, keys and values, one sequence."""
    trained_context: int | None = None
    """max_position_embeddings, or the original length under a RoPE scaling."""


class ClockFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Which clock timed the spans, and what reading it costs."""

    kind: str
    """`perf_counter_ns`, or the accelerator's events: `cuda`, `xpu`, `mps`."""
    read_ns: float
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


class Span(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A stretch of a round's or a prefill's time. The host gap is derived, never recorded."""

    name: str
    """draft with its steps, verify, accept, rollback; prefill-target, prefill-draft."""
    parent: str | None
    """The span this one lies in; None directly below its round."""
    start_ns: int
    """Since the start of its round or prefill."""
    ns: int
    """On the clock the header names: an accelerator's events, or the host's."""


class Observed(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What the two models made of a drafted token, computed from raw logits by `observe`.

    Computed apart from the accept step, so a faulty accept step can't vouch for itself.
    """

    target_prob: float
    """Target's probability of the token, after temperature and truncation."""
    draft_prob: float
    """Its probability under the law it is declared to be drawn from (1: a deterministic draft)."""
    overlap: float
    """Acceptance owed before the draw: the sum over tokens of min(target, draft) for rejection
    (arXiv 2211.17192, section 3.2), agreement of the two first choices (0 or 1) for greedy."""
    accept_owed: float
    """Acceptance owed given this token: min(1, target_prob / draft_prob), or 0/1 for greedy."""
    draft_rank: float | None = None
    """Mass of the declared law on tokens likelier than this one, plus half the mass on those just
    as likely. Its mean is 1/2 if the token was drawn from that law, whatever the law."""


class Drafted(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One drafted token and what became of it."""

    token: int
    parent: int
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

    index: int
    burst: int = 0
    """Which burst of the run it belongs to; rounds of a burst continue one another."""
    context: int
    """Committed tokens when the round started."""
    depth_asked: int
    """K the depth policy asked for; `drafted` may hold fewer."""
    drafted: list[Drafted] = []
    accepted: int
    emitted: list[int]
    """Committed by this round, in order: accepted drafts, then the correction or bonus."""
    final_target_prob: float | None = None
    """Target's probability of the last emitted token (the correction or the bonus)."""
    final_draft_prob: float | None = None
    """The draft's probability of the correction at the rejected place; None for a bonus."""
    start_ns: int
    wall_ns: int
    spans: list[Span] = []
    target_forwards: int = 1
    draft_forwards: int = 0
    target_length: int | None = None
    """Tokens in the target's cache after rollback: committed - 1 if all is well."""
    draft_length: int | None = None
    """Tokens in the draft's cache after rollback: committed - 1, or - 2 after an all-accepted
    round, whose last drafted token was never fed."""
    target_kv_bytes: int | None = None
    draft_kv_bytes: int | None = None
    target_evicted: int | None = None
    """Tokens the target's cache has dropped of this sequence so far; None: it never drops any."""
    draft_evicted: int | None = None
    sequence: int = 0
    """Which sequence of a batch it belongs to."""
    shared: int = 1
    """Sequences of the batch step it was part of: its times are theirs together, not its own."""


class Prefill(
    msgspec.Struct, frozen=True, kw_only=True, tag="prefill", tag_field="event", omit_defaults=True
):
    """Feeding known text before a burst."""

    burst: int
    context: int
    """Committed tokens once it is done."""
    fed: int
    """Tokens fed to the target by this prefill (a walk goes on from the last depth)."""
    start_ns: int
    wall_ns: int
    spans: list[Span] = []


class Burst(
    msgspec.Struct, frozen=True, kw_only=True, tag="burst", tag_field="event", omit_defaults=True
):
    """The end of a burst. Its wall time less its prefill and rounds is the tail.

    A sequence of a batch has bursts of its own; those decoded together lie over one another.
    """

    burst: int
    start_ns: int
    wall_ns: int
    rounds: int
    emitted: int
    finish: Literal["length", "eos", "stopped"]
    sequence: int = 0
    """Which sequence of a batch it was."""


class Plain(msgspec.Struct, frozen=True, kw_only=True, tag="plain", tag_field="event"):
    """Plain decoding by the target alone, timed beside a burst, from where the burst ended.

    The same loop, cache and clock with nothing drafted: the baseline of the burst's speed-up.
    """

    burst: int
    context: int
    """Committed tokens before the first step."""
    steps_ns: list[int]
    """Wall time of each step, one token a step; in a batch one of every sequence, decoded together:
    told once for all bursts of a stop."""


class Scored(
    msgspec.Struct, frozen=True, kw_only=True, tag="scored", tag_field="event", omit_defaults=True
):
    """Known text fed to the target, and what it made of each token: the PPL decode loop."""

    context: int
    """Committed tokens before the first scored one."""
    nll: list[float]
    """Negative log-likelihood in nats of each token in turn, given all before it that is cached."""
    start_ns: int
    wall_ns: int
    target_length: int | None = None
    target_kv_bytes: int | None = None
    target_evicted: int | None = None


class Recheck(msgspec.Struct, frozen=True, kw_only=True, tag="recheck", tag_field="event"):
    """A burst's reached draft places, recomputed by a plain forward pass without any cache."""

    burst: int
    places: list["Rechecked"]


class Rechecked(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What `Drafted` says of a place, computed anew from the bare token sequence."""

    round: int
    index: int
    """Draft index within the round, from 0."""
    target_prob: float
    draft_prob: float
    overlap: float
    margin: float
    """Gap between the target's two largest logits here: a greedy flip inside the noise is a tie."""


class Sample(
    msgspec.Struct, frozen=True, kw_only=True, tag="sample", tag_field="event", omit_defaults=True
):
    """Slow counters, read by a thread of their own."""

    at_ns: int
    rss_bytes: int | None = None
    memory_used_bytes: int | None = None
    allocated_bytes: int | None = None
    reserved_bytes: int | None = None
    utilisation_percent: int | None = None
    power_watts: float | None = None
    sm_clock_mhz: int | None = None
    throttle: list[str] = []


class Note(msgspec.Struct, frozen=True, kw_only=True, tag="note", tag_field="event"):
    """Something worth knowing about the recording itself: what is absent, and why."""

    at_ns: int
    text: str


class End(msgspec.Struct, frozen=True, kw_only=True, tag="end", tag_field="event"):
    """The last line of a capture that ended by itself."""

    status: Literal["complete", "interrupted", "failed"]
    reason: str | None = None
    wall_ns: int
    rounds: int
    emitted: int
    write_ns: int
    """Time spent encoding and writing the capture: the profiler's own cost, measured."""
    observe_ns: int = 0
    """Time spent computing the evidence: likewise."""


Event = Header | Prefill | Round | Burst | Plain | Scored | Recheck | Sample | Note | End
