"""A model turns its positions by other angles than its configuration asks for.

Measures
    Radians a position of each pair of a model's rotary dimensions, as the loaded module has them,
    over those its configuration gives.

Fires when
    Any pair of either model differs by more than 0.1%.

Why this is a configuration error and not a mismatch
    The weights were trained with the angles the configuration names. With others every distance
    in the text is a wrong one, the more so the longer it is. Run and recheck share the module, so
    its state shows clean.

Likely causes
    A RoPE scaling applied to the target only, or to neither; an override lost on the way to the
    draft; a base frequency of another checkpoint.

Confirm
    Load the draft with the scaling of its own configuration and record the same depths.

Does not see
    A configuration that is itself wrong; angles that change with the length of the text; models
    without rotary positions.

Try it
    specprof drill pos/draft-rope-scaling-missing
"""

from typing import ClassVar

import numpy as np

from specprof.analysis.evidence import Evidence
from specprof.errors import MissingEvidence
from specprof.extend import Rule
from specprof.findings import Clear, Family, Finding, Found, Measure, Outcome, Stage
from specprof.records import ModelFacts

SLACK = 1e-3


class RopeNotAsConfigured(Rule):
    """Exact but for rounding."""

    family: ClassVar[Family] = "configuration"
    stage: ClassVar[Stage] = Stage.CONFIGURATION
    statistical: ClassVar[bool] = False

    def judge(self, evidence: Evidence) -> Outcome:
        """Compare both models' angles with what their configurations ask for."""
        header = evidence.header
        models = {"target": header.target, "draft": header.draft}
        factors = {who: factor for who, facts in models.items() if (factor := _factor(facts))}
        if not factors:
            title = "no model's rotary angles are known"
            raise MissingEvidence(title, "record with --backend native and rotary models")
        wrong = {who: factor for who, factor in factors.items() if abs(factor - 1) > SLACK}
        if not wrong:
            return Clear(detectable=f"{SLACK:.1%} in any angle of the {' and the '.join(factors)}")
        who, factor = next(iter(wrong.items()))
        finding = Finding(
            message=f"the {who} turns positions {factor:.3g} times as fast as its configuration "
            "asks",
            measures=tuple(
                Measure(name=f"the {each}'s angle per configured angle", value=value)
                for each, value in factors.items()
            ),
            remedy="apply the configured RoPE scaling to both models, or load the weights' own "
            "configuration",
            suspects=("pos/draft-rope-scaling-missing",) if who == "draft" else (),
            headline=True,
        )
        return Found(finding=finding)


def _factor(facts: ModelFacts | None) -> float | None:
    """Return the angle that is farthest off over its configured one; None where not known.

    A pair that is configured not to turn has no such factor.
    """
    if facts is None or not facts.rotation:
        return None
    if len(facts.rotation) != len(facts.rotation_configured):
        return None
    angles, configured = np.array(facts.rotation), np.array(facts.rotation_configured)
    turned = configured != 0
    with np.errstate(over="ignore"):  # an angle out of a file may be next to nothing
        factors = angles[turned] / configured[turned]
    factors = factors[np.isfinite(factors)]
    return float(factors[np.abs(factors - 1).argmax()]) if len(factors) else None
