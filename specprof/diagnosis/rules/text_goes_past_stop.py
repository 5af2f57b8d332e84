"""Text goes on after a token that ends it.

Measures
    Committed tokens after the first stop token of their burst. The stop ids are the last tokens of
    the bursts that a stop token ended.

Fires when
    Any burst of a run that heeds stop tokens holds such an id before its last token.

Why this is a bug and not a mismatch
    The end of a text does not depend on likelihood. A round may commit several tokens at once, and
    the text ends at the first stop token among them, at any place in the round.

Likely causes
    Only the last token of a round is compared with the stop ids, so a stop token accepted in the
    middle is missed. Deeper drafts miss more of them (transformers #47912).

Confirm
    Make the run with the same seed and --depth 1: with fewer tokens a round, fewer stops are
    missed.

Does not see
    A stop id that never ended a burst of this capture; runs with ignore_eos.

Try it
    specprof drill stop/eos-inside-accepted-block
"""

from typing import ClassVar

import numpy as np

from specprof.analysis import stream
from specprof.analysis.evidence import Evidence
from specprof.analysis.tables import first_rounds
from specprof.errors import MissingEvidence
from specprof.extend import Rule
from specprof.findings import Clear, Family, Finding, Found, Measure, Outcome, Stage, Where


class TextGoesPastStop(Rule):
    """Exact: one token too many is enough."""

    family: ClassVar[Family] = "bug"
    stage: ClassVar[Stage] = Stage.STREAM
    statistical: ClassVar[bool] = False

    def judge(self, evidence: Evidence) -> Outcome:
        """Look for stop ids before a burst's last token."""
        if evidence.settings.ignore_eos:
            title = "the run was asked to go on past the end of text"
            raise MissingEvidence(title, "record without --ignore-eos")
        ends = evidence.ask(stream.stop_ids)
        if not ends:
            title = "no burst ended by a stop token, so the stop ids are not known"
            raise MissingEvidence(title, "record a longer run, or one whose text ends")
        tokens = evidence.ask(stream.committed)
        inside = np.isin(tokens.token, list(ends)) & ~tokens.last
        if not inside.any():
            return Clear(detectable=f"one stop token inside {len(tokens.token):,} tokens")
        row = int(inside.argmax())
        share = float(tokens.mid_round[inside].mean())
        finding = Finding(
            message=f"text goes on after a stop token, {int(inside.sum())} times; "
            f"{share:.0%} of these stop tokens are inside a round",
            measures=(
                Measure(
                    name="stop tokens passed over per stop token",
                    value=float(inside.sum() / np.isin(tokens.token, list(ends)).sum()),
                    n=int(np.isin(tokens.token, list(ends)).sum()),
                ),
            ),
            remedy="cut a round's tokens at the first stop token among them, then roll both "
            "caches back to the committed tokens",
            confirm=("specprof run --depth 1",),
            rounds=first_rounds(tokens.round, inside),
            where=Where(
                round=int(tokens.round[row]),
                context=int(tokens.context[row]),
                index=int(tokens.slot[row]),
                event="at a stop token",
            ),
            suspects=("stop/eos-inside-accepted-block",),
            headline=True,
        )
        return Found(finding=finding)
