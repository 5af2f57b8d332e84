"""An accepted draft is not the token that was committed in its place.

Measures
    The token at each slot of a round against the draft accepted there, in a tree the one accepted
    at that level.

Fires when
    Two pairs differ; of four rounds or fewer, one. One altered digit of the file leaves one too, so
    capture-contradicts-itself reports a lone one. A stop or a limit may cut a burst's last round
    short: what it cut off is not compared.

Why this is a bug and not a mismatch
    To accept a draft is to commit that very token. What the models think of it has been decided by
    then, and no law is in it.

Likely causes
    The round before commits its correction late, in front of the drafts; tokens are written in
    another order, or over one another; the ids recorded are not the ids fed.

Confirm
    Compare the round's drafts and its tokens in the capture, one by one.

Does not see
    A wrong correction or bonus (residual-unsupported, final-law-differs, output-not-greedy); drafts
    accepted that should have fallen (accept-rule-unfair).

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
    """Exact: two other tokens are enough, or one of a few rounds."""

    family: ClassVar[Family] = "bug"
    stage: ClassVar[Stage] = Stage.BOOKKEEPING
    statistical: ClassVar[bool] = False

    def judge(self, evidence: Evidence) -> Outcome:
        """Lay the accepted drafts beside the committed tokens."""
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
            message=f"{int(wrong.sum()):,} of {len(stood):,} accepted drafts are not the tokens "
            "committed in their places",
            measures=(
                Measure(
                    name="other tokens per accepted draft", value=float(wrong.mean()), n=len(stood)
                ),
            ),
            remedy="commit the accepted drafts as they are, in their order, then this round's own "
            "correction or bonus",
            rounds=first_rounds(stood.round, wrong),
            where=where,
            suspects=("accept/correction-token-late-or-lost",),
            headline=True,
        )
        return Found(finding=finding)
