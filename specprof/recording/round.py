"""A round of a user's loop: described in a few calls, recorded when its block ends."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Self

import torch

from specprof.engine.instruments.stopwatch import Lap, Stopwatch
from specprof.engine.loop import PlayedRound
from specprof.errors import UsageError
from specprof.extend import Proposal
from specprof.recording.checks import (
    check_span_name,
    check_vocabulary,
    drop_padding,
    read_count,
    read_ids,
    read_optional_count,
    read_parents,
    read_path,
)
from specprof.recording.models import Rows
from specprof.recording.reader import RowReader
from specprof.recording.rows import Lawless, copy_rows, find_lawless, log_probs

NoLaw = Literal["target", "draft", "sum", "processed"]
"""As `records.Round.no_law`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Duty:
    """What every round of a recording must hand over."""

    reader: RowReader
    text: Sequence[int]
    """The committed tokens before the round."""
    raw: bool | None
    """Whether earlier rounds came with logits, and not with probabilities; None: with neither."""
    evidence: bool
    """Whether drafted tokens must come with the rows by which they were drawn and judged."""
    lawless: bool
    """Whether drafts are looked up, so that they have no law."""
    joint: bool
    """Whether the rule judges the drafts of a round together."""
    require_open: Callable[[], None]
    """Raises UsageError if the round's burst has ended."""
    note_lawless: Callable[[Lawless], None]
    """Called with rows of which no law can be made."""


