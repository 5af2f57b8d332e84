"""A model's rotary angles differ from those that its configuration asks for.

Measures
    Radians per position of each pair of a model's rotary dimensions, as the loaded module has them,
    over the radians that its configuration gives.

Fires when
    Any pair of either model differs by more than 0.1%.

Why this is a configuration error and not a mismatch
    The weights were trained with the angles of the configuration. With other angles every distance
    in the text is wrong, and a long distance most of all. Run and recheck share the module, so the
    model's state shows clean.

Likely causes
    A RoPE scaling applied to the target only, or to neither model; an override lost on the way to
    the draft; a base frequency of another checkpoint.

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

MAX_ROUNDING_ERROR = 1e-3


class RopeNotAsConfigured(Rule):
    """Exact, apart from rounding."""

    family: ClassVar[Family] = "configuration"
    stage: ClassVar[Stage] = Stage.CONFIGURATION
    statistical: ClassVar[bool] = False

    def judge(self, evidence: Evidence) -> Outcome:
        """Compare both models' angles with what their configurations ask for."""
        header = evidence.header
        models = {"target": header.target, "draft": header.draft}
        factors = {role: factor for role, facts in models.items() if (factor := _factor(facts))}
        if not factors:
            title = "no model's rotary angles are known"
            raise MissingEvidence(title, "record with --backend native and rotary models")
        far = MAX_ROUNDING_ERROR
        wrong = {role: factor for role, factor in factors.items() if abs(factor - 1) > far}
        if not wrong:
            return Clear(detectable=f"{far:.1%} in any angle of the {' and the '.join(factors)}")
        role, factor = next(iter(wrong.items()))
        finding = Finding(
            message=f"the {role}'s rotary angles are {factor:.3g} times those that its "
            "configuration asks for",
            measures=tuple(
                Measure(name=f"the {each}'s angle per configured angle", value=value)
                for each, value in factors.items()
            ),
            remedy="apply the configured RoPE scaling to both models, or load the weights' own "
            "configuration",
            suspects=("pos/draft-rope-scaling-missing",) if role == "draft" else (),
            headline=True,
        )
        return Found(finding=finding)


def _factor(facts: ModelFacts | None) -> float | None:
    """Return the angle that is farthest off, over its configured angle; None where not known.

    A pair whose configured angle is 0 has no such factor.
    """
    if facts is None or not facts.rotation:
        return None
    if len(facts.rotation) != len(facts.rotation_configured):
        return None
    angles, configured = np.array(facts.rotation), np.array(facts.rotation_configured)
    turned = configured != 0
    with np.errstate(over="ignore"):  # an angle read from a file may be tiny
        factors = angles[turned] / configured[turned]
    factors = factors[np.isfinite(factors)]
    return float(factors[np.abs(factors - 1).argmax()]) if len(factors) else None
