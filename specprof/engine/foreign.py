"""What a checkpoint's own files may not bring along: code that is fetched and run.

transformers runs a repository's modules only when it is asked to. A config may also name a kernel
of a hub as its attention, which is code like any other.
"""

from collections.abc import Iterator
from typing import Any

from specprof.errors import UsageError

CHOSEN = ("_attn_implementation", "_experts_implementation")
"""Where a config says by which code a part is computed; a name with a slash is of a hub."""


def refuse_kernels(name: str, config: Any) -> None:  # noqa: ANN401 - transformers is untyped
    """Refuse, with UsageError, a config that has kernels fetched from a hub."""
    kernels = sorted({kernel for kernel in _chosen(config) if "/" in kernel})
    if kernels:
        title = f"the config of {name!r} asks for code of a hub, {kernels[0]!r}"
        hint = "if you trust it: --trust-remote-code; else take the line out of its config.json"
        raise UsageError(title, hint)


def _chosen(config: Any) -> Iterator[str]:  # noqa: ANN401
    parts = [getattr(config, part, None) for part in getattr(config, "sub_configs", None) or ()]
    for each in [config, *parts]:
        for field in CHOSEN:
            value = getattr(each, field, None)
            yield from value.values() if isinstance(value, dict) else [value] if value else []
