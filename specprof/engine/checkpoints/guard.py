"""Turn a library's error about a checkpoint into one line that says what to do.

The whole traceback goes to the log of the libraries' output, CAPTURE.jsonl.log. Without a log it is
the error's `__cause__`. A bug in specprof is not the checkpoint's fault: it is raised unchanged.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

import torch
from transformers.utils import logging as transformers_logging

from specprof.engine.checkpoints.files import Misfit
from specprof.errors import STOPPED, EnvironmentMissing, SpecprofError, summarise_error
from specprof.narration import log_traceback

PLAIN_ERRORS = (OSError, ValueError, ImportError)
"""Errors whose text says enough. The line of any other error also names its kind."""
PACKAGE = __name__.partition(".")[0]
BUG_ERRORS = (
    *(NameError, AttributeError, TypeError, ValueError),
    *(LookupError, ArithmeticError, AssertionError),
)
"""Errors that Python raises in wrong code. What torch raises at our calls is none of these."""


@contextmanager
def explain_errors(name: str, hint: str, *, doing: str = "load model") -> Iterator[None]:
    """Turn an error raised inside the block into EnvironmentMissing that names `name`.

    specprof's own errors, its bugs, and exceptions that end a process pass unchanged. Exceptions
    that are no `Exception` are caught too: a library written in Rust panics with one.
    """
    verbosity = transformers_logging.get_verbosity()
    transformers_logging.set_verbosity_error()  # it reports at length what is one line here
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
        raise _refusal(trouble, f"can't {doing} {name!r}", hint) from trouble
    finally:
        transformers_logging.set_verbosity(verbosity)


def _refusal(trouble: BaseException, title: str, hint: str) -> EnvironmentMissing:
    if isinstance(trouble, MemoryError | torch.OutOfMemoryError):
        hint = "use a smaller model, or --dtype bfloat16"
        return EnvironmentMissing(f"{title}: there is not enough memory", hint)
    return EnvironmentMissing(f"{title}: {summarise_error(trouble, PLAIN_ERRORS)}", hint)


def _is_bug(trouble: BaseException) -> bool:
    """Whether specprof's own code is wrong: one of its lines raised an error of a bug.

    A library's lines may raise such an error about a broken checkpoint, so the kind proves nothing.
    """
    return isinstance(trouble, BUG_ERRORS) and _raising_package(trouble.__traceback__) == PACKAGE


def _raising_package(trace: TracebackType | None) -> str:
    """Return the package whose line raised an error."""
    while trace and trace.tb_next:
        trace = trace.tb_next
    name: str = trace.tb_frame.f_globals.get("__name__", "") if trace else ""
    return name.partition(".")[0]