class DescribedRound:
    """One round, as the loop describes it."""

    def __init__(
        self,
        watch: Stopwatch,
        duty: Duty,
        play: Callable[[PlayedRound, bool | None], None],
    ) -> None:
        self._watch = watch
        self._duty = duty
        self._play = play
        self._tokens: list[int] = []
        self._parents: list[int] | None = None
        self._target: torch.Tensor | None = None
        self._draft: torch.Tensor | None = None
        self._raw = True
        self._asked: int | None = None
        self._verdict: tuple[list[int], list[int]] | None = None
        self._lengths: tuple[int | None, int | None] = (None, None)
        self._forwards = (1, 0)

    def span(self, name: str) -> AbstractContextManager[None]:
        """Time a part of the round: draft, verify, accept, rollback. Parts may be nested.

        Use few names: each name of an outer part becomes a column, and a capture has 32 at most.
        """
        check_span_name(name)
        return self._watch.span(name)

    def drafted(
        self,
        tokens: Sequence[int] | torch.Tensor,
        *,
        target_logits: Rows = None,
        draft_logits: Rows = None,
        target_probs: Rows = None,
        draft_probs: Rows = None,
        parents: Sequence[int] | None = None,
        asked: int | None = None,
        certain: bool = False,
    ) -> None:
        """Record the drafted tokens, and the rows by which they were drawn and judged.

        tokens: [N] ids, parents before children; in a chain -1 at the end stands for a draft that
        was not made, and its rows are left out. parents: [N] index of each token's parent, -1 for
        the last committed token; None for a chain. asked: K, if fewer tokens were drafted.
        target_logits: [N+1, vocab], raw or as your masks, penalties, biases and warpers leave them,
        but all of one kind; row 0 follows the last committed token, row i+1 drafted
        token i. draft_logits: [N, vocab] of the same kind, from which each token was drawn.
        certain: the drafts were not drawn but looked up, or are first choices, so each has
        probability 1.
        target_probs, draft_probs: probabilities after temperature and truncation, in place of both
        logits. The recheck then compares only laws that a mask, a filter, a penalty, a bias or a
        temperature explains. A draft with a temperature of its own needs them, or draft_temperature
        in the call of `specprof.record`: else its rows are read with the run's temperature.

        Rows of NaN and rows that are no law are noted, and the round keeps its tokens and times.

        Raises UsageError if rows are missing or have a wrong shape, or lack a token's column.
        """
        padded = read_ids(tokens, "drafted")
        self._tokens = padded if parents is not None else drop_padding(padded)
        self._parents = None if parents is None else read_parents(parents, len(self._tokens))
        self._asked, self._raw = (
            read_optional_count(asked, "asked"),
            target_probs is None and draft_probs is None,
        )
        if not self._raw:
            if target_logits is not None or draft_logits is not None:
                hint = "pass the logits of both models, or the probabilities of both"
                raise UsageError("a round came with logits and with probabilities", hint)
            target_logits = log_probs(target_probs, "target")
            draft_logits = log_probs(draft_probs, "draft")
        self._check_kind(given=target_logits is not None)
        count = len(self._tokens)
        if count < len(padded) and self._asked is None:
            self._asked = len(padded)
        self._target = copy_rows(target_logits, "target", len(padded) + 1, kept=count + 1)
        self._draft = copy_rows(draft_logits, "draft", len(padded), kept=count)
        self._check(certain=certain)
        self._share_vocabulary()
        check_vocabulary(self._tokens, "drafted", self._target)

    def verdict(self, accepted: int | Sequence[int], emitted: Sequence[int]) -> None:
        """Record which drafts were accepted, and the tokens that the round commits, in order.

        accepted: a count, or for a tree the indices of the path; without the correction or bonus.
        emitted: token ids, the correction or bonus last.

        Raises UsageError if more tokens were accepted than drafted, or the rows lack a token's
        column.
        """
        self._verdict = read_path(accepted), read_ids(emitted, "emitted")
        self._check_verdict(*self._verdict)

    def lengths(self, *, target: int | None = None, draft: int | None = None) -> None:
        """Record how many tokens each cache holds after the rollback; None: not known."""
        self._lengths = (
            read_optional_count(target, "the target's length"),
            read_optional_count(draft, "the draft's length"),
        )

    def forwards(self, *, target: int = 1, draft: int = 0) -> None:
        """Record how many forward passes of each model the round took."""
        self._forwards = read_count(target, "target forwards"), read_count(draft, "draft forwards")

    def require_verdict(self) -> tuple[list[int], list[int]]:
        """Return the accepted indices and the emitted ids.

        Raises UsageError if none were given, if they don't fit what was drafted, or if the burst
        has ended.
        """
        self._duty.require_open()
        if self._verdict is None:
            hint = "call verdict(accepted, emitted) before the round's block ends"
            raise UsageError("a round ended without a verdict", hint)
        self._check_verdict(*self._verdict)  # drafted may have come after the verdict
        return self._verdict

    def finish(self, lap: Lap) -> None:
        """Hand over the round, which took the time of `lap`."""
        played = self._make_played_round(lap)
        self._play(played, None if self._target is None or played.no_law else self._raw)

    def _check_verdict(self, path: Sequence[int], emitted: Sequence[int]) -> None:
        count = len(self._tokens)
        if any(not 0 <= node < count for node in path):
            title = f"{len(path)} drafts were accepted, {path}, of {count} drafted tokens"
            raise UsageError(title, "call drafted first; leave out the correction or bonus")
        check_vocabulary(emitted, "emitted", self._target)

    def _check_kind(self, *, given: bool) -> None:
        if given and self._duty.raw not in {None, self._raw}:
            title = "some rounds came with logits, others with probabilities"
            raise UsageError(title, "pass logits in all rounds, or probabilities in all")

    def _check(self, *, certain: bool) -> None:
        if self._target is None and min(self._tokens, default=0) < 0:
            hint = "leave out numbers that mark a draft that was not made"
            raise UsageError(f"drafted token {min(self._tokens)} is no id", hint)
        if not self._tokens or not self._duty.evidence:
            return
        if self._target is None:
            hint = "pass target_logits, or record with detail='rounds': counts and times only"
            raise UsageError("a round's drafts came without the target's rows", hint)
        if self._draft is None and not (
            certain or self._duty.lawless or self._duty.reader.law.greedy
        ):
            hint = "pass draft_logits, or certain=True if drafts are looked up and not drawn"
            raise UsageError("a round's drafts came without the law they were drawn from", hint)

    def _share_vocabulary(self) -> None:
        """Cut both models' rows to the ids they share: one model may have more padding."""
        if self._target is not None and self._draft is not None:
            shared = min(self._target.shape[-1], self._draft.shape[-1])
            self._target, self._draft = self._target[:, :shared], self._draft[:, :shared]

    def _make_played_round(self, lap: Lap) -> PlayedRound:
        path, emitted = self.require_verdict()
        target = torch.zeros(len(self._tokens) + 1, 1) if self._target is None else self._target
        no_law: NoLaw | None = self._find_no_law(len(path))
        if self._target is not None and no_law is None:
            target = self._read_rows(self._target, path)
            if not self._duty.reader.knows(self._target, self._draft):
                no_law = "processed"
        chain = list(range(-1, len(self._tokens) - 1))
        return PlayedRound(
            context=len(self._duty.text),
            depth_asked=len(self._tokens) if self._asked is None else self._asked,
            proposal=self._proposal(target.device),
            target_logits=target,  # without evidence nothing reads them
            drafted=self._tokens,
            parents=chain if self._parents is None else self._parents,
            path=path,
            emitted=emitted,
            target_forwards=self._forwards[0],
            draft_forwards=self._forwards[1],
            target_length=self._lengths[0],
            draft_length=self._lengths[1],
            target_kv_bytes=None,
            draft_kv_bytes=None,
            target_evicted=None,
            draft_evicted=None,
            lap=lap,
            ends_judged=self._parents is None and emitted == self._tokens[: len(path)],
            no_law=no_law,
        )

    def _read_rows(self, target: torch.Tensor, path: Sequence[int]) -> torch.Tensor:
        """Return the target's rows as laws are made of them; keep the draft's."""
        chain = self._parents is None and list(path) == list(range(len(path)))
        accepted = self._tokens[: len(path)] if chain else []
        reader, text = self._duty.reader, self._duty.text
        own, self._draft = reader.read(target, self._draft, text, accepted, as_laws=not self._raw)
        if reader.draws:  # the target decides by equality, whatever the draft's law is
            self._draft = None
        return own

    def _find_no_law(self, accepted: int) -> NoLaw | None:
        """Return why rows are no laws; of a chain only rows up to the first rejection count."""
        judged = None if self._parents is not None or self._duty.joint else accepted + 1
        target, draft = (
            None if rows is None else rows[:judged] for rows in (self._target, self._draft)
        )
        found = find_lawless(target, draft, as_laws=not self._raw)
        if found is not None:
            self._duty.note_lawless(found)
            return "sum" if found.finite else found.whose
        return None

    def _proposal(self, device: torch.device) -> Proposal:
        law = self._duty.reader.law
        drawn = self._draft is not None and not law.greedy
        parents = self._parents
        return Proposal(
            tokens=torch.tensor(self._tokens, dtype=torch.int64, device=device),
            logits=self._draft,
            draft_probs=law.of_draft.probs(self._draft)
            if drawn and self._draft is not None
            else None,
            parents=None if parents is None else torch.tensor(parents, device=device),
            family=max(map(parents.count, parents), default=1) if parents else 1,
        )


class OpenRound(DescribedRound):
    """A round of its own, between the start and the end of its `with` block.

    A round that an error cut short is not recorded: what it committed is not known.
    """

    open = False
    """Whether its `with` block is running."""

    def __enter__(self) -> Self:
        self._watch.begin()
        self.open = True
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.open = False
        if error is None:
            self.finish(self._watch.finish())
