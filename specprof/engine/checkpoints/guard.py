"""What a library raises over somebody's checkpoint becomes one line, with what to do.

Its whole traceback goes to the log that what libraries say goes to: CAPTURE.jsonl.log. Where there
is none, it is the error's `__cause__`. A bug of specprof's is no checkpoint's: it goes through.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

import torch
from transformers.utils import logging as transformers_logging

from specprof.engine.checkpoints.files import Misfit
from specprof.errors import STOPPED, EnvironmentMissing, SpecprofError, summarise_error
from specprof.narration import log_traceback

PLAIN = (OSError, ValueError, ImportError)
"""Errors whose text says enough; of others the kind is said too."""
PACKAGE = __name__.partition(".")[0]
BUGS = (
    *(NameError, AttributeError, TypeError, ValueError),
    *(LookupError, ArithmeticError, AssertionError),
)
"""What Python raises in code that is wrong. What torch raises where we call it is none of these."""


@contextmanager
def guarded(name: str, hint: str, *, doing: str = "load model") -> Iterator[None]:
    """Turn what is raised inside the block into EnvironmentMissing that names `name`.

    Errors of specprof's own, its bugs, and what ends a process go through. A library written in
    Rust panics with an exception that is no `Exception`.
    """
    verbosity = transformers_logging.get_verbosity()
    transformers_logging.set_verbosity_error()  # it reports at length what is told here in a line
    try:
        yield
    except (SpecprofError, SystemExit, *STOPPED):
        raise
    except Misfit as misfit:
        title = f"can't {doing} {name!r}: {misfit}"
        raise EnvironmentMissing(title, misfit.hint or hint) from misfit
    except BaseException as trouble:
        if _is_bug(trouble):
            raise
        log_traceback(trouble)
        raise _refused(trouble, f"can't {doing} {name!r}", hint) from trouble
    finally:
        transformers_logging.set_verbosity(verbosity)


def _refused(trouble: BaseException, title: str, hint: str) -> EnvironmentMissing:
    if isinstance(trouble, MemoryError | torch.OutOfMemoryError):
        hint = "use a smaller model, or --dtype bfloat16"
        return EnvironmentMissing(f"{title}: there is no memory for it", hint)
    return EnvironmentMissing(f"{title}: {summarise_error(trouble, PLAIN)}", hint)


def _is_bug(trouble: BaseException) -> bool:
    """Whether code of specprof's own is wrong: what Python raised came from a line of it.

    A library's own lines may raise the same of a checkpoint that is broken.
    """
    return isinstance(trouble, BUGS) and _raised_in(trouble.__traceback__) == PACKAGE


def _raised_in(trace: TracebackType | None) -> str:
    """Return the package whose line an error came from."""
    while trace and trace.tb_next:
        trace = trace.tb_next
    name: str = trace.tb_frame.f_globals.get("__name__", "") if trace else ""
    return name.partition(".")[0]
