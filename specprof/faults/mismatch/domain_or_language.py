"""The draft knows less about this kind of text than the target.

Seen in
    vllm-project/vllm#9565, #21278; kekzl/imp#1460; ggml-org/llama.cpp#10455.

Breaks
    Nothing: two models of source code read it backwards.

Shows
    The overlap is low at every depth and index. Nothing else is wrong.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import ClassVar

from specprof.engine.fault import Fault
from specprof.engine.run import Run
from specprof.settings import Value


class DomainOrLanguage(Fault):
    """Runs code models over reversed code."""

    settings: ClassVar[dict[str, Value]] = {"text": "reversed", "draft": "pocket/draft-small"}

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Change nothing: the settings are the case."""
        del run
        return nullcontext()
