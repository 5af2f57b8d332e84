"""Which settings can be run together: others are refused before a model is loaded.

`capabilities` reads what members can do; none of them is imported.
"""

import math
from collections.abc import Mapping

import msgspec

from specprof import registry
from specprof.capabilities import capability, known_capability
from specprof.errors import UsageError
from specprof.plain import brief
from specprof.reasons import field_of, reason_of
from specprof.setting_facts import number
from specprof.settings import MOST_NODES, Settings, known_settings

RECORDED_BACKEND = "recorded"
"""The backend in a capture of `specprof.record`: the loop is not one of specprof's backends."""
MAX_SHOWN_CHARS = 60
"""Characters that an error quotes of a refused text."""
NEEDS_DRAFT = ("draft-model", "eagle")
TEXT_WORKLOADS = ("ppl", "overlap", "scan")
"""Workloads that read known text and decode nothing."""
OVERLAP_DRAFTERS = ("draft-model", "self", "perturbed-self", "layer-skip")
"""Drafters whose law over known text can be computed by a plain forward."""
OVERLAP_SETTINGS = ("view", "offset", "gap", "shift")
"""Settings that only the workload `overlap` has."""
PEER_BACKENDS = {
    "hf-assisted": ("draft-model", ("fixed", "hf-heuristic", "confidence")),
    "hf-prompt-lookup": ("ngram", ("fixed",)),
    "hf-generate": ("none", ("fixed",)),
}
"""Backends that run transformers' own loop -> the drafter and the depth policies they have."""
SYNTHETIC_VALUES = {
    "shape": ("chain", "static-tree"),
    "drafter": ("draft-model", "none"),
    "depth_policy": ("fixed",),
    "acceptance": ("auto", "greedy", "rejection"),
}
"""Setting -> the values for which the backend `synthetic` can make up rounds."""


def acceptance_in_force(settings: Settings) -> str:
    """Return the acceptance rule's name: `auto` is greedy at temperature 0, else rejection."""
    if settings.acceptance != "auto":
        return settings.acceptance
    return "greedy" if settings.temperature == 0 else "rejection"


def check(settings: Settings) -> None:
    """Refuse, with UsageError, settings that no run can have; the hint says what is allowed."""
    check_values(msgspec.structs.asdict(settings))
    check_length(settings)
    _check_names(settings)
    if settings.acceptance == "greedy" and settings.temperature > 0:
        title = f"greedy acceptance was asked for at temperature {settings.temperature}"
        raise UsageError(title, "use temperature 0, or acceptance rejection")
    _check_workload_settings(settings)
    if settings.workload in TEXT_WORKLOADS:
        _check_text(settings)
    if settings.workload == "ppl":
        return
    if settings.backend in PEER_BACKENDS:
        _check_peer(settings)
    if settings.backend == "synthetic":
        _check_synthetic(settings)
    if settings.drafter in NEEDS_DRAFT and settings.draft is None and settings.backend == "native":
        title = f"the drafter {settings.drafter!r} needs a draft model"
        raise UsageError(title, "name one with --draft, or use --drafter none")
    if grows_tree(settings.shape):
        _check_tree(settings)
    if settings.batch > 1:
        _check_batch(settings)
    if settings.detail == "module":
        _check_module(settings)
    _check_window(settings)


def grows_tree(shape: str) -> bool:
    """Return whether a shape's drafted tokens may have siblings."""
    return bool(capability("shape", shape, "tree"))


def feeds_anew(settings: Settings) -> bool | None:
    """Return whether every round feeds the last round's accepted drafts again.

    None if the drafter is not installed here.
    """
    if settings.shape != "chain":
        return True
    refed = known_capability("drafter", settings.drafter, "refed")
    return None if refed is None else bool(refed)


def read_widths(settings: Settings) -> list[int]:
    """Return how many children each node of the static tree has, level by level."""
    try:
        found = [int(number(int, each.strip())) for each in settings.widths.split(",")]
    except ValueError:
        found = []
    if not found or min(found) < 1 or max(found) > MOST_NODES:
        hint = f"give whole numbers from 1 to {MOST_NODES}, level by level: 4,2,1,1"
        raise UsageError(f"widths is {brief(settings.widths, MAX_SHOWN_CHARS)!r}", hint)
    return found


def max_drafted(settings: Settings) -> int:
    """Return the largest number of tokens that a round can draft."""
    deepest = _max_depth(settings)
    if settings.drafter == "none" or not deepest:
        return 0
    if settings.shape == "static-tree":
        per_level = read_widths(settings)[:deepest]
        sizes = [math.prod(per_level[: level + 1]) for level in range(len(per_level))]
        return sum(sizes) + (deepest - len(sizes)) * sizes[-1]
    if settings.shape == "dynamic-tree":
        return settings.nodes
    return deepest


