"""Where faults are shown: a short walk of the pocket pair inside the length its draft knows.

Everything is as healthy as it gets there, so what a diagnosis finds is what was broken.
"""

from specprof.engine.fault import Fault
from specprof.settings import Settings, Value

STAGE: dict[str, Value] = {
    "temperature": 1.0,
    "context": 440,
    "stops": 14,
    "max_new_tokens": 64,
    "threads": 1,
    "ignore_eos": True,
}
"""Some 300 rounds, 1,000 reached places; seconds on one core."""


def staged(fault: type[Fault] | None, **given: Value) -> Settings:
    """Return the settings a fault is shown on: the stage's, its own, then what was given."""
    own = fault.stage if fault else {}
    return Settings(**(STAGE | own | given))  # type: ignore[arg-type]  # Settings checks each field
