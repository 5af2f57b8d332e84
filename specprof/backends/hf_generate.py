"""transformers' own plain decoding, watched from outside: the baseline of its assisted peers."""

from typing import ClassVar

from specprof.backends.hf.generate import Generate, plain_options
from specprof.settings import Settings


class HfGenerate(Generate):
    """One round a token: a target forward and a choice."""

    drafter: ClassVar[str] = "none"

    def options(self, settings: Settings) -> dict[str, object]:
        """Return no options: plain decoding is what `generate` does without any."""
        del settings
        return {}

    def marks(self) -> dict[str, object]:
        """Return the options that mark each choice."""
        return plain_options(self.onlooker)
