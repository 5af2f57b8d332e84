"""A run that is ready to be played: its models, and one lane for each sequence.

Knows the parts and how they are reset; `setup/wiring` loads and joins them.
"""

from dataclasses import dataclass, replace

import torch

from specprof import registry
from specprof.engine.loop import Loop
from specprof.engine.setup.loading import Loaded
from specprof.extend import Depth, Drafter
from specprof.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """One sequence of a run: the text it decodes over, and the loop that plays it."""

    loop: Loop
    tokens: list[int]
    """The text, from which decoding starts at several depths."""

    def roll_back_to(self, context: int) -> None:
        """Forget everything but the first `context` tokens of the text."""
        self.loop.target.rollback(context - 1)
        self.loop.drafter.rollback(context)

    def draw_anew(self) -> None:
        """Start the sequence's random draws anew, and let its depth policy learn anew."""
        generator, policy = self.loop.parts.generator, self.loop.parts.policy
        generator.manual_seed(generator.initial_seed())
        vars(policy).update(vars(type(policy)(self.loop.parts.settings)))

    def alone(self) -> Loop:
        """Return a loop that plays the target alone, without drafts, by random draws of its own."""
        drawn = self.loop.parts.generator
        parts = replace(
            self.loop.parts,
            policy=registry.get(Depth, "fixed")(self.loop.parts.settings),
            generator=torch.Generator(drawn.device).manual_seed(drawn.initial_seed()),
        )
        drafter = registry.get(Drafter, "none")(parts)
        return replace(self.loop, parts=parts, drafter=drafter)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A run ready to be played."""

    settings: Settings
    device: torch.device
    target: Loaded
    draft: Loaded | None
    lanes: list[Lane]
    """One for each sequence. What concerns the whole run is taken from the first."""
    source: str
    """Where the text came from."""
    stop: frozenset[int]
    """Tokens that end a burst."""

    @property
    def loop(self) -> Loop:
        """The first sequence's loop; without a batch, the only one."""
        return self.lanes[0].loop

    @property
    def tokens(self) -> list[int]:
        """The first sequence's text."""
        return self.lanes[0].tokens

    def roll_back_to(self, context: int) -> None:
        """Forget everything but the first `context` tokens of each sequence's text."""
        for lane in self.lanes:
            lane.roll_back_to(context)
