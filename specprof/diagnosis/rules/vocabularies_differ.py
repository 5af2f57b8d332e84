"""The draft says one id where the target means another, always the same pair.

Measures
    Rejected drafts and the tokens committed in their place: ids that are hardly ever accepted and
    whose place one and the same other id takes most times, which in turn replaces few others; the
    fingerprints of the two tokenizers.

Fires when
    At least four such pairs hold a fifth of all rejections, or the fingerprints differ.

Why this is a configuration and not a mismatch
    A draft that knows less is wrong in many ways. One that is wrong in one way, id by id, says
    what the target says in another vocabulary.

Likely causes
    Another tokenizer, or another version of the same; a draft of reduced vocabulary whose table of
    ids is missing (sglang #23838, llama.cpp #3812).

Confirm
    Decode a round's drafts with both tokenizers.

Does not see
    A few ids exchanged that hardly occur; vocabularies with nothing in common, whose drafts are
    never right and never twice wrong in the same way.

Try it
    specprof drill vocab/different-tokenizer
"""

from typing import ClassVar

from specprof.analysis import vocabulary
from specprof.analysis.evidence import Evidence
from specprof.extend import Rule
from specprof.findings import Clear, Family, Finding, Found, Measure, Outcome, Stage

PAIRS = 4
SHARE = 0.2


class VocabulariesDiffer(Rule):
    """A count of one-to-one errors."""

    family: ClassVar[Family] = "configuration"
    stage: ClassVar[Stage] = Stage.CONFIGURATION
    statistical: ClassVar[bool] = False

    def judge(self, evidence: Evidence) -> Outcome:
        """Count the rejected ids that always stand for the same other one."""
        found, told = evidence.ask(vocabulary.count_exchanged_ids), _fingerprints(evidence)
        if not told and (found.pairs < PAIRS or found.held < SHARE * found.rejected):
            return Clear(
                detectable=f"{PAIRS} pairs of ids in {SHARE:.0%} of {found.rejected:,} rejections; "
                f"seen {found.pairs}"
            )
        seen = f": {found.pairs} ids of the draft's stand for one other each"
        finding = Finding(
            message="draft and target mean different tokens by the same ids"
            + (seen if found.pairs else ", by their tokenizers"),
            measures=(
                Measure(name="pairs of ids", value=found.pairs),
                Measure(
                    name="rejections they hold per rejection",
                    value=found.held / max(found.rejected, 1),
                    n=found.rejected,
                ),
            ),
            remedy="use a draft with the target's own tokenizer, or map its ids to the target's",
            suspects=("vocab/different-tokenizer",),
            headline=True,
        )
        return Found(finding=finding)


def _fingerprints(evidence: Evidence) -> bool:
    """Return whether both tokenizers are known and differ."""
    target, draft = evidence.header.target, evidence.header.draft
    if target is None or draft is None or target.vocabulary_sha is None:
        return False
    return draft.vocabulary_sha not in {None, target.vocabulary_sha}
