"""Rows that differ in more than the compared setting (catalogue: meas/unequal-arms)."""

from collections.abc import Sequence

from specprof.errors import MissingEvidence
from specprof.findings import Clear, Measure, Outcome
from specprof.published.judge.telling import measure, report_finding, rows_of
from specprof.published.read.inference import independent_alpha
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
LOSSY_WORDS = ("typical", "threshold", "lenien", "relaxed", "cascade", "ensemble", "lossy")


def arms_unequal(results: Results) -> Outcome:
    """The baseline of a speed-up ran under other conditions."""
    drafting = [arm for arm in results.arms if arm.drafts]
    plain = [arm for arm in results.arms if arm.plain]
    if not drafting or not plain:
        raise MissingEvidence(
            "the table holds no baseline beside a run that drafts",
            "add the row of plain decoding, with its dtype, context, batch and temperature",
        )
    known = [
        name for name in CONDITIONS if all(_condition_of(arm, name) for arm in (*drafting, *plain))
    ]
    if not known:
        title = "no condition of the runs is in every row"
        raise MissingEvidence(title, f"add columns: {', '.join(CONDITIONS[:5])}")
    alone = [arm for arm in drafting if not any(are_alike(arm, other, known) for other in plain)]
    if not alone:
        missing = [name for name in CONDITIONS if name not in known]
        unseen = f"; unseen: {', '.join(missing)}" if missing else ""
        return Clear(detectable=f"a difference in {', '.join(known)}{unseen}")
    arm = alone[0]
    nearest = min(plain, key=lambda other: len(_differing_conditions(arm, other, known)))
    parts = [
        f"{name} {_condition_of(arm, name)} against {_condition_of(nearest, name)}"
        for name in _differing_conditions(arm, nearest, known)
    ]
    return report_finding(
        f"{rows_of(alone)} and the nearest baseline, {nearest}, differ in {', '.join(parts)}: "
        "their ratio measures more than speculation",
        [Measure(name="rows without a like baseline", value=len(alone), n=len(drafting))],
        "run the baseline under the same conditions, in the same process",
        suspects=("meas/unequal-arms",),
    )


def rates_of_different_depths(results: Results) -> Outcome:
    """Rows at different K show accepted per drafted token, which falls with K by itself."""
    arms = [arm for arm in results.rows_with("accept_frac", "depth") if not arm.tree]
    depths = sorted({round(arm.figures["depth"].value) for arm in arms})
    if len(depths) < 2:  # noqa: PLR2004 - one depth, nothing to confuse
        return Clear(detectable="accepted/drafted at more than one K")
    if all(arm.get("alpha_cond") or arm.survival for arm in arms):
        return Clear(detectable="accepted/drafted at several K with no rate that compares")
    shares = [(arm, arm.get("accept_frac"), round(arm.figures["depth"].value)) for arm in arms]
    return report_finding(
        f"accepted per drafted token is printed at K = {', '.join(map(str, depths))}: it falls "
        "with K even where all drafts are equally good; the measures give it per reached token",
        [
            Measure(
                name=f"accepted per reached token, as if independent, {arm}",
                value=independent_alpha(min(share.value, 1.0), depth),
                low=independent_alpha(min(share.low, 1.0), depth),
                high=independent_alpha(min(share.high, 1.0), depth),
            )
            for arm, share, depth in shares
            if share and depth
        ],
        "compare accepted / (accepted + rejections), or tokens per target forward",
        suspects=("meas/rate-with-adaptive-k", "meas/index0-depends-on-k"),
    )


def chains_beside_trees(results: Results) -> Outcome:
    """Rows of chains stand beside rows of trees: rates are per token, or per path or node."""
    rates = ("accept_frac", "length", "alpha_cond", "accept_per_node")
    arms = [arm for arm in results.arms if arm.drafts and any(arm.get(each) for each in rates)]
    if not any("structure" in arm.texts or "nodes" in arm.figures for arm in arms):
        raise MissingEvidence("no row says chain or tree", "add a column: structure")
    trees = [arm for arm in arms if arm.tree]
    if not trees or len(trees) == len(arms):
        return Clear(detectable="both chains and trees among the rows")
    return report_finding(
        f"{rows_of(trees)} drafted trees, the others chains: their rates have different "
        "denominators",
        [
            measure(f"{name}, {arm}", figure)
            for arm in arms
            for name in rates
            if (figure := arm.get(name))
        ],
        "compare tokens per target forward and speed across structures, nothing else",
        suspects=("meas/alpha-vs-tree-length",),
    )


def lossy_beside_lossless(results: Results) -> Outcome:
    """Rows with a lossy acceptance rule stand beside rows with a lossless one."""
    arms = [arm for arm in results.arms if arm.drafts]
    if not any("rule" in arm.texts for arm in arms):
        raise MissingEvidence("no row names its acceptance rule", "add a column: rule")
    lossy = [
        arm for arm in arms if any(w in arm.texts.get("rule", "").lower() for w in LOSSY_WORDS)
    ]
    if not lossy or len(lossy) == len(arms):
        return Clear(detectable="lossy and lossless rules in one table")
    return report_finding(
        f"{rows_of(lossy)} accept by a rule that changes the text; the others don't",
        [Measure(name="rows with a lossy rule", value=len(lossy), n=len(arms))],
        "compare lossy rules by quality and speed together, apart from the lossless ones",
        suspects=("meas/lossy-compared-as-lossless",),
    )


def _condition_of(arm: Arm, name: str) -> str:
    figure = arm.figures.get(name)
    return str(figure) if figure else arm.texts.get(name, "")


def _differing_conditions(arm: Arm, other: Arm, names: Sequence[str]) -> list[str]:
    return [
        name
        for name in names
        if _condition_of(arm, name).lower() != _condition_of(other, name).lower()
    ]


def are_alike(arm: Arm, other: Arm, names: Sequence[str]) -> bool:
    """Whether two rows agree on all of these conditions."""
    return not _differing_conditions(arm, other, names)


INCOMPARABLE = (
    arms_unequal,
    rates_of_different_depths,
    chains_beside_trees,
    lossy_beside_lossless,
)
