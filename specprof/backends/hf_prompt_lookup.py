"""transformers' own prompt lookup, watched from outside: a peer of the drafter ngram."""

from typing import ClassVar

from specprof.backends.hf.generate import Generate
from specprof.settings import Settings


class HfPromptLookup(Generate):
    """Drafts what followed the text's last few tokens where they first occurred."""

    drafter: ClassVar[str] = "ngram"
    sampled: ClassVar[str] = "exact-match"

    def options(self, settings: Settings) -> dict[str, object]:
        """Return the number of tokens to look up, and the longest ending to look for."""
        return {
            "prompt_lookup_num_tokens": settings.depth,
            "max_matching_ngram_size": settings.ngram,
        }
