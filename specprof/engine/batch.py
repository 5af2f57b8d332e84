"""Several sequences decoded at once: each plays its own loop, and one forward answers them all.

A sequence is an engine like any other, played in a greenlet. Where its loop feeds a model it is set
aside with what it asks; once every other one has come to such a place too, all who ask the same
model are answered by one padded forward. Drafts are answered first and the target only when
everybody asks it, so that rounds stay in step. A sequence that has ended leaves its rows idle.
"""

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from greenlet import getcurrent, greenlet

from specprof.engine.decoder import CausalModel, Forwards
from specprof.engine.loop import Loop, PlayedRound
from specprof.engine.releases import with_cache
from specprof.engine.stores.batch import SharedStore
from specprof.engine.stores.dense import Store
from specprof.engine.stores.masks import attention_mask
from specprof.errors import SpecprofError

Step = dict[int, PlayedRound]
"""A round of every sequence that still decodes, by its number in the batch."""


def steps(
    engines: Sequence[Loop],
    committed: Sequence[list[int]],
    *,
    new_tokens: int,
    stop: frozenset[int],
) -> Generator[Step]:
    """Extend each of `committed` in place by its own engine, a round of all of them at a time.

    Each stops as `Loop.rounds` does; the others go on. Rounds of a step share their times.
    """
    rounds = [
        loop.rounds(tokens, new_tokens=new_tokens, stop=stop)
        for loop, tokens in zip(engines, committed, strict=True)
    ]
    if len(rounds) == 1:
        for played in rounds[0]:
            yield {0: played}
        return
    players = {number: SequenceLoop(number, each) for number, each in enumerate(rounds)}
    try:
        while step := _step({number: each for number, each in players.items() if not each.dead}):
            yield step
    finally:
        for player in players.values():
            if player:  # begun and not over: its frames hold caches
                player.throw()


def _step(players: Mapping[int, "SequenceLoop"]) -> Step:
    """Let every player play one round, if it has one left."""
    said = {number: player.switch() for number, player in players.items()}
    while asked := {n: each for n, each in said.items() if isinstance(each, Request)}:
        table = next((each.table for each in asked.values() if not each.table.patient), None)
        group = {n: each for n, each in asked.items() if table in (None, each.table)}
        answers = next(iter(group.values())).table.answer(group)
        for number, logits in answers.items():
            said[number] = players[number].switch(logits)
    step = {number: played for number, played in said.items() if isinstance(played, PlayedRound)}
    _share_times(list(step.values()))
    return step


def _share_times(step: Sequence[PlayedRound]) -> None:
    """Make every round of a step last from when the first began to when the last was over."""
    for played in step:
        played.lap.at_ns, played.lap.start = step[0].lap.at_ns, step[0].lap.start
        played.lap.end = step[-1].lap.end


class SequenceLoop(greenlet):  # type: ignore[misc]  # greenlet is untyped
    """Plays a sequence's rounds, giving way with each and wherever a model is asked."""

    def __init__(self, number: int, rounds: Iterator[PlayedRound]) -> None:
        super().__init__()
        self.number = number
        self.rounds = rounds

    def run(self) -> None:
        """Give way with every round; an error names the sequence it befell."""
        try:
            for played in self.rounds:
                self.parent.switch(played)
        except SpecprofError as trouble:
            title = f"sequence {self.number} of the batch: {trouble.title}"
            raise SpecprofError(title, trouble.hint) from trouble


@dataclass(frozen=True, slots=True)
class Request:
    """What a player asks of a model."""

    table: "SharedModel"
    tokens: torch.Tensor
    """[n] to be fed."""
    parents: torch.Tensor | None
    """[n] where they are nodes of a tree."""


class SharedDecoder(CausalModel):
    """A sequence's place at a table: alone a model like any other, in a step one of many."""

    def __init__(self, table: "SharedModel", store: Store) -> None:
        super().__init__(table.model, store, table.device, table.vocabulary, forwards=table.how)
        self.table = table

    def feed(self, tokens: torch.Tensor, parents: torch.Tensor | None = None) -> torch.Tensor:
        """Append [n] tokens, a chain or with `parents` a tree; return [n, vocab] float32 logits."""
        player = getcurrent()
        if not isinstance(player, SequenceLoop):
            return super().feed(tokens, parents)
        if torch.is_inference_mode_enabled():  # a mode of the thread: the next player would get it
            title = "a model was fed inside a block of inference mode, which a batch can't be"
            raise SpecprofError(title, "feed it outside, or use batch 1")
        self.forwards += 1
        logits: torch.Tensor = player.parent.switch(Request(self.table, tokens, parents))
        return logits


class SharedModel:
    """A model and the stores of all sequences that ask it."""

    def __init__(
        self,
        model: torch.nn.Module,
        stores: Sequence[Store],
        device: torch.device,
        vocabulary: int | None = None,
        *,
        patient: bool = False,
        forwards: Forwards | None = None,
    ) -> None:
        """Seat one sequence a store; a `patient` table answers only when nobody asks another."""
        self.model = model
        self.how = forwards or Forwards(path="modules", compute=model)
        self.device = device
        self.vocabulary = vocabulary
        self.patient = patient
        self.store = SharedStore(stores)
        self.seats = [SharedDecoder(self, store) for store in stores]

    @torch.inference_mode()
    def answer(self, requests: Mapping[int, Request]) -> dict[int, torch.Tensor]:
        """Feed each sequence what it asks, in one forward; return its [n, vocab] float32 logits."""
        tokens, place = self.store.place({n: (e.tokens, e.parents) for n, e in requests.items()})
        compute = self.how.compute
        out = compute(
            tokens,
            position_ids=place.positions,
            attention_mask=attention_mask(self.model, place),
            **with_cache(compute, self.store),
            use_cache=True,
        )
        self.store.advance({number: each.tokens for number, each in requests.items()})
        logits = out.logits[:, :, : self.vocabulary].float()  # [sequences, longest n, vocab]
        first = self.store.touched.first
        return {n: logits[n - first, : each.tokens.shape[0]] for n, each in requests.items()}
