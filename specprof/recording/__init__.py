"""`specprof.record`: anybody's own speculative loop written down, to be judged like specprof's.

    import specprof

    with specprof.record("run.jsonl", target=target, draft=draft, temperature=1.0, depth=4) as log:
        for prompt in prompts:  # token ids
            with log.burst(prompt) as burst:
                while len(burst.committed) < len(prompt) + 64:
                    with log.round() as now:
                        with now.span("draft"):
                            tokens, draft_logits = propose(burst.committed)
                        with now.span("verify"):
                            target_logits = verify(burst.committed, tokens)
                        with now.span("accept"):
                            accepted, final = judge(tokens, draft_logits, target_logits)
                        now.drafted(tokens, draft_logits=draft_logits, target_logits=target_logits)
                        now.verdict(accepted, [*tokens[:accepted], final])

Here `propose`, `verify` and `judge` are the loop's own; `target` and `draft` are models, functions
from token ids to logits, or mere names. Rows are [n, vocab] raw logits, tensors or arrays. A round
may tell more: `now.lengths(target=..., draft=...)` of the caches, `now.forwards(...)`; after a
burst's last round `with log.plain_step():` times the baseline.

The rows are read, nothing is asked for again: the evidence is computed by the engine's own
`observe`, and a burst's end rechecked by the engine's own `recheck`. What the loop decided is taken
as it is told; a wrong count or token is what a diagnosis looks for.
"""

from specprof.recording.log import Log, record

__all__ = ["Log", "record"]
