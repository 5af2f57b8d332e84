"""`specprof.record`: records a speculative loop of your own, so that specprof can diagnose it.

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

Here `propose`, `verify` and `judge` are functions of your loop. `target` and `draft` are models,
functions from token ids to logits, or mere names. Rows are [n, vocab] logits, tensors or arrays:
raw, or as your masks and penalties leave them. Rows that your warpers divided by the temperature
or cut by top-k and top-p are known by a comparison with the model's own, and are read as they are.
A round may also record the caches' lengths (`now.lengths(target=..., draft=...)`) and its forward
passes (`now.forwards(...)`). After a burst's last round, `with log.plain_step():` times the
baseline.

Say what your loop does beyond that: `draft_temperature=`, `draft_top_k=`, `draft_top_p=` for a
draft with a law of its own; `processor=f` for rows that f(ids, row) makes of the model's; and
`log.burst(prompt, request=id)` with `burst.round()` for requests that take turns. Where one forward
verifies several requests, pass `batch=N`, N requests at most, and record a step of them at a time:

    with log.step() as step:
        with step.span("draft"):
            drafts = propose_all(bursts)
        with step.span("verify"):
            rows = verify_all(bursts, drafts)
        for burst, (tokens, draft_logits), target_logits in zip(bursts, drafts, rows):
            accepted, final = judge(tokens, draft_logits, target_logits)
            now = step.round(burst)
            now.drafted(tokens, draft_logits=draft_logits, target_logits=target_logits)
            now.verdict(accepted, [*tokens[:accepted], final])

`bursts` are those that still decode. The step's times belong to all its rounds, and the texts grow
at its end. Rows are a request's own, without padding.

specprof computes the evidence from these rows with its engine's own `observe`, and rechecks a
burst at its end with its engine's own `recheck`. It records what your loop decided without
correcting it: a diagnosis looks for wrong counts and tokens. It ends no loop: rows of NaN, laws
that don't sum to 1 and errors of its own are noted in the capture. Only wrong calls are raised.
"""

from specprof.recording.log import Log
from specprof.recording.opening import record

__all__ = ["Log", "record"]
