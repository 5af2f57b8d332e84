"""A head on the target's own hidden states drafts: EAGLE or EAGLE-3."""

from typing import TYPE_CHECKING, cast

from specprof import registry
from specprof.engine.drafting import empty_proposal
from specprof.engine.features import Features
from specprof.engine.heads import checkpoint
from specprof.engine.heads.decoder import HeadDecoder
from specprof.engine.heads.reference import HeadReference
from specprof.engine.heads.taps import find_taps
from specprof.engine.setup.loading import Loaded
from specprof.engine.transfer import on_device
from specprof.errors import UsageError
from specprof.extend import Cache, Drafter, Parts, Proposal, Shape
from specprof.settings import Settings

if TYPE_CHECKING:
    from specprof.engine.decoder import CausalModel, Decoder
    from specprof.engine.heads.head import Head


class Eagle(Drafter):
    """A round has one target forward; the next round drafts from its features.

    After it has drafted, the head forgets the tokens that it fed beyond the committed ones.
    Accepted tokens are fed anew beside the target's own features, not beside the head's guesses
    at them (vllm-project/vllm#14649).
    """

    refed = True

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        assert parts.draft is not None  # noqa: S101 - `load` returns a head
        head, target = cast("Head", parts.draft.model), cast("CausalModel", parts.target)
        read = find_taps(target.model, head.form)
        target.features = Features(read, parts.capacity)
        self.draft: Decoder = HeadDecoder(head, parts.store(head), target)
        settings = parts.settings
        ours, theirs = (
            _cache(settings.draft_cache or settings.cache, parts),
            _cache(settings.cache, parts),
        )
        self.plain = HeadReference(head, ours.plain(head), theirs.plain(target.model), read)
        self.shape = registry.get(Shape, parts.settings.shape)(parts)

    @classmethod
    def load(cls, settings: Settings, target: Loaded) -> Loaded:
        """Load the head; refuse one that was made for another target."""
        if settings.draft is None:
            title = "the drafter eagle needs a head"
            raise UsageError(title, "name one with --draft, such as pocket/eagle")
        return checkpoint.load(settings.draft, settings, target)

    def propose(self, committed: list[int], depth: int) -> Proposal:
        """Draft `depth` tokens, or levels of a tree; none after a first token, which has no state.

        Every token committed since the last round began is fed first.
        """
        if depth == 0 or len(committed) == 1:
            return empty_proposal(self.draft.device)
        fed = on_device(committed[self.draft.length :], self.draft.device)
        proposal = self.shape.grow(self.draft, fed, depth)
        self.draft.rollback(len(committed))
        return proposal


def _cache(name: str, parts: Parts) -> Cache:
    """Return the cache of that name, for its plain forward."""
    return registry.get(Cache, name)(parts.settings)
