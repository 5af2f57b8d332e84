"""A tree above temperature 0: siblings are judged one after another, families side by side."""

import torch

from specprof.engine.loop import PlayedRound
from specprof.engine.observe.judged import eldest_turned_down, reached_families
from specprof.engine.observe.layout import FinalNumbers, Pieces, PlaceNumbers
from specprof.engine.observe.probabilities import final_standing, place_numbers
from specprof.engine.observe.round_group import SampledGroup
from specprof.engine.transfer import on_device
from specprof.engine.tree import sibling_law
from specprof.extend import Acceptance, Law


class SampledTree(SampledGroup):
    """One round that drafted a tree: every token that was reached is a place.

    Each sibling is compared with the laws in force when it was judged: what the rejection of its
    elders left of the target's law, and of the draft's where siblings are drawn without
    replacement. A deterministic draft's law has all mass on its token.
    """

    def __init__(self, played: PlayedRound, law: Law, acceptance: Acceptance) -> None:
        """Take a tree that was drawn from `law` and judged by `acceptance`."""
        super().__init__([played], law, acceptance)
        self.families = reached_families(played)
        ranks = range(len(self.families[0]))
        # The eldest of all families, then the second of all that have one, and so on.
        self.places = [
            [family[rank] for rank in ranks for family in self.families if len(family) > rank]
        ]

    def compute(self) -> tuple[PlaceNumbers[Pieces], FinalNumbers[Pieces]]:
        """Return the columns over all places, and those of the final token."""
        (played,) = self.rounds
        proposal, device = played.proposal, played.target_logits.device
        eldest, fallen = [family[0] for family in self.families], eldest_turned_down(played)
        row = None if fallen is None else eldest.index(fallen)
        tip = played.path[-1] if played.path else -1
        ends = [*(played.parents[node] + 1 for node in eldest), tip + 1]
        force = self.law.probs(played.target_logits[on_device(ends, device)])  # [families+1, vocab]
        drawn: torch.Tensor | None = None
        if proposal.draft_probs is not None and proposal.logits is not None:
            drawn = self.law.of_draft.probs(proposal.logits[on_device(eldest, device)])
        after = force[-1:]  # [1, vocab]
        final = after[:, played.final]
        numbers, residual = self._in_turn(force, drawn, row)
        due = after if residual is None else residual
        if row is None:
            instead = final.new_zeros(1)
        elif drawn is None:
            instead = (proposal.tokens[fallen] == played.final)[None].to(final.dtype)
        else:
            instead = drawn[row, played.final][None]
        last = on_device([played.final], device)[:, None]
        return numbers, FinalNumbers([final], [instead], *final_standing(due, last))

    def _in_turn(
        self, force: torch.Tensor, drawn: torch.Tensor | None, row: int | None
    ) -> tuple[PlaceNumbers[Pieces], torch.Tensor | None]:
        """Return the columns, and [1, vocab] what the rejection of family `row` left.

        `force` [families or more, vocab] are the target's laws each family is judged by; `drawn`
        [families, vocab] the laws the draft drew from, None for a deterministic draft. Where `row`
        is None no family was rejected as a whole, and nothing was left.
        """
        tokens = self.rounds[0].proposal.tokens
        residual, ranks = None, []
        for rank in range(len(self.families[0])):
            count = sum(len(family) > rank for family in self.families)
            nodes = [node for family in self.families[:count] for node in family[: rank + 1]]
            kin = tokens[on_device(nodes, tokens.device)].view(count, rank + 1)
            token, force = kin[:, rank], force[:count]
            if drawn is None:
                laws = torch.zeros_like(force).scatter_(1, token[:, None], 1.0)
            else:
                laws = sibling_law(drawn[:count], kin[:, :rank], token)
            ranks.append(place_numbers(force, laws, token, self.acceptance, [count]))
            left = self.acceptance.left(force, laws, token)
            mass = left.sum(-1, keepdim=True)
            force = torch.where(mass > 0, left / mass, force)
            if row is not None and row < count:
                residual = force[row : row + 1]
        return _joined(ranks), residual


def _joined(ranks: list[PlaceNumbers[Pieces]]) -> PlaceNumbers[Pieces]:
    """Join columns: the pieces of the eldest siblings first."""
    columns = zip(*ranks, strict=True)
    return PlaceNumbers(
        *([each for pieces in column for each in pieces or ()] for column in columns)
    )
