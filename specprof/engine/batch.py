"""Several sequences decoded at once: each plays its own loop, and one forward answers them all.

Each sequence is played by an ordinary loop, in a greenlet. When the loop feeds a model, the
greenlet pauses with its request. Once all sequences have paused, the requests for one model are
answered by one padded forward. Draft models are answered first, the target only when all sequences
ask it, so that rounds stay in step. A sequence that has ended leaves its rows idle.
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
"""A round of every sequence that still decodes, by the number of the sequence in the batch."""


def steps(
    loops: Sequence[Loop],
    committed: Sequence[list[int]],
    *,
    new_tokens: int,
    stop: frozenset[int],
) -> Generator[Step]:
    """Extend each of `committed` in place by its own loop, one round of all sequences at a time.

    A sequence stops as in `Loop.rounds`; the others go on. The rounds of a step share their times.
    """
    rounds = [
        loop.rounds(tokens, new_tokens=new_tokens, stop=stop)
        for loop, tokens in zip(loops, committed, strict=True)
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
    """Let every sequence play one round, if it has one left."""
    paused = {number: player.switch() for number, player in players.items()}
    while asked := {n: each for n, each in paused.items() if isinstance(each, Request)}:
        shared = next(
            (each.shared for each in asked.values() if not each.shared.waits_for_all), None
        )
        group = {n: each for n, each in asked.items() if shared in (None, each.shared)}
        answers = next(iter(group.values())).shared.answer(group)
        for number, logits in answers.items():
            paused[number] = players[number].switch(logits)
    step = {number: played for number, played in paused.items() if isinstance(played, PlayedRound)}
    _share_times(list(step.values()))
    return step


def _share_times(step: Sequence[PlayedRound]) -> None:
    """Make every round of a step last from the start of the first to the end of the last."""
    for played in step:
        played.lap.at_ns, played.lap.start = step[0].lap.at_ns, step[0].lap.start
        played.lap.end = step[-1].lap.end


class SequenceLoop(greenlet):  # type: ignore[misc]  # greenlet is untyped
    """Plays a sequence's rounds; pauses after each round, and at each request to a model."""

    def __init__(self, number: int, rounds: Iterator[PlayedRound]) -> None:
        super().__init__()
        self.number = number
        self.rounds = rounds

    def run(self) -> None:
        """Hand over every round; an error names the sequence."""
        try:
            for played in self.rounds:
                self.parent.switch(played)
        except SpecprofError as trouble:
            title = f"sequence {self.number} of the batch: {trouble.title}"
            raise SpecprofError(title, trouble.hint) from trouble


@dataclass(frozen=True, slots=True)
class Request:
    """What a sequence asks of a model."""

    shared: "SharedModel"
    tokens: torch.Tensor
    """[n] tokens to feed."""
    parents: torch.Tensor | None
    """[n] the parents, if the tokens are nodes of a tree."""


class SharedDecoder(CausalModel):
    """The decoder of one sequence: fed alone outside a step, together with others inside one."""

    def __init__(self, shared: "SharedModel", store: Store) -> None:
        super().__init__(shared.model, store, shared.device, shared.vocabulary, forwards=shared.how)
        self.shared = shared

    def feed(self, tokens: torch.Tensor, parents: torch.Tensor | None = None) -> torch.Tensor:
        """Append [n] tokens, a chain or with `parents` a tree; return [n, vocab] float32 logits."""
        player = getcurrent()
        if not isinstance(player, SequenceLoop):
            return super().feed(tokens, parents)
        if torch.is_inference_mode_enabled():  # the thread's: other sequences would run in it too
            title = "a model was fed inside a block of inference mode, which a batch can't do"
            raise SpecprofError(title, "feed it outside, or use batch 1")
        self.forwards += 1
        logits: torch.Tensor = player.parent.switch(Request(self.shared, tokens, parents))
        return logits


class SharedModel:
    """A model and the stores of all sequences that use it."""

    def __init__(
        self,
        model: torch.nn.Module,
        stores: Sequence[Store],
        device: torch.device,
        vocabulary: int | None = None,
        *,
        waits_for_all: bool = False,
        forwards: Forwards | None = None,
    ) -> None:
        """Make one decoder for each store.

        A model that `waits_for_all` answers only when no sequence waits for another model.
        """
        self.model = model
        self.how = forwards or Forwards(path="modules", compute=model)
        self.device = device
        self.vocabulary = vocabulary
        self.waits_for_all = waits_for_all
        self.store = SharedStore(stores)
        self.decoders = [SharedDecoder(self, store) for store in stores]

    @torch.inference_mode()
    def answer(self, requests: Mapping[int, Request]) -> dict[int, torch.Tensor]:
        """Feed all requests in one forward; return the [n, vocab] float32 logits of each."""
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
