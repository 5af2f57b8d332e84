"""An accepted draft is not the token that was committed in its place.

Measures
    The token at each slot of a round against the draft accepted there; in a tree, against the
    draft accepted at that level.

Fires when
    Two pairs differ; in four rounds or fewer, one pair. One altered digit of the file also leaves
    one pair, so capture-contradicts-itself reports a single pair. A stop or a limit may cut a
    burst's last round short: the tokens that were cut off are not compared.

Why this is a bug and not a mismatch
    To accept a draft is to commit that token. The models' laws have no part in that step any more.

Likely causes
    The previous round commits its correction late, in front of the drafts; tokens are written in
    another order, or overwrite each other; the ids recorded are not the ids fed.

Confirm
    Compare the round's drafts and its tokens in the capture, one by one.

Does not see
    A wrong correction or bonus (residual-unsupported, final-law-differs, output-not-greedy); drafts
    accepted that should have been rejected (accept-rule-unfair).

Try it
    specprof run -o run.jsonl, then alter two emitted ids of the capture by hand
"""

from typing import ClassVar

from specprof.analysis import stream
from specprof.analysis.evidence import Evidence
from specprof.analysis.tables import first_rounds
from specprof.extend import Rule
from specprof.findings import Clear, Family, Finding, Found, Measure, Outcome, Stage, Where


class AcceptedNotCommitted(Rule):
    """Exact: two other tokens are enough, and in a few rounds one."""

    family: ClassVar[Family] = "bug"
    stage: ClassVar[Stage] = Stage.BOOKKEEPING
    statistical: ClassVar[bool] = False

    def judge(self, evidence: Evidence) -> Outcome:
        """Compare the accepted drafts with the committed tokens."""
        stood = evidence.reached.where(evidence.reached.accepted)
        stood = stood.where(stood.index < evidence.rounds.emitted[evidence.row(stood.round)])
        counts = evidence.rounds.emitted
        starts = counts.cumsum() - counts
        tokens = evidence.ask(stream.committed).token
        came = tokens[starts[evidence.row(stood.round)] + stood.index]
        wrong = came != stood.token
        if not wrong.any():
            return Clear(detectable=f"two other tokens of {len(stood):,} accepted")
        row = int(wrong.argmax())
        where = Where(
            round=int(stood.round[row]),
            context=int(stood.context[row]),
            index=int(stood.index[row]),
            event=f"where {int(stood.token[row])} was accepted and {int(came[row])} committed",
        )
        finding = Finding(
            message=f"{int(wrong.sum()):,} of {len(stood):,} accepted drafts were not committed: "
            "other tokens stand in their places",
            measures=(
                Measure(
                    name="other tokens per accepted draft", value=float(wrong.mean()), n=len(stood)
                ),
            ),
            remedy="commit the accepted drafts unchanged and in their order, then this round's own "
            "correction or bonus",
            rounds=first_rounds(stood.round, wrong),
            where=where,
            suspects=("accept/correction-token-late-or-lost",),
            headline=True,
        )
        return Found(finding=finding)
