"""A committed token is not an id of the target's vocabulary.

Measures
    Committed ids below 0, or not below the size of the target's vocabulary.

Fires when
    There are two; in four rounds or fewer, one. One altered digit of the file also leaves one, so
    capture-contradicts-itself reports a single id.

Why this is a bug and not a mismatch
    No law over the vocabulary, of any model, gives such an id any mass.

Likely causes
    A placeholder for a rejected draft is committed; a draw from a law that is not finite returns
    the size of the vocabulary (vllm #41834); drafts of another vocabulary.

Confirm
    Look at the round that the finding names: the id is its correction, or one of its drafts.

Does not see
    A wrong id inside the vocabulary; ids of padding rows at the vocabulary's end.

Try it
    specprof run -o run.jsonl, then set two emitted ids of the capture to -1 by hand
"""

from typing import ClassVar

from specprof.analysis import stream
from specprof.analysis.evidence import Evidence
from specprof.analysis.tables import first_rounds
from specprof.errors import MissingEvidence
from specprof.extend import Rule
from specprof.findings import Clear, Family, Finding, Found, Measure, Outcome, Stage, Where


class TokenOutsideVocabulary(Rule):
    """Exact."""

    family: ClassVar[Family] = "bug"
    stage: ClassVar[Stage] = Stage.STREAM
    statistical: ClassVar[bool] = False

    def judge(self, evidence: Evidence) -> Outcome:
        """Compare each id with the vocabulary's size."""
        facts = evidence.header.target
        if facts is None:
            raise MissingEvidence("the target's vocabulary is not known", "record it again")
        tokens = evidence.ask(stream.committed)
        wrong = (tokens.token < 0) | (tokens.token >= facts.vocabulary)
        if not wrong.any():
            outside = f"two ids outside the vocabulary of {facts.vocabulary:,}"
            return Clear(detectable=f"{outside}, in {len(wrong):,} tokens")
        row = int(wrong.argmax())
        finding = Finding(
            message=f"{int(wrong.sum())} committed ids are outside the target's vocabulary of "
            f"{facts.vocabulary:,}; the first is {int(tokens.token[row])}",
            measures=(
                Measure(name="foreign ids per token", value=float(wrong.mean()), n=len(wrong)),
            ),
            remedy="check that both laws are finite before drawing, and that no placeholder for a "
            "rejected draft is left when the round is committed",
            confirm=("specprof run --temperature 0",),
            rounds=first_rounds(tokens.round, wrong),
            where=Where(
                round=int(tokens.round[row]),
                context=int(tokens.context[row]),
                index=int(tokens.slot[row]),
            ),
            suspects=("accept/nan-draft-row",),
            headline=True,
        )
        return Found(finding=finding)
