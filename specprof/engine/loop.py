"""The decode loop: draft, verify, accept, roll back. Every method is this loop.

The baseline is this loop with the drafter `none`: it drafts nothing and emits one token a round.
Between rounds the loop owns only the committed tokens. Target and drafter own their caches, and
each cache is rolled back to what was committed.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch

from specprof.engine.decoder import Decoder
from specprof.engine.instruments.stopwatch import Lap
from specprof.engine.transfer import on_device
from specprof.engine.tree import height, path
from specprof.errors import NOT_FINITE, SpecprofError
from specprof.extend import Acceptance, Drafter, Parts, Proposal


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayedRound:
    """One round as it was played: what `observe` and the capture need, still on the device."""

    context: int
    """Committed tokens before the round."""
    depth_asked: int
    proposal: Proposal
    target_logits: torch.Tensor
    """[N+1, vocab] raw: row 0 after the last committed token, row i+1 after drafted token i."""
    drafted: list[int]
    parents: list[int]
    """Index of the drafted token that each follows; -1: the last committed token."""
    path: list[int]
    """Indices of the accepted drafted tokens, in order."""
    emitted: list[int]
    target_forwards: int
    draft_forwards: int
    target_length: int | None
    draft_length: int | None
    target_kv_bytes: int | None
    draft_kv_bytes: int | None
    target_evicted: int | None
    draft_evicted: int | None
    lap: Lap
    ends_judged: bool = False
    """Whether nothing was judged after the accepted tokens: a user's loop may end a text there."""
    no_law: Literal["target", "draft", "sum", "processed"] | None = None
    """As `records.Round.no_law`: a user's loop may go on with rows of NaN."""

    @property
    def accepted(self) -> int:
        """How many drafted tokens were accepted."""
        return len(self.path)

    @property
    def final(self) -> int:
        """The last token emitted; 0 if a broken round emitted none: it then has no evidence."""
        return self.emitted[-1] if self.emitted else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Loop:
    """Plays rounds of one sequence; made once for each run."""

    parts: Parts
    """The parts that the drafter was made from: target, law and random draws are shared with it."""
    drafter: Drafter
    acceptance: Acceptance

    @property
    def target(self) -> Decoder:
        """The target, over the cache of this sequence."""
        return self.parts.target

    def rounds(
        self, committed: list[int], *, new_tokens: int, stop: frozenset[int]
    ) -> Iterator[PlayedRound]:
        """Extend `committed` in place, a round at a time, by `new_tokens` or up to a `stop` token.

        All of `committed` but its last token has been fed to the target; the first round feeds
        that.
        """
        limit = len(committed) + new_tokens
        ended = False
        while len(committed) < limit and not ended:
            played = self._round(committed, limit, stop)
            ended = played.emitted[-1] in stop
            yield played

    def _round(self, committed: list[int], limit: int, stop: frozenset[int]) -> PlayedRound:
        parts, drafter, draft = self.parts, self.drafter, self.drafter.draft
        target, watch, context = parts.target, parts.watch, len(committed)
        forwards = target.forwards, draft.forwards if draft else 0
        depth = parts.policy.ask()
        watch.begin()
        with watch.span("draft"):
            proposal = drafter.propose(committed, depth)
        with watch.span("verify"):
            logits = self._verify(committed[-1], proposal)
        with watch.span("accept"):
            verdict = self.acceptance.decide(logits, proposal, parts.law, parts.generator)
            tip, final, drafted, parents = _to_host(verdict, proposal, logits)
        with watch.span("rollback"):
            branch = path(parents, tip)
            emitted = [*(drafted[node] for node in branch), final]
            emitted = _stopped(emitted, limit - context, stop)
            committed += emitted
            if proposal.parents is not None:
                target.keep([0, *(node + 1 for node in branch)])
            target.rollback(len(committed) - 1)
            drafter.rollback(len(committed))
        parts.policy.learn(height(parents), len(branch))
        return PlayedRound(
            context=context,
            depth_asked=depth,
            proposal=proposal,
            target_logits=logits,
            drafted=drafted,
            parents=parents,
            path=branch,
            emitted=emitted,
            target_forwards=target.forwards - forwards[0],
            draft_forwards=draft.forwards - forwards[1] if draft else 0,
            target_length=target.length,
            draft_length=draft.length if draft else None,
            target_kv_bytes=target.kv_bytes,
            draft_kv_bytes=draft.kv_bytes if draft else None,
            target_evicted=target.evicted,
            draft_evicted=draft.evicted if draft else None,
            lap=watch.finish(),
        )

    def _verify(self, last: int, proposal: Proposal) -> torch.Tensor:
        """Return [N+1, vocab]: one target forward over the last committed token and the drafts."""
        tokens = torch.cat([on_device([last], self.target.device), proposal.tokens])
        if proposal.parents is None:
            return self.target.feed(tokens)
        first = torch.full_like(tokens[:1], -1)  # a tensor made of a list would wait for the drafts
        return self.target.feed(tokens, torch.cat([first, proposal.parents + 1]))


def _to_host(
    verdict: torch.Tensor, proposal: Proposal, logits: torch.Tensor
) -> tuple[int, int, list[int], list[int]]:
    """Bring the round's outcome to the host in one transfer, the only wait of a round."""
    sides = [logits] if proposal.logits is None else [logits, proposal.logits]
    largest = torch.cat([side.amax(-1) for side in sides])  # a NaN or infinity is its row's largest
    sound = (largest - largest == 0).all(0, keepdim=True)  # x - x is 0 unless x is one
    parts = [verdict, sound.long(), proposal.tokens]
    if proposal.parents is not None:
        parts.append(proposal.parents)
    tip, final, whole, *nodes = torch.cat(parts).tolist()
    if not whole:
        hint = "try --dtype float32; check the checkpoint's weights. What was recorded is kept"
        whose = "draft" if logits.amax(-1).isfinite().all() else "target"
        raise SpecprofError(f"the {whose}'s {NOT_FINITE} or infinity", hint)
    count = proposal.tokens.shape[0]
    parents = nodes[count:] if proposal.parents is not None else list(range(-1, count - 1))
    return tip, final, nodes[:count], parents


def _stopped(emitted: list[int], room: int, stop: frozenset[int]) -> list[int]:
    """Cut a round's tokens at the length limit, and after the first stop token."""
    emitted = emitted[:room]
    for place, token in enumerate(emitted):
        if token in stop:
            return emitted[: place + 1]
    return emitted
