"""Lists all rules and probes in order: of several that fire, the first leads.

A rule or probe declares its stage in its class. This table gives its place within the stage. A rule
or probe that is not listed, such as a plug-in's, comes last in its stage.
"""

from typing import NamedTuple

from specprof.findings import Stage


class Group(NamedTuple):
    """The rules and probes of one stage, in the order in which they lead."""

    stage: Stage
    why: str
    """Why the stage has its place in the table."""
    judges: tuple[str, ...]
    """Names of rules and probes."""


TABLE = (
    Group(
        Stage.CAPTURE,
        "Nothing can be learned from a file that contradicts itself.",
        ("capture-contradicts-itself",),
    ),
    Group(
        Stage.STREAM,
        "Tokens that can't be right need no statistics, and spoil every estimate below.",
        (
            "limit-overshot",
            "nothing-proposed",
            "text-goes-past-stop",
            "token-outside-vocabulary",
            "drafts-constant",
            "logits-not-finite",
        ),
    ),
    Group(
        Stage.BOOKKEEPING,
        "Counts are exact, and a wrong length makes the state wrong from there on.",
        (
            "accepted-not-committed",
            "cache-length-wrong",
            "emitted-count-broken",
        ),
    ),
    Group(
        Stage.TARGET_STATE,
        "All tests below compare with the target, so its own answers must be right.",
        ("target-state-drifts", "baseline-twice"),
    ),
    Group(
        Stage.ACCEPT_RULE,
        "An unfair accept step changes what is emitted, whatever the draft does.",
        ("another-accept-rule", "drafts-not-drawn", "accept-rule-unfair"),
    ),
    Group(
        Stage.DRAFT_LAW,
        "The accept step is right only if it is given the law that drafts were drawn from.",
        ("draft-law-differs",),
    ),
    Group(
        Stage.EMISSION,
        "Corrections and bonus tokens depend on both laws and on the accept step.",
        ("final-law-differs", "output-not-greedy", "residual-unsupported", "output-law-differs"),
    ),
    Group(
        Stage.DRAFTER,
        "A head that is fed wrongly decides from a wrong state, so the feeding is the cause.",
        ("head-scan",),
    ),
    Group(
        Stage.DRAFT_STATE,
        "A wrong state of the draft costs acceptance, but the output keeps the target's law.",
        (
            "draft-state-drifts",
            "recompute",
            "temp-zero",
            "self-draft-disagrees",
            "dtype",
            "self-draft",
            "perturbed-self",
            "temperature-extremes",
            "k-sweep",
        ),
    ),
    Group(
        Stage.CONFIGURATION,
        "Models that were set up wrongly look like a mismatch, and can be set up rightly.",
        ("rope-not-as-configured", "vocabularies-differ", "worse-than-constant"),
    ),
    Group(
        Stage.NUMERICS,
        "Rounding explains small differences that nothing above explains.",
        ("state-rounded", "near-ties-flipped"),
    ),
    Group(
        Stage.MISMATCH,
        "Only in an engine without a bug are the two models the reason. Causes come first.",
        (
            "position-offset",
            "position-range-exceeded",
            "short-view",
            "position-gap",
            "window-sweep",
            "repetition-text",
            "draft-ladder",
            "drafts-mismatched",
        ),
    ),
    Group(
        Stage.COST,
        "A correct run may still be slow. Single causes come before their sum.",
        (
            "extra-target-forwards",
            "too-little-drafted",
            "cache-holds-too-much",
            "drafting-given-up",
            "depth-change-slow",
            "host-gap-large",
            "draft-step-slow",
            "plain-rounds-slow",
            "verification-expensive",
            "draft-too-expensive",
            "depth-too-deep",
            "no-speedup",
        ),
    ),
    Group(
        Stage.MEASUREMENT,
        "A doubt about the measurement leads only where nothing else was found.",
        (
            "capture-incomplete",
            "clock-coarse",
            "round-too-cheap",
            "rows-processed",
            "text-loops",
            "too-few-rounds",
            "warm-up-included",
            "shifted-control",
            "run-contended",
        ),
    ),
)
"""In the order of `Stage`, with each stage once."""
NAMES = tuple(name for group in TABLE for name in group.judges)
"""The names of all listed rules and probes, in order."""
PLACE_WITHOUT_STAGE = len(NAMES) + 1.0


def place(name: str, stage: Stage | None) -> float:
    """Return the place of a rule or probe, from 1.

    One that is not listed comes half a place after its stage's last; one without a stage comes
    after all others.
    """
    if stage is None:
        return PLACE_WITHOUT_STAGE
    if name in TABLE[stage.number].judges:
        return NAMES.index(name) + 1.0
    return last_place(stage)


def last_place(stage: Stage) -> float:
    """Return the place of rules and probes that the stage does not list: after its last one."""
    return sum(len(group.judges) for group in TABLE[: stage.number + 1]) + 0.5


def find_group(name: str) -> Group | None:
    """Return the group that lists a rule or probe; None where no group does."""
    return next((group for group in TABLE if name in group.judges), None)
