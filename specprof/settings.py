"""What the user asked: settings, the profile that varies them, and one run of it."""

from typing import Annotated, Literal

import msgspec

Workload = Literal["walk", "generate", "ppl", "overlap", "scan"]
Detail = Literal["off", "rounds", "evidence", "module"]
EVIDENT: tuple[Detail, ...] = ("evidence", "module")
"""Levels at which probabilities are recorded."""
LoadFormat = Literal["auto", "dummy"]
ForwardPath = Literal["auto", "flat", "modules"]
Graphs = Literal["auto", "off", "on"]


MOST_RUNS = 10_000
"""Of one profile or sweep: its cells, each as often as it is repeated."""
Value = str | int | float | bool | None
Grid = dict[str, Value | list[Value]]


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One run's settings, every field one value; a sweep or a probe varies one of them."""

    target: str = "pocket/target"
    """A Hugging Face id, a local checkpoint folder, or a member of the pocket family."""
    draft: str | None = "pocket/draft"
    """Like `target`; None where the drafter needs no draft model."""
    backend: str = "native"
    """What runs the rounds: a member of `backends/`."""
    drafter: str = "draft-model"
    """How tokens are drafted: a member of `drafters/`; `none` drafts nothing."""
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
    """How drafted tokens are judged: a member of `acceptance/`; `auto` is greedy at temperature 0
    and rejection above it."""
    cache: str = "dense"
    """How keys and values are kept, a member of `caches/`: the target's, and the draft's where
    `draft_cache` names no other."""
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
    """0 is greedy."""
    top_p: float = 1.0
    """Tokens are kept, the likeliest first, until they hold this much mass; 1 keeps every one."""
    top_k: int = 0
    """0 keeps every token."""
    workload: Workload = "walk"
    """What is done: decode at ever deeper contexts of a text, `generate` on from one, or score a
    known one (`ppl`, and for probes `overlap` and `scan`)."""
    text: str | None = None
    """A text file, or a named text: `prose`, `repetition`, `reversed`, `random`; None is the pocket
    family's held-out document."""
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
    view: int | None = None
    """overlap: recent tokens the draft is shown, at positions from 0; None: all of them."""
    offset: int = 0
    """overlap: added to every position of both models."""
    gap: int = 0
    """overlap: added to the positions of the last `view` tokens of the draft only."""
    shift: int = 0
    """overlap: the draft's law is held against the target's so many tokens further on."""
    ignore_eos: bool = False
    """Go on past an end-of-text token: a timing run wants its full length."""
    seed: int = 0
    """Of every random draw, and of random weights."""
    dtype: str = "auto"
    """`auto`: bfloat16 on an accelerator, float32 on a CPU."""
    device: str = "auto"
    """`auto` is the accelerator where there is one; or `cpu`, `cuda`, `cuda:1` ..."""
    threads: int = 0
    """Threads a CPU decodes with; 0 measures which count is fastest. Prefill takes them all."""
    path: ForwardPath = "auto"
    """How forwards are computed: `flat` by one function over the weights, `modules` by the Hugging
    Face modules as they are; `auto` is flat for models it gives the same logits for, `flat` fails
    for others."""
    graphs: Graphs = "auto"
    """Whether short forwards are recorded once and replayed, on a GPU as CUDA graphs, on a CPU as
    TorchScript: `auto` where they can be and give the same logits; `on` fails elsewhere."""
    load_format: LoadFormat = "auto"
    """`dummy`: random weights of the configured shape, for timing without a download."""
    detail: Detail = "evidence"
    """off: totals only; rounds: counts and times; evidence: probabilities as well; module: times of
    every layer too, which slows down what they time."""
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
    probes: list[str] = []
    """Probes made after the first run of each cell that drafted, as `diagnose --probe` makes them;
    `auto`: those its diagnosis hangs on."""
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
    repeat: Annotated[int, msgspec.Meta(ge=0, le=MOST_RUNS)] = 0
    """Which repetition of the cell this is, from 0."""
