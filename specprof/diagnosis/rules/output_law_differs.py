"""The committed text, as a whole, is not drawn from the target's law.

Measures
    log-probability + entropy per committed token, under the target's clean law of its own prefix:
    mean 0 over true draws, with the law's own variance of the log-probability (theory 4.2 b);
    committed tokens outside that law's support, at places where the state is clean.

Fires when
    The mean is not 0, by a test for sums of known variance (always valid, 1% for all tests
    together); or a token lies outside the support.

Why this is a bug and not a mismatch
    The declared rule is lossless: whatever the draft proposed, each committed token must be the
    target's own draw. The draft does not enter the sum.

Likely causes
    Anything that lets wrong tokens through: an accept step too lenient, another temperature or
    filter for the target, a bonus drawn from the draft, a wrong state of the target.

Confirm
    Make a plain run with the same seeds and settings (--drafter none): this test must be clear.

Does not see
    A residual that is not subtracted, an accept step slightly too lenient: they leave text that is
    about as likely (final-law-differs and accept-rule-unfair see them). Text that was not
    rechecked.

Try it
    specprof drill accept/always-accept
"""

from typing import ClassVar

from specprof.analysis import emitted_law
from specprof.analysis.emitted_law import Text
from specprof.analysis.evidence import Evidence
from specprof.analysis.tables import first_rounds
from specprof.diagnosis.rules._causes import WRONG_TEXT
from specprof.errors import MissingEvidence
from specprof.extend import Rule
from specprof.findings import Clear, Family, Finding, Found, Measure, Model, Outcome, Stage, Where


class OutputLawDiffers(Rule):
    """An always-valid test over the text; exact for tokens outside the law."""

    family: ClassVar[Family] = "bug"
    stage: ClassVar[Stage] = Stage.EMISSION
    statistical: ClassVar[bool] = False
    explained_by: ClassVar[frozenset[str]] = WRONG_TEXT
    rests_on: ClassVar[Model | None] = "target"

    def judge(self, evidence: Evidence) -> Outcome:
        """Compare the committed text with the clean law."""
        if evidence.greedy or evidence.header.lossless is False:
            title = "this run need not draw its text from the target's law"
            raise MissingEvidence(title, "record a run of a lossless rule above temperature 0")
        found = evidence.ask(emitted_law.text)
        trial = found.likelihood
        if trial.p_value > evidence.alpha and not len(found.impossible):
            return Clear(
                detectable=f"a mean off by {trial.detectable:.3f} nats of {trial.n:,} tokens; one "
                "token outside the law"
            )
        finding = Finding(
            message=_message(found),
            measures=(
                Measure(
                    name="log-probability + entropy per token",
                    value=trial.mean,
                    unit="nats",
                    n=trial.n,
                ),
                *(
                    Measure(name=f"that sum at slot {slot}", value=mean, unit="nats", n=n)
                    for slot, (mean, n) in enumerate(zip(found.slots, found.counts, strict=True))
                    if n
                ),
                Measure(name="tokens outside the law", value=len(found.impossible), n=trial.n),
                Measure(name="always-valid p-value", value=trial.p_value, n=trial.n),
            ),
            remedy="look at the first slot that is off: slot 0 alone points to the first draft or "
            "its correction, all slots point to the target's own law or state",
            confirm=("specprof run --drafter none",),
            rounds=first_rounds(found.impossible),
            where=_where(found),
            suspects=_suspects(evidence, found),
            headline=True,
        )
        return Found(finding=finding)


def _message(found: Text) -> str:
    if len(found.impossible):
        return "the text holds tokens that the target's law rules out"
    way = "less" if found.likelihood.mean < 0 else "more"
    return f"the text is {way} likely under the target's law than the target's own draws would be"


def _where(found: Text) -> Where | None:
    if not len(found.impossible):
        return None
    return Where(round=int(found.impossible[0]), context=found.context, used=0.0)


def _suspects(evidence: Evidence, found: Text) -> tuple[str, ...]:
    """Return the likely case, where no nearer rule names another."""
    settings = evidence.settings
    if len(found.impossible) and (settings.top_k > 0 or settings.top_p < 1):
        return ("accept/target-not-filtered",)
    return ("accept/always-accept",) if found.likelihood.mean < 0 else ()
