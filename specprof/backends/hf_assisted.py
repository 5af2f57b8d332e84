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

RETOKENISED_NOTE = (
    "the models' vocabularies differ: transformers re-tokenises the text for the draft and its "
    "drafts for the target; depth_asked counts draft tokens, drafted counts target tokens"
)
CARRIED_NOTE = "the heuristic's K is carried from burst to burst, as transformers carries it"
REFITTED_NOTE = (
    "scikit-learn is installed: transformers refits the confidence threshold during each burst, "
    "and begins anew in the next"
)


class HfAssisted(Generate):
    """Drafts with an assistant model; K is pinned, or left to transformers' own policies."""

    drafter: ClassVar[str] = "draft-model"
    policies: ClassVar[tuple[str, ...]] = ("fixed", "hf-heuristic", "confidence")
    needs_draft: ClassVar[bool] = True

    def options(self, settings: Settings) -> dict[str, object]:
        """Return the assistant, and both tokenizers if its tokens are not the target's."""
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
        """Return K, its schedule, and the confidence below which no further token is drafted."""
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
        """Return what a reader of the capture should know about this peer."""
        policy = settings.depth_policy
        applies = {
            RETOKENISED_NOTE: self.retokenised,
            CARRIED_NOTE: policy == "hf-heuristic",
            REFITTED_NOTE: policy == "confidence" and is_sklearn_available(),
        }
        return super().notes(settings) + [text for text, true in applies.items() if true]

    def _draft_prefix(self) -> Prefix | None:
        self.retokenised = self._needs_retokenising()
        return None if self.retokenised else super()._draft_prefix()

    def _needs_retokenising(self) -> bool:
        """Return whether transformers re-tokenises; refuse a pair that it wrongly takes for alike.

        transformers compares only the numbers of ids.
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
            undo.callback(self._restore_embeddings, *self._embeddings())

    def _embeddings(self) -> tuple[object, object]:
        assert self.draft is not None  # noqa: S101 - it needs one
        loaded: Model = self.draft.model
        return loaded.get_input_embeddings(), loaded.get_output_embeddings()

    def _restore_embeddings(self, embeddings: object, head: object) -> None:
        """Restore the draft's embeddings and head: sampling across vocabularies cuts them down."""
        assert self.draft is not None  # noqa: S101 - it needs one
        loaded: Model = self.draft.model
        loaded.set_input_embeddings(embeddings)
        loaded.set_output_embeddings(head)
        # Forget transformers' cached translator of the pair; some releases don't cache it here.
        cached = getattr(candidate_generator, "AssistantVocabTranslatorCache", None)
        getattr(cached, "_cache", {}).pop(self.target.tokenizer, None)
