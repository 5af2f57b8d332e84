"""specprof: a profiler and diagnostic tool for speculative decoding.

`specprof.record` writes down anybody's own loop (`specprof.recording`); all else is the command.
"""

import importlib
from typing import TYPE_CHECKING

from specprof.version import __version__ as __version__

if TYPE_CHECKING:
    from specprof.recording import record as record


def __getattr__(name: str) -> object:
    """Return `record`, found by name: readers of captures load neither it nor its torch."""
    if name == "record":
        return importlib.import_module("specprof.recording").record
    raise AttributeError(f"module 'specprof' has no attribute {name!r}")
