"""Rows that differ in more than what they are compared by (catalogue: meas/unequal-arms)."""

from collections.abc import Sequence

from specprof.errors import MissingEvidence
from specprof.findings import Clear, Measure, Outcome
from specprof.published.judge.telling import found, measure, rows_of
from specprof.published.read.inference import independent
from specprof.published.read.results import Arm, Results

CONDITIONS = (
    "dtype",
    "context",
    "batch",
    "temperature",
    "device",
    "engine",
    "attention",
    "cache",
    "target",
    "text",
)
LOSSY = ("typical", "threshold", "lenien", "relaxed", "cascade", "ensemble", "lossy")


def arms_unequal(results: Results) -> Outcome:
    """A speed-up whose baseline ran under other conditions."""
    drafting = [arm for arm in results.arms if arm.drafts]
    plain = [arm for arm in results.arms if arm.plain]
    if not drafting or not plain:
        raise MissingEvidence(
            "the table holds no baseline beside a run that drafts",
            "add the row of plain decoding, with its dtype, context, batch and temperature",
        )
    told = [name for name in CONDITIONS if all(_told(arm, name) for arm in (*drafting, *plain))]
    if not told:
        title = "no row tells under which conditions it ran"
        raise MissingEvidence(title, f"add columns: {', '.join(CONDITIONS[:5])}")
    alone = [arm for arm in drafting if not any(alike(arm, other, told) for other in plain)]
    if not alone:
        missing = [name for name in CONDITIONS if name not in told]
        return Clear(detectable=f"a difference in {', '.join(told)}; not in {', '.join(missing)}")
    arm = alone[0]
    nearest = min(plain, key=lambda other: len(_unlike(arm, other, told)))
    parts = [
        f"{name} {_told(arm, name)} against {_told(nearest, name)}"
        for name in _unlike(arm, nearest, told)
    ]
    return found(
        f"{rows_of(alone)} and the nearest baseline, {nearest}, differ in {', '.join(parts)}: "
        "their ratio is of more than speculation",
        [Measure(name="rows without a like baseline", value=len(alone), n=len(drafting))],
        "run the baseline under the same conditions, in the same process",
        suspects=("meas/unequal-arms",),
    )


def rates_of_different_depths(results: Results) -> Outcome:
    """Accepted per drafted token is set beside itself at another K: it falls with K by itself."""
    arms = [arm for arm in results.having("accept_frac", "depth") if not arm.tree]
    depths = sorted({round(arm.figures["depth"].value) for arm in arms})
    if len(depths) < 2:  # noqa: PLR2004 - one depth, nothing to confuse
        return Clear(detectable="accepted/drafted at more than one K")
    if all(arm.get("alpha_cond") or arm.survival for arm in arms):
        return Clear(detectable="accepted/drafted at several K with no rate that compares")
    shares = [(arm, arm.get("accept_frac"), round(arm.figures["depth"].value)) for arm in arms]
    return found(
        f"accepted per drafted token stands at K = {', '.join(map(str, depths))}: it falls with K "
        "even where every draft is as good; per reached token the rows are as measured here",
        [
            Measure(
                name=f"accepted per reached token, as if independent, {arm}",
                value=independent(min(share.value, 1.0), depth),
                low=independent(min(share.low, 1.0), depth),
                high=independent(min(share.high, 1.0), depth),
            )
            for arm, share, depth in shares
            if share and depth
        ],
        "compare accepted / (accepted + rejections), or tokens per target forward",
        suspects=("meas/rate-with-adaptive-k", "meas/index0-depends-on-k"),
    )


def chains_beside_trees(results: Results) -> Outcome:
    """A chain's acceptance beside a tree's: one is per token, the other per path or node."""
    told = ("accept_frac", "length", "alpha_cond", "accept_per_node")
    arms = [arm for arm in results.arms if arm.drafts and any(arm.get(each) for each in told)]
    if not any("structure" in arm.texts or "nodes" in arm.figures for arm in arms):
        raise MissingEvidence("no row tells chain or tree", "add a column: structure")
    trees = [arm for arm in arms if arm.tree]
    if not trees or len(trees) == len(arms):
        return Clear(detectable="both chains and trees among the rows")
    return found(
        f"{rows_of(trees)} drafted trees, the others chains: their rates have different "
        "denominators",
        [
            measure(f"{name}, {arm}", figure)
            for arm in arms
            for name in told
            if (figure := arm.get(name))
        ],
        "compare tokens per target forward and speed across structures, nothing else",
        suspects=("meas/alpha-vs-tree-length",),
    )


def lossy_beside_lossless(results: Results) -> Outcome:
    """A rule that changes the target's law, beside one that keeps it."""
    arms = [arm for arm in results.arms if arm.drafts]
    if not any("rule" in arm.texts for arm in arms):
        raise MissingEvidence("no row tells its acceptance rule", "add a column: rule")
    lossy = [arm for arm in arms if any(w in arm.texts.get("rule", "").lower() for w in LOSSY)]
    if not lossy or len(lossy) == len(arms):
        return Clear(detectable="lossy and lossless rules in one table")
    return found(
        f"{rows_of(lossy)} accept by a rule that changes the text; the others don't",
        [Measure(name="rows with a lossy rule", value=len(lossy), n=len(arms))],
        "compare lossy rules by quality and speed together, apart from the lossless ones",
        suspects=("meas/lossy-compared-as-lossless",),
    )


def _told(arm: Arm, name: str) -> str:
    figure = arm.figures.get(name)
    return str(figure) if figure else arm.texts.get(name, "")


def _unlike(arm: Arm, other: Arm, told: Sequence[str]) -> list[str]:
    return [name for name in told if _told(arm, name).lower() != _told(other, name).lower()]


def alike(arm: Arm, other: Arm, told: Sequence[str]) -> bool:
    """Whether two rows agree on all of these conditions."""
    return not _unlike(arm, other, told)


INCOMPARABLE = (
    arms_unequal,
    rates_of_different_depths,
    chains_beside_trees,
    lossy_beside_lossless,
)
