"""Keeps out code that a checkpoint's files would have fetched from a hub and run.

transformers runs a repository's own modules only when it is asked to. But a config may name a
kernel of a hub as its attention, and a kernel is code too. And if the package `kernels` is
installed, transformers fetches kernels of its own choice, for an attention or a quantisation with a
plain name. Its variable USE_HUB_KERNELS=0 stops some of these fetches and not others
(`modeling_utils`, `integrations/mxfp4`). All of them stop if transformers can't find the package.
"""

import importlib.util
import sys
from collections.abc import Iterator
from typing import Any

from specprof.errors import UsageError

KERNELS, TRANSFORMERS = "kernels", "transformers"
"""The package that fetches kernels, and the one that looks for it once in each process."""
KERNEL_FIELDS = ("_attn_implementation", "_experts_implementation")
"""Fields of a config that name the code for a part; a name with a slash is fetched from a hub."""


def keep_out_kernels() -> None:
    """Hide the package `kernels` from everything that this process imports from now on.

    Python takes None in `sys.modules` as a module that does not exist. Once transformers is loaded
    it is too late: then nothing is hidden, and `refuse_kernels` refuses models.
    """
    if TRANSFORMERS not in sys.modules:
        sys.modules.setdefault(KERNELS, None)  # type: ignore[arg-type]


def let_in_kernels() -> None:
    """Undo `keep_out_kernels`, for a run that trusts its models, before transformers is loaded."""
    if TRANSFORMERS not in sys.modules and sys.modules.get(KERNELS, sys) is None:
        del sys.modules[KERNELS]


def refuse_kernels(name: str, config: Any) -> None:  # noqa: ANN401 - transformers is untyped
    """Raise UsageError for a config that has kernels fetched from a hub, or might have."""
    if importlib.util.find_spec(KERNELS):
        title = (
            f"loading {name!r} may fetch code: the package {KERNELS!r} is in use in this process"
        )
        hint = "run it in a process of its own, without a run that trusts its models before it"
        raise UsageError(title, hint)
    kernels = sorted({kernel for kernel in _chosen(config) if "/" in kernel})
    if kernels:
        title = f"the config of {name!r} asks for code of a hub, {kernels[0]!r}"
        hint = "if you trust it: --trust-remote-code; else take the line out of its config.json"
        raise UsageError(title, hint)


def _chosen(config: Any) -> Iterator[str]:  # noqa: ANN401
    parts = [getattr(config, part, None) for part in getattr(config, "sub_configs", None) or ()]
    for each in [config, *parts]:
        for field in KERNEL_FIELDS:
            value = getattr(each, field, None)
            yield from value.values() if isinstance(value, dict) else [value] if value else []
