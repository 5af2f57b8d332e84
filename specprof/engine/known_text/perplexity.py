"""The PPL decode loop: feed known text through the target's cache, and score each token.

A token's negative log-likelihood is taken under the raw law, without temperature or truncation,
given what the cache holds by then (theory 6.4). Nothing is drafted and nothing is rolled back.
"""

from collections.abc import Iterator, Sequence

import torch

from specprof.engine.decoder import Decoder
from specprof.engine.instruments.stopwatch import Stopwatch
from specprof.engine.observe.evidence import short
from specprof.engine.transfer import on_device
from specprof.records import Scored


def score(
    target: Decoder, tokens: Sequence[int], *, step: int, watch: Stopwatch, origin_ns: int
) -> Iterator[Scored]:
    """Feed all [n] `tokens` but the last to an empty `target`, `step` a forward; score n - 1.

    Times count from `origin_ns` on the host's clock.
    """
    for start in range(0, len(tokens) - 1, step):
        fed = on_device(tokens[start : min(start + step, len(tokens) - 1)], target.device)
        following = on_device(tokens[start + 1 : start + 1 + step], target.device)
        watch.begin()
        nll = surprise(target.feed(fed), following)
        lap = watch.finish()
        yield Scored(
            context=start + 1,
            nll=[short(each) for each in nll.tolist()],
            start_ns=lap.at_ns - origin_ns,
            wall_ns=lap.wall_ns(),
            target_length=target.length,
            target_kv_bytes=target.kv_bytes,
            target_evicted=target.evicted,
        )


def surprise(logits: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    """Return [n] nats: the negative log-likelihood of [n] tokens under [n, vocab] logits."""
    return torch.nn.functional.cross_entropy(logits, tokens, reduction="none")
