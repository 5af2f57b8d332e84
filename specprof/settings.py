"""What the user asked for: settings, the profile that varies them, and one run of it.

A setting is written once, at its field: type, bounds, default, meaning, and its option on the
command line. `setting_facts` reads it there for checks, messages, options and explanations.
"""

from functools import cache
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from specprof.setting_facts import (
    SettingFacts,
    facts_of,
    meaning,
    member,
    option,
    zero_or_from,
)

Workload = Literal["walk", "generate", "ppl", "overlap", "scan"]
Detail = Literal["off", "rounds", "evidence", "module"]
EVIDENCE_DETAILS: tuple[Detail, ...] = ("evidence", "module")
"""Levels at which probabilities are recorded."""
LoadFormat = Literal["auto", "dummy"]
ForwardPath = Literal["auto", "flat", "modules"]
Graphs = Literal["auto", "off", "on"]

MOST_NODES = 1024
"""Drafted tokens that a run may ask for in a round: each takes a row of the target's logits. A
capture may hold more (`amounts.MOST_DRAFTED`), because other engines write captures too."""
MOST_TOKENS = 2**27
"""Tokens of a text, an answer or a window. Loops run over them, and no text here is longer."""
Nodes = Annotated[int, Meta(ge=1, le=MOST_NODES)]
Tokens = Annotated[int, Meta(ge=1, le=MOST_TOKENS)]
TokenCount = Annotated[int, Meta(ge=0, le=MOST_TOKENS)]
"""A number of tokens that may be 0."""
SmallCount = Annotated[int, Meta(ge=0, le=2**16)]
Layers = Annotated[int, Meta(ge=1, le=2**16)]
Share = Annotated[float, Meta(ge=0, le=1)]

