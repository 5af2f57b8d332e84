"""The draft proposes one id where the target means another, always the same pair.

Measures
    Pairs of ids: a draft id that is hardly ever accepted, and the target id that is committed in
    its place most times, and in few others' places. The fingerprints of the two tokenizers.

Fires when
    The fingerprints differ; where one of them is not known, at least four such pairs hold a fifth
    of all rejections. Equal fingerprints are equal vocabularies, whatever pairs there are: a short
    text that repeats itself has such pairs too.

Why this is a configuration and not a mismatch
    A weak draft is wrong in many ways. A draft that is wrong in one way, id by id, says what the
    target says in another vocabulary.

Likely causes
    Another tokenizer, or another version of the target's tokenizer; a draft of reduced vocabulary
    whose table of ids is missing (sglang #23838, llama.cpp #3812).

Confirm
    Decode a round's drafts with both tokenizers.

Does not see
    A few exchanged ids that hardly occur; vocabularies with nothing in common, whose drafts are
    never right and never wrong twice in one way.

Try it
    specprof drill vocab/different-tokenizer
"""

from typing import ClassVar

from specprof.analysis import vocabulary
from specprof.analysis.evidence import Evidence
from specprof.diagnosis.rules._causes import WRONG_STATE, WRONG_TEXT
from specprof.extend import Rule
from specprof.findings import Clear, Family, Finding, Found, Measure, Outcome, Stage

MIN_PAIRS = 4
MIN_SHARE = 0.2
"""Of all rejections."""


class VocabulariesDiffer(Rule):
    """Counts one-to-one errors."""

    family: ClassVar[Family] = "configuration"
    stage: ClassVar[Stage] = Stage.CONFIGURATION
    statistical: ClassVar[bool] = False
    explained_by: ClassVar[frozenset[str]] = WRONG_TEXT | WRONG_STATE

    def judge(self, evidence: Evidence) -> Outcome:
        """Count the rejected ids that one other id replaces each time."""
        differ = _fingerprints_differ(evidence)
        if differ is False:
            return Clear(detectable="another tokenizer: both models have the same, by fingerprint")
        found = evidence.ask(vocabulary.count_exchanged_ids)
        few = found.pairs < MIN_PAIRS or found.held < MIN_SHARE * found.rejected
        if not differ and few:
            return Clear(
                detectable=f"{MIN_PAIRS} pairs of ids in {MIN_SHARE:.0%} of {found.rejected:,} "
                f"rejections; seen {found.pairs}"
            )
        seen = f": the target replaces each of {found.pairs} draft ids by one other id"
        finding = Finding(
            message="draft and target mean different tokens by the same ids"
            + (seen if found.pairs else ", as their tokenizers show"),
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


def _fingerprints_differ(evidence: Evidence) -> bool | None:
    """Return whether both models' tokenizers differ; None where one of them is not known."""
    facts = evidence.header.target, evidence.header.draft
    target, draft = (each.vocabulary_sha if each else None for each in facts)
    return None if target is None or draft is None else target != draft
