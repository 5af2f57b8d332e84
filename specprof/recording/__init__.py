"""`specprof.record`: anybody's own speculative loop written down, to be judged like specprof's.

    with specprof.record("run.jsonl", target=target, draft=draft, temperature=1.0, depth=4) as log:
        with log.burst(prompt):
            with log.round() as now:
                with now.span("draft"):
                    ...
                now.drafted(tokens, draft_logits=..., target_logits=...)
                now.verdict(accepted, emitted)
                now.lengths(target=..., draft=...)

Raw logits are read, never asked for again, and the evidence is computed from them by the engine's
own `observe`; a burst's end is rechecked by the engine's own `recheck`. What the loop decided is
taken as it is told: a wrong count or token is what a diagnosis looks for.
"""

from specprof.recording.log import Log, record

__all__ = ["Log", "record"]
