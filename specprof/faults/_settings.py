"""The settings a fault is drilled under: a short run of the pocket pair, in the draft's own length.

Nothing else is wrong in such a run, so what a diagnosis finds is what the fault broke.
"""

from specprof.engine.fault import Fault
from specprof.settings import Settings, Value

DRILL_SETTINGS: dict[str, Value] = {
    "temperature": 1.0,
    "context": 440,
    "stops": 14,
    "max_new_tokens": 64,
    "threads": 1,
    "ignore_eos": True,
}
"""They give some 300 rounds with 1,000 reached draft indices, in seconds on one core."""


def drill_settings(fault: type[Fault] | None, **given: Value) -> Settings:
    """Return the drill's settings, with the fault's own put over them, and `given` over both."""
    own = fault.settings if fault else {}
    return Settings(**(DRILL_SETTINGS | own | given))  # type: ignore[arg-type]  # Settings checks each field