def max_expanded(settings: Settings) -> int:
    """Return the largest number of nodes of a dynamic tree that are fed to the draft.

    That is `branch` nodes of each level but the last, even if fewer are kept and verified.
    """
    return settings.branch * max(_max_depth(settings) - 1, 0)


def _max_depth(settings: Settings) -> int:
    """Return the largest K the depth policy may ask for."""
    return max(settings.depth, capability("depth", settings.depth_policy, "deepest"))


def check_values(given: Mapping[str, object]) -> None:
    """Refuse, with UsageError, a value that its setting can't have; the hint says which it can."""
    try:
        settings = msgspec.convert(dict(given), Settings)
    except msgspec.ValidationError as trouble:
        reason, field = reason_of(trouble, given, Settings), field_of(trouble)
        found, _, admitted = reason.rpartition("; it must be ")
        hint = f"it must be {admitted}"
        raise UsageError(found.replace(f"`{field}`", field, 1), hint) from trouble
    for field, facts in known_settings().items():
        value, least = getattr(settings, field), facts.zero_or_from
        if least is not None and value != 0 and value < least:
            raise UsageError(f"{field} is {value}", f"it must be 0, or at least {least}")


def check_length(settings: Settings) -> None:
    """Refuse, with UsageError, an answer of no tokens; 0 means unknown in a recorded loop."""
    if settings.max_new_tokens == 0 and settings.backend != RECORDED_BACKEND:
        raise UsageError("max_new_tokens is 0", "it must be at least 1")


def refuse_empty_names(settings: Settings) -> None:
    """Refuse, with UsageError, an empty name of a model or a text: as a path it is this folder."""
    for field in ("target", "draft", "text", "dataset"):
        if getattr(settings, field) == "":
            raise UsageError(f"{field} is an empty name", "give a name, or leave it out")


def _check_names(settings: Settings) -> None:
    """Refuse a name that no member has, and list the known names, nearest first."""
    refuse_empty_names(settings)
    for field, facts in known_settings().items():
        name = getattr(settings, field)
        if facts.member is not None and name not in {None, facts.besides}:
            registry.member(facts.member, name)


def _check_peer(settings: Settings) -> None:
    wanted = {"shape": "chain", "cache": "dense", "batch": 1}
    for field, only in wanted.items():
        value = getattr(settings, field)
        if value != only:
            title = f"backend {settings.backend!r} was asked for {field} {value}"
            raise UsageError(title, f"it has only {field} {only}; use backend native")
    if settings.draft_cache not in (None, "dense"):
        title = f"backend {settings.backend!r} was asked for draft_cache {settings.draft_cache}"
        raise UsageError(title, "it has only dense caches; use backend native")
    drafter, policies = PEER_BACKENDS[settings.backend]
    if settings.drafter != drafter:
        title = f"backend {settings.backend!r} was asked for drafter {settings.drafter}"
        raise UsageError(title, f"add --drafter {drafter}, or use backend native")
    if settings.depth_policy not in policies:
        title = f"backend {settings.backend!r} was asked for depth policy {settings.depth_policy}"
        raise UsageError(title, f"it has {', '.join(policies)}; use backend native for others")


def _check_synthetic(settings: Settings) -> None:
    for field, known in SYNTHETIC_VALUES.items():
        value = getattr(settings, field)
        if value not in known:
            title = f"backend 'synthetic' was asked for {field} {value}"
            raise UsageError(title, f"it makes up {', '.join(known)}; use backend native")


def _check_workload_settings(settings: Settings) -> None:
    """Refuse a setting of another workload, because it would change nothing."""
    for field in OVERLAP_SETTINGS:
        value = getattr(settings, field)
        if value and settings.workload != "overlap":
            title = f"{field} {value} was asked for with workload {settings.workload}"
            raise UsageError(title, f"only workload overlap has a {field}")


def _check_text(settings: Settings) -> None:
    """Refuse settings by which known text can't be read."""
    workload = settings.workload
    if settings.backend in PEER_BACKENDS:
        title = f"workload {workload} was asked for with backend {settings.backend!r}"
        raise UsageError(title, "transformers' own loop scores no text: use backend native")
    if settings.batch > 1:
        title = f"workload {workload} was asked for with batch {settings.batch}"
        raise UsageError(title, "a text is scored as one sequence: use batch 1")
    if workload != "ppl" and settings.backend != "native":
        title = f"workload {workload} was asked for with backend {settings.backend!r}"
        raise UsageError(title, "it needs two models to read the text: use backend native")
    if workload == "overlap":
        _check_overlap(settings)
    if workload == "scan" and settings.drafter != "eagle":
        title = f"workload scan was asked for with drafter {settings.drafter!r}"
        raise UsageError(title, "only a head has conventions to scan: use drafter eagle")


