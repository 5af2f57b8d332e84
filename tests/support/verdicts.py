"""A diagnosis of fixed findings, to test what shows it."""

from specprof.diagnosis import Diagnosis, Verdict
from specprof.findings import Clear, Crashed, Finding, Found, Measure, Unknown, Where

STATE = Finding(
    message="the draft's laws part from fresh ones",
    measures=(Measure(name="state gap per place", value=0.25, n=400, low=0.2, high=0.3),),
    remedy="",
    where=Where(round=7, context=512, index=2, event="after a rejection", used=0.5, clean=0.25),
    suspects=("kv/draft-rollback-under-trim", "kv/shared-snapshot-not-trimmed"),
)
LENGTH = Finding(
    message="100% of rounds, 2: one\nlong",
    measures=(),
    remedy="roll back, all of it",
    rounds=(3, 4),
)
SLOW = Finding(message="drafting costs more than it gains", measures=(), remedy="draft less")


def diagnosis(capture: str = "runs/a b.jsonl") -> Diagnosis:
    """Return a diagnosis with findings of three families; the finding at place 2 leads."""
    return Diagnosis(
        capture=capture,
        sentence="Of 40% rejected drafts, 15 points are an implementation bug.",
        attribution=None,
        waterfall=None,
        verdicts=(
            Verdict("too-few-rounds", "measurement", Clear(detectable="fewer than 30 rounds"), 12),
            Verdict("state-drifts", "bug", Found(finding=STATE), 8),
            Verdict("cache-length-wrong", "bug", Found(finding=LENGTH), 2),
            Verdict("accept-rule-unfair", "bug", Unknown(reason="no probabilities")),
            Verdict("draft-too-expensive", "cost", Found(finding=SLOW), 11),
            Verdict("no-speedup", "cost", Crashed(error="ValueError: no"), 11),
        ),
    )
