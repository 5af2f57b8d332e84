"""Rounds were asked to draft, and nothing reached the verifier.

Measures
    Drafted tokens in rounds that asked for drafts, a burst's last round left out; draft forwards in
    these rounds.

Fires when
    Twenty or more such rounds in a row, to the end of the capture, have no drafted token, under a
    drafter that always has an answer.

Why this is a bug and not a mismatch
    A draft model that is unsure still proposes something. An acceptance of 0 of 0 is no acceptance:
    nothing was judged.

Likely causes
    Drafts are made and not passed on; the drafter is a stub; a guard drops all drafts past some
    length (vllm #30319).

Confirm
    Look at the draft forwards of these rounds: above 0, drafts are made and thrown away.

Does not see
    Drafts looked up in the text, which may hold none; a depth policy that asks for nothing.

Try it
    specprof drill draft/proposals-never-reach-verifier
"""

from typing import ClassVar

import numpy as np

from specprof.analysis import stream
from specprof.analysis.evidence import Evidence
from specprof.analysis.tables import first_rounds
from specprof.errors import MissingEvidence
from specprof.extend import Rule
from specprof.findings import Clear, Family, Finding, Found, Measure, Outcome, Stage, Where

MIN_ROUNDS = 20


class NothingProposed(Rule):
    """Exact: counts rounds without a draft."""

    family: ClassVar[Family] = "bug"
    stage: ClassVar[Stage] = Stage.STREAM
    statistical: ClassVar[bool] = False

    def judge(self, evidence: Evidence) -> Outcome:
        """Count the rounds without a draft at the end."""
        rounds, drafter = evidence.rounds, evidence.settings.drafter
        if not evidence.has_distribution:
            title = f"the drafter {drafter!r} may find nothing to propose"
            if evidence.has_distribution is None:
                title = f"the drafter {drafter!r} is not installed here: it may find nothing"
            raise MissingEvidence(title, "record with a drafter that always has an answer")
        asked = rounds.where((rounds.depth_asked > 0) & ~evidence.closes_burst)
        count = stream.ending_run(asked.drafted == 0)
        if count < MIN_ROUNDS:
            return Clear(detectable=f"{MIN_ROUNDS} rounds in a row without a draft")
        empty = asked.take(np.arange(len(asked) - count, len(asked)))
        forwards = float(empty.draft_forwards.mean())
        finding = Finding(
            message=f"the last {count:,} rounds asked for drafts and verified none, after "
            f"{forwards:.1f} draft forwards a round",
            measures=(
                Measure(
                    name="rounds without a draft per round that asked",
                    value=count / len(asked),
                    n=len(asked),
                    counted="rounds",
                ),
                Measure(
                    name="draft forwards per empty round", value=forwards, n=count, counted="rounds"
                ),
            ),
            remedy="pass the drafted tokens on to the verify pass; where the drafter can't draft, "
            "ask for K = 0 and report that",
            confirm=("specprof run --depth 1",),
            rounds=first_rounds(empty.index),
            where=Where(
                round=int(empty.index[0]),
                context=int(empty.context[0]),
                used=0.0,
                clean=float(empty.depth_asked[0]),
            ),
            suspects=("draft/proposals-never-reach-verifier",),
            headline=True,
        )
        return Found(finding=finding)
