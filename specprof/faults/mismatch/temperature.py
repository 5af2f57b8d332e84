"""The temperature is one at which the draft does badly.

Seen in
    vllm-project/vllm#33497 (another default); ggml-org/llama.cpp#27694.

Breaks
    Nothing: the run is sampled at temperature 1.5.

Shows
    The overlap is the one of flatter distributions, by the rule's own formula. Nothing is wrong.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import ClassVar

from specprof.engine.fault import Fault
from specprof.engine.run import Run
from specprof.settings import Value


class Temperature(Fault):
    """Samples at a higher temperature than either model was trained for."""

    settings: ClassVar[dict[str, Value]] = {"temperature": 1.5, "draft": "pocket/draft-small"}

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Change nothing: the settings are the case."""
        del run
        return nullcontext()
