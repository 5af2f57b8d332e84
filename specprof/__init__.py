"""specprof: a profiler and diagnostic tool for speculative decoding.

`specprof.record` records a decode loop that specprof did not write (`specprof.recording`). All
else is reached by the command line.
"""

import importlib
from typing import TYPE_CHECKING

from specprof.version import __version__ as __version__

if TYPE_CHECKING:
    from specprof.recording import record as record


def __getattr__(name: str) -> object:
    """Return `record`, imported only now: readers of captures load neither it nor torch."""
    if name == "record":
        return importlib.import_module("specprof.recording").record
    raise AttributeError(f"module 'specprof' has no attribute {name!r}")
