"""Every sound loop by name."""

import re

from recorded_loops import (
    batches,
    drafts,
    plain,
    processors,
    reports,
    requests,
    rounds,
    unusual,
    warped,
)


def sound_loops():
    """Return {name: class}, the plain loop first."""
    found = {"plain-loop": plain.PlainLoop}
    for module in (processors, drafts, rounds, reports, warped, requests, batches, unusual):
        for name, kind in vars(module).items():
            if isinstance(kind, type) and issubclass(kind, plain.PlainLoop):
                found.setdefault(_dashed(name), kind)
    return found


def _dashed(name):
    """`AsLaws` is `as-laws`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", name).lower()
