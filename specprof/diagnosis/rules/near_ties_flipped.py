"""Greedy text differs from plain greedy decoding at near ties, where rounding decides.

Measures
    Committed tokens that are not the first choice of the recheck, and by how many logits they fall
    short of it; after how many tokens each text first leaves plain greedy text; the noise of this
    run's logits, from the differences between used and recomputed rows.

Fires when
    There is such a token, all of them are within the noise, and the state is clean.

Why this is the numerics and not a bug
    A pass over K + 1 tokens and a pass over one token add the same numbers in another order. Where
    two logits are closer than that changes them, either is as good a first choice (theory 4.1). The
    two texts then differ, and neither is wrong.

Likely causes
    bfloat16, in which logits from 16 to 32 are 0.125 apart; a kernel for several tokens that
    differs from the kernel for one.

Confirm
    Run in float32: the ties become rare.

Does not see
    Runs above temperature 0; text that was not rechecked.

Try it
    specprof drill num/verify-vs-decode-kernel-ties
"""

from typing import ClassVar

from specprof.analysis import first_choices
from specprof.analysis.evidence import Evidence
from specprof.analysis.tables import first_rounds
from specprof.diagnosis.rules._divergence import measure_divergence
from specprof.errors import MissingEvidence
from specprof.extend import Rule
from specprof.findings import Clear, Family, Finding, Found, Measure, Outcome, Stage, Where


class NearTiesFlipped(Rule):
    """A count of excused differences."""

    family: ClassVar[Family] = "measurement"
    stage: ClassVar[Stage] = Stage.NUMERICS
    """Behind every bug: a tie explains only itself."""

    def judge(self, evidence: Evidence) -> Outcome:
        """Count what output-not-greedy sets aside."""
        if not evidence.greedy:
            raise MissingEvidence("tokens are drawn, not chosen", "record a run at temperature 0")
        found = evidence.ask(first_choices.choices)
        ties = found.differs & ~found.wrong & ~found.astray
        if not ties.any() or found.wrong.any():
            return Clear(detectable=f"one token of {len(ties):,} that is not the first choice")
        row = int(ties.argmax())
        finding = Finding(
            message=f"{int(ties.sum())} of {len(ties):,} tokens are not the first choice of a pass "
            f"without cache, all within the rounding of {found.noise:.2g} logits",
            measures=(
                Measure(
                    name="flipped near ties per token",
                    value=float(ties.mean()),
                    n=len(ties),
                    counted="tokens",
                ),
                Measure(
                    name="largest shortfall",
                    value=float(found.shortfall[ties].max()),
                    unit="logits",
                    n=int(ties.sum()),
                    counted="near ties",
                ),
                *measure_divergence(evidence),
            ),
            remedy="nothing needs mending; compare texts token by token at their own prefixes, and "
            "in float32 where they must be equal",
            confirm=("specprof run --temperature 0 --dtype float32",),
            rounds=first_rounds(found.round, ties),
            where=Where(
                round=int(found.round[row]),
                context=int(found.context[row]),
                event="at a near tie",
                used=float(found.shortfall[row]),
                clean=0.0,
            ),
            suspects=("num/verify-vs-decode-kernel-ties",),
        )
        return Found(finding=finding)