def _check_overlap(settings: Settings) -> None:
    if settings.drafter not in OVERLAP_DRAFTERS:
        title = f"workload overlap was asked for with drafter {settings.drafter!r}"
        raise UsageError(
            title, f"only these drafters can read known text: {', '.join(OVERLAP_DRAFTERS)}"
        )
    if settings.drafter == "perturbed-self" and settings.temperature == 0:
        title = "workload overlap was asked for with drafter 'perturbed-self' at temperature 0"
        raise UsageError(title, "a greedy draft strays at random places: use a temperature above 0")
    if settings.gap and settings.view is None:
        title = f"gap {settings.gap} was asked for without a view"
        raise UsageError(title, "give view: the recent tokens that move up by the gap")
    if settings.view and (settings.draft_cache or settings.cache) != "dense":
        title = f"view {settings.view} was asked for with a draft cache that evicts or rounds"
        raise UsageError(title, "a view is read without any cache: use draft_cache dense")
    if settings.shift >= settings.context:
        title = f"shift is {settings.shift} and the text has {settings.context} tokens"
        raise UsageError(title, "make it shorter than the text")


def _check_tree(settings: Settings) -> None:
    if not capability("drafter", settings.drafter, "distribution"):
        title = f"drafter {settings.drafter!r} was asked for shape {settings.shape}"
        raise UsageError(title, "it can only draft a chain; use drafter draft-model or eagle")
    asked = acceptance_in_force(settings)
    if not capability("acceptance", asked, "trees"):
        rules = registry.members("acceptance")
        able = [name for name in rules if known_capability("acceptance", name, "trees")]
        title = f"acceptance {asked!r} was asked to decide a {settings.shape}"
        raise UsageError(title, f"trees can be decided by: {', '.join(able) or 'none'}")
    if settings.shape == "static-tree":
        read_widths(settings)
    if max_drafted(settings) > MOST_NODES:
        title = f"the {settings.shape} would draft {max_drafted(settings)} tokens a round"
        raise UsageError(title, f"at most {MOST_NODES} are verified at once: use a narrower tree")
    expanded = max_expanded(settings) if settings.shape == "dynamic-tree" else 0
    if expanded > MOST_NODES:
        title = f"the draft would expand {expanded} nodes of the {settings.shape} a round"
        raise UsageError(title, f"at most {MOST_NODES} are allowed: lower branch or the depth")


def _check_batch(settings: Settings) -> None:
    if settings.drafter == "eagle":
        title = f"drafter 'eagle' was asked for batch {settings.batch}"
        raise UsageError(title, "it reads one sequence's features: use batch 1, or draft-model")
    for kept in {settings.cache, settings.draft_cache or settings.cache} - {"dense"}:
        title = f"cache {kept!r} was asked for batch {settings.batch}"
        raise UsageError(title, "it keeps one sequence: use batch 1, or cache dense")


def _check_module(settings: Settings) -> None:
    title = "detail 'module' was asked for"
    if settings.backend != "native":
        hint = "only the backend native times layers: use detail rounds"
        raise UsageError(f"{title} with backend {settings.backend!r}", hint)
    if settings.batch > 1:
        hint = "sequences of a batch share their forwards, so no round owns them: use batch 1"
        raise UsageError(f"{title} for batch {settings.batch}", hint)


def _check_window(settings: Settings) -> None:
    if "sink-window" not in (settings.cache, settings.draft_cache):
        return
    if settings.block > settings.window:
        title = f"block is {settings.block} with a window of {settings.window}"
        raise UsageError(title, "a block is cut from the window: make it no larger than the window")
    drafted = max_drafted(settings)
    if settings.window <= drafted:
        title = f"window is {settings.window} and a round drafts up to {drafted} tokens"
        raise UsageError(title, "the window must hold a whole round: make it wider")
    streamed = (settings.draft_cache or settings.cache) == "sink-window"
    expanded = max_expanded(settings) if settings.shape == "dynamic-tree" else 0
    if streamed and settings.window < expanded:
        title = f"window is {settings.window} and the draft expands up to {expanded} nodes a round"
        raise UsageError(title, "make the window wider, or branch or the depth smaller")