MOST_RUNS = 10_000
"""Runs of one profile or sweep: its cells, times its repeats."""
Value = str | int | float | bool | None
Grid = dict[str, Value | list[Value]]


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One run's settings: each field has one value; a sweep or a probe varies one of the fields.

    A bound keeps loops and tensors to a sane size. The bound of `seed` is the largest whole number
    that every reader of JSON keeps exactly.
    """

    target: Annotated[
        str,
        meaning("A Hugging Face id, a local checkpoint folder, or a member of the pocket family."),
        option("Target: Hugging Face id, folder, or pocket/NAME."),
    ] = "pocket/target"
    draft: Annotated[
        str | None,
        meaning("Like `target`; None where the drafter needs no draft model."),
        option("Draft model: id, folder, or pocket/NAME."),
    ] = "pocket/draft"
    backend: Annotated[
        str,
        meaning("What runs the rounds: a member of `backends/`."),
        option("What runs the rounds."),
        member("backend"),
    ] = "native"
    drafter: Annotated[
        str,
        meaning("How tokens are drafted: a member of `drafters/`; `none` drafts nothing."),
        option("How tokens are drafted."),
        member("drafter"),
    ] = "draft-model"
    depth: Annotated[
        int,
        Meta(ge=0, le=MOST_NODES),
        meaning(
            "K: tokens drafted in a round, or levels of a tree; 0 with the drafter `none`. An "
            "adaptive depth policy starts with it, or is bounded by it."
        ),
        option("K: tokens drafted a round."),
    ] = 4
    depth_policy: Annotated[
        str,
        meaning("What chooses each round's K: a member of `depths/`."),
        option("What chooses each round's K."),
        member("depth"),
    ] = "fixed"
    confidence: Annotated[
        Share,
        meaning(
            "Depth policy `confidence`: drafting stops after a token whose draft probability is "
            "below this."
        ),
    ] = 0.4
    shape: Annotated[
        str,
        meaning("Which drafted token follows which: a member of `shapes/`."),
        option("chain, or a tree."),
        member("shape"),
    ] = "chain"
    widths: Annotated[
        str,
        meaning(
            "Shape `static-tree`: children of each node, level by level. Nodes of later levels "
            "have one child."
        ),
    ] = "4,2,1,1"
    branch: Annotated[
        Nodes,
        meaning(
            "Shape `dynamic-tree`: children tried for each expanded node, and nodes expanded in "
            "each level."
        ),
    ] = 4
    nodes: Annotated[
        Nodes, meaning("Shape `dynamic-tree`: drafted tokens kept after the rerank.")
    ] = 16
    acceptance: Annotated[
        str,
        meaning(
            "How drafted tokens are judged: a member of `acceptance/`; `auto` is greedy at "
            "temperature 0 and rejection above it."
        ),
        option("How drafted tokens are judged."),
        member("acceptance", besides="auto"),
    ] = "auto"
    cache: Annotated[
        str,
        meaning(
            "How the target's keys and values are kept: a member of `caches/`. The draft's too, "
            "unless `draft_cache` names another."
        ),
        option("How keys and values are kept."),
        member("cache"),
    ] = "dense"
    draft_cache: Annotated[
        str | None, meaning("The draft's own cache; None: the target's kind."), member("cache")
    ] = None
    window: Annotated[
        Tokens,
        meaning("Cache `sink-window`: the most recent tokens kept beside the sinks."),
        option("Cache sink-window: recent tokens kept."),
    ] = 512
    sinks: Annotated[SmallCount, meaning("Cache `sink-window`: first tokens never evicted.")] = 4
    block: Annotated[
        Tokens,
        meaning(
            "Cache `sink-window`: tokens evicted at once. The window holds up to `block` - 1 "
            "tokens more than `window`."
        ),
    ] = 1
    batch: Annotated[
        int,
        Meta(ge=1, le=4096),
        meaning("Sequences decoded at once; each accepts its own drafts."),
        option("Sequences decoded at once."),
    ] = 1
    ngram: Annotated[
        int,
        Meta(ge=1, le=1024),
        meaning("Drafter `ngram`: the longest suffix looked up in the text so far."),
    ] = 3
    exit_layer: Annotated[
        Layers | None,
        meaning("Drafter `layer-skip`: target layers it drafts with; None: a quarter of all."),
    ] = None
    noise: Annotated[
        Share,
        meaning(
            "Drafter `perturbed-self`: share of a uniform distribution mixed into the target's."
        ),
    ] = 0.1
    temperature: Annotated[
        float,
        Meta(ge=0, le=1_000_000),
        meaning("0 is greedy."),
        option("0 is greedy."),
        zero_or_from(1e-06),
    ] = 0.0
    top_p: Annotated[
        float,
        Meta(gt=0, le=1),
        meaning(
            "Tokens are kept, the likeliest first, until their probabilities sum to this; 1 keeps "
            "every token."
        ),
        option("Keep this mass of tokens."),
    ] = 1.0
    top_k: Annotated[
        int,
        Meta(ge=0, le=2**31 - 1),
        meaning("0 keeps every token."),
        option("Keep this many tokens; 0 = all."),
    ] = 0
    workload: Annotated[
        Workload,
        meaning(
            "`walk`: decode at ever deeper contexts of a text. `generate`: continue a prompt. "
            "`ppl`: score a known text. `overlap` and `scan` read a known text for probes."
        ),
        option("walk over a real text, generate freely, or ppl: score a text."),
    ] = "walk"
    context: Annotated[
        Tokens,
        meaning(
            "walk, ppl: the deepest context reached, in target tokens; generate: the prompt's "
            "length."
        ),
        option("Deepest context, in tokens."),
    ] = 20_000
    stops: Annotated[
        int,
        Meta(ge=1, le=10_000),
        meaning(
            "walk: depths at which a burst is decoded, each a constant factor deeper, up to "
            "`context`."
        ),
        option("walk: depths decoded at."),
    ] = 40
    max_new_tokens: Annotated[
        TokenCount,
        meaning("New tokens of each burst (walk), or of the whole run (generate)."),
        option("New tokens a burst."),
    ] = 32
    text: Annotated[
        str | None,
        meaning(
            "A text file, or a named text: `prose`, `repetition`, `reversed`, `random`; None is "
            "the pocket family's held-out document."
        ),
        option("A file, or prose, repetition, reversed, random."),
    ] = None
    dataset: Annotated[
        str | None,
        meaning(
            "`name[:config]` of a Hugging Face dataset with a text column (needs the `datasets` "
            "extra)."
        ),
        option("name[:config] of a Hugging Face dataset."),
    ] = None
    score_step: Annotated[
        Tokens, meaning("ppl: text tokens fed in a forward; 1 feeds them as a decode loop does.")
    ] = 64
    view: Annotated[
        Tokens | None,
        meaning(
            "overlap: the draft sees this many recent tokens, at positions from 0; None: all of "
            "them."
        ),
    ] = None
    offset: Annotated[TokenCount, meaning("overlap: added to every position of both models.")] = 0
    gap: Annotated[
        TokenCount,
        meaning("overlap: added to the positions of the last `view` tokens of the draft only."),
    ] = 0
    shift: Annotated[
        TokenCount,
        meaning("overlap: the draft is compared with the target this many tokens further on."),
    ] = 0
    device: Annotated[
        str,
        meaning("`auto` is the accelerator where there is one; or `cpu`, `cuda`, `cuda:1` ..."),
        option("auto, cpu, cuda, ..."),
    ] = "auto"
    dtype: Annotated[
        str,
        meaning("`auto`: bfloat16 on an accelerator, float32 on a CPU."),
        option("auto, float32, bfloat16, float16."),
    ] = "auto"
    threads: Annotated[
        int,
        Meta(ge=0, le=1024),
        meaning(
            "Threads that a CPU decodes with; 0 measures which number is fastest. Prefill uses "
            "all threads."
        ),
        option("Threads a CPU decodes with; 0 = measured."),
    ] = 0
    seed: Annotated[
        int,
        Meta(ge=0, le=2**53),
        meaning("Seed of every random draw, and of random weights."),
        option("Seed of every random draw."),
    ] = 0
    path: Annotated[
        ForwardPath,
        meaning(
            "How forwards are computed: `flat` by one function over the weights, `modules` by "
            "the Hugging Face modules. `auto` is flat if that gives the module's logits; `flat` "
            "fails if it doesn't."
        ),
    ] = "auto"
    graphs: Annotated[
        Graphs,
        meaning(
            "Whether short forwards are recorded once and replayed, on a GPU as CUDA graphs, on "
            "a CPU as TorchScript. `auto` does it if replays are possible and give equal logits; "
            "`on` fails if not."
        ),
    ] = "auto"
    load_format: Annotated[
        LoadFormat,
        meaning("`dummy`: random weights of the configured shape, for timing without a download."),
        option("auto, or dummy: random weights of the shape."),
    ] = "auto"
    detail: Annotated[
        Detail,
        meaning(
            "off: totals only; rounds: counts and times; evidence: probabilities as well; "
            "module: times of every layer too, which slows the layers down."
        ),
        option("off, rounds, evidence or module."),
    ] = "evidence"
    recheck_context: Annotated[
        TokenCount,
        meaning(
            "Bursts at most this deep are recomputed without any cache; 0 turns the recheck off."
        ),
        option("Recompute bursts up to this depth without a cache; 0 = none."),
    ] = 4096
    plain_steps: Annotated[
        SmallCount,
        meaning("Plain decoding steps timed beside each burst, as its baseline; 0 turns them off."),
        option("Plain decoding steps timed beside each burst."),
    ] = 6
    ignore_eos: Annotated[
        bool,
        meaning("Go on past an end-of-text token: a timing run needs its full length."),
        option("Go on past end of text.", flags="--ignore-eos/--stop-at-eos"),
    ] = False
    trust_remote_code: Annotated[
        bool,
        meaning(
            "Run model code from the checkpoint's repository. Off unless you trust its author."
        ),
        option("Run code that comes with a model."),
    ] = False


@cache
def known_settings() -> dict[str, SettingFacts]:
    """Return what each setting's field declares, by the setting's name."""
    return facts_of(Settings)


class Profile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the user wrote: a named experiment, as in `profiles/*.toml`."""

    name: str
    about: str = ""
    run: Settings = msgspec.field(default_factory=Settings)
    sweep: Grid = {}
    """Field of `run` -> the values it takes; several fields make a grid."""
    cell: list[Grid] = []
    """Cells besides the grid. Each maps fields of `run` to a value or values, as a grid does."""
    repeats: int = 1
    """How often every cell is run, in the order A B .. B A, so that drift affects all equally."""
    probes: list[str] = []
    """Probes run after the first run of each cell that drafts, as `diagnose --probe` runs them;
    `auto`: the probes that could change its diagnosis."""
    quick: dict[str, Value] = {}
    """Values of fields of `run`, and of `repeats`, that `--quick` sets."""


class RunSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One run of a profile: the settings of a cell of its grid, and what they vary."""

    id: str
    profile: str
    settings: Settings
    varied: dict[str, Value] = {}
    """The swept fields and their values in this cell."""
    label: str = ""
    """A few words that distinguish this cell from the others."""
    repeat: Annotated[int, Meta(ge=0, le=MOST_RUNS)] = 0
    """Which repetition of the cell this is, from 0."""
