"""The temperature is not the one the draft does well at.

Seen in
    vllm-project/vllm#33497 (another default); ggml-org/llama.cpp#27694.

Breaks
    Nothing: the run is sampled at temperature 1.5.

Shows
    What the draft is owed is that of flatter laws, by the rule's own formula; all is clean.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import ClassVar

from specprof.engine.fault import Fault
from specprof.engine.run import Run
from specprof.settings import Value


class Temperature(Fault):
    """Hotter than either model was trained."""

    settings: ClassVar[dict[str, Value]] = {"temperature": 1.5, "draft": "pocket/draft-small"}

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Change nothing: the settings are the case."""
        del run
        return nullcontext()
