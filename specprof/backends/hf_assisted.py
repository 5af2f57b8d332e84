"""transformers' own assisted generation, watched from outside: a peer of draft-model."""

from contextlib import ExitStack
from typing import ClassVar

from transformers.generation import candidate_generator
from transformers.utils import is_sklearn_available

from specprof.backends.hf.generate import Generate
from specprof.backends.hf.prefilled import Model, Prefix
from specprof.engine.setup import loading
from specprof.errors import UsageError
from specprof.settings import Settings

RETOKENISED = (
    "the models' vocabularies differ: transformers re-tokenises the text for the draft and its "
    "drafts for the target; depth_asked counts draft tokens, drafted counts target tokens"
)
CARRIED = "the heuristic's K is carried from burst to burst, as transformers carries it"
REFITTED = (
    "scikit-learn is installed: transformers refits the confidence threshold as it goes, anew in "
    "each burst"
)


class HfAssisted(Generate):
    """Drafts with an assistant model; K is pinned, or left to transformers' own policies."""

    drafter: ClassVar[str] = "draft-model"
    policies: ClassVar[tuple[str, ...]] = ("fixed", "hf-heuristic", "confidence")
    needs_draft: ClassVar[bool] = True

    def options(self, settings: Settings) -> dict[str, object]:
        """Return the assistant, and both tokenizers where its tokens are not the target's."""
        del settings
        assert self.draft is not None  # noqa: S101 - it needs one
        given: dict[str, object] = {"assistant_model": self.draft.model}
        if self.retokenised:
            given |= {
                "tokenizer": self.target.tokenizer,
                "assistant_tokenizer": self.draft.tokenizer,
            }
        return given

    def pins(self, settings: Settings) -> dict[str, object]:
        """Return K, its schedule and the confidence a draft must have to be followed by another."""
        policy = settings.depth_policy
        return {
            "num_assistant_tokens": settings.depth,
            "num_assistant_tokens_schedule": "heuristic"
            if policy == "hf-heuristic"
            else "constant",
            "assistant_confidence_threshold": settings.confidence
            if policy == "confidence"
            else 0.0,
        }

    def notes(self, settings: Settings) -> list[str]:
        """Return what a reader of the capture should know of this peer."""
        policy = settings.depth_policy
        told = {
            RETOKENISED: self.retokenised,
            CARRIED: policy == "hf-heuristic",
            REFITTED: policy == "confidence" and is_sklearn_available(),
        }
        return super().notes(settings) + [text for text, true in told.items() if true]

    def _draft_prefix(self) -> Prefix | None:
        self.retokenised = self._differs()
        return None if self.retokenised else super()._draft_prefix()

    def _differs(self) -> bool:
        """Tell whether transformers must re-tokenise; refuse a pair it would take for alike.

        It goes by the embeddings' widths alone.
        """
        assert self.draft is not None  # noqa: S101 - it needs one
        ours, theirs = self.target, self.draft
        if ours.facts.vocabulary == theirs.facts.vocabulary:
            loading.shared_vocabulary(ours, theirs)
            return False
        if ours.tokenizer is None or theirs.tokenizer is None:
            title = f"{ours.facts.name} and {theirs.facts.name} have different vocabularies"
            raise UsageError(title, "transformers re-tokenises between them: give both a tokenizer")
        return True

    def _pin(self, undo: ExitStack) -> None:
        super()._pin(undo)
        if self.retokenised and self.settings.temperature:
            undo.callback(self._give_back_head, *self._ends())

    def _ends(self) -> tuple[object, object]:
        assert self.draft is not None  # noqa: S101 - it needs one
        loaded: Model = self.draft.model
        return loaded.get_input_embeddings(), loaded.get_output_embeddings()

    def _give_back_head(self, embeddings: object, head: object) -> None:
        """Undo what sampling across vocabularies does to the draft: both ends are cut down."""
        assert self.draft is not None  # noqa: S101 - it needs one
        loaded: Model = self.draft.model
        loaded.set_input_embeddings(embeddings)
        loaded.set_output_embeddings(head)
        # What is kept of the pair, cut down; where it is kept otherwise there is nothing to forget.
        kept = getattr(candidate_generator, "AssistantVocabTranslatorCache", None)
        getattr(kept, "_cache", {}).pop(self.target.tokenizer, None)
