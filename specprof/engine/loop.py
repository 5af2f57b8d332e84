"""The decode loop: draft, verify, accept, roll back. Every method is this loop.

The baseline is the same loop with the drafter `none`: nothing drafted, one token a round. The loop
owns nothing between rounds but the committed tokens; target and drafter own their caches, and each
is rolled back to what was committed.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from specprof.engine.decoder import Decoder, on_device
from specprof.engine.stopwatch import Lap, Stopwatch
from specprof.errors import SpecprofError
from specprof.extend import Acceptance, Drafter, Law, Proposal


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """One round as it was played: what `observe` and the capture need, nothing resolved yet."""

    context: int
    """Committed tokens before the round."""
    proposal: Proposal
    target_logits: torch.Tensor
    """[K+1, vocab] raw, row i the target's answer after drafted token i-1."""
    drafted: list[int]
    accepted: int
    emitted: list[int]
    target_forwards: int
    draft_forwards: int
    target_length: int
    draft_length: int | None
    target_kv_bytes: int
    draft_kv_bytes: int | None
    lap: Lap


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """The parts that play a round, wired once a run."""

    target: Decoder
    drafter: Drafter
    acceptance: Acceptance
    law: Law
    generator: torch.Generator
    watch: Stopwatch

    def rounds(
        self, committed: list[int], *, depth: int, new_tokens: int, stop: frozenset[int]
    ) -> Iterator[Played]:
        """Extend `committed` in place, a round at a time, by `new_tokens` or up to a `stop` token.

        All of `committed` but its last token has been fed to the target; the last is fed first.
        """
        limit = len(committed) + new_tokens
        ended = False
        while len(committed) < limit and not ended:
            played = self._round(committed, depth, limit, stop)
            ended = played.emitted[-1] in stop
            yield played

    def _round(self, committed: list[int], depth: int, limit: int, stop: frozenset[int]) -> Played:
        watch, context = self.watch, len(committed)
        forwards = self.target.forwards, _forwards(self.drafter.draft)
        watch.begin()
        with watch.span("draft"):
            proposal = self.drafter.propose(committed, depth, self.generator, watch)
        with watch.span("verify"):
            last = on_device(committed[-1:], self.target.device)
            logits = self.target.feed(torch.cat([last, proposal.tokens]))
        with watch.span("accept"):
            verdict = self.acceptance.decide(logits, proposal, self.law, self.generator)
            accepted, final, drafted = _to_host(verdict, proposal, logits)
        with watch.span("rollback"):
            emitted = _stopped([*drafted[:accepted], final], limit - context, stop)
            committed += emitted
            self.target.rollback(len(committed) - 1)
            self.drafter.rollback(len(committed))
        return Played(
            context=context,
            proposal=proposal,
            target_logits=logits,
            drafted=drafted,
            accepted=accepted,
            emitted=emitted,
            target_forwards=self.target.forwards - forwards[0],
            draft_forwards=_forwards(self.drafter.draft) - forwards[1],
            target_length=self.target.length,
            draft_length=self.drafter.draft.length if self.drafter.draft else None,
            target_kv_bytes=self.target.kv_bytes,
            draft_kv_bytes=self.drafter.draft.kv_bytes if self.drafter.draft else None,
            lap=watch.finish(),
        )


def _to_host(
    verdict: torch.Tensor, proposal: Proposal, logits: torch.Tensor
) -> tuple[int, int, list[int]]:
    """Bring the round's outcome over in one transfer: the one time a round waits for the device."""
    sound = logits.amax(-1).isfinite().all()  # a NaN or an infinity is its row's largest
    if proposal.logits is not None:
        sound = sound & proposal.logits.amax(-1).isfinite().all()
    packed = torch.cat([verdict, sound[None].long(), proposal.tokens])
    accepted, final, whole, *drafted = packed.tolist()
    if not whole:
        hint = "try --dtype float32; check the checkpoint's weights. What was recorded is kept"
        raise SpecprofError("the models' logits hold NaN or infinity", hint)
    return accepted, final, drafted


def _stopped(emitted: list[int], room: int, stop: frozenset[int]) -> list[int]:
    """Cut a round's tokens at the length limit, and after the first stop token."""
    emitted = emitted[:room]
    for place, token in enumerate(emitted):
        if token in stop:
            return emitted[: place + 1]
    return emitted


def _forwards(decoder: Decoder | None) -> int:
    return decoder.forwards if decoder else 0
