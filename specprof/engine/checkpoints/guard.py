"""Whatever a library raises over somebody's checkpoint is told in one line, with what to do."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from transformers.utils import logging as transformers_logging

from specprof.engine.checkpoints.files import Misfit
from specprof.errors import EnvironmentMissing, SpecprofError

PLAIN = (OSError, ValueError, ImportError)
"""Errors whose text says enough; of others the kind is told too."""
LONGEST = 300
STOPPED = (KeyboardInterrupt, SystemExit, GeneratorExit)


@contextmanager
def told_of(name: str, hint: str, *, doing: str = "load model") -> Iterator[None]:
    """Turn what is raised inside the block into EnvironmentMissing that names `name`.

    Errors of specprof's own, and what ends a process, go through. A library written in Rust panics
    with an exception that is no `Exception`.
    """
    verbosity = transformers_logging.get_verbosity()
    transformers_logging.set_verbosity_error()  # it reports at length what is told here in a line
    try:
        yield
    except (SpecprofError, *STOPPED):
        raise
    except Misfit as misfit:
        title = f"can't {doing} {name!r}: {misfit}"
        raise EnvironmentMissing(title, misfit.hint or hint) from misfit
    except (MemoryError, torch.OutOfMemoryError) as trouble:
        title = f"can't {doing} {name!r}: there is no memory for it"
        raise EnvironmentMissing(title, "use a smaller model, or --dtype bfloat16") from trouble
    except BaseException as trouble:
        raise EnvironmentMissing(f"can't {doing} {name!r}: {reason_of(trouble)}", hint) from trouble
    finally:
        transformers_logging.set_verbosity(verbosity)


def reason_of(trouble: BaseException) -> str:
    """Return an error in one line: its first sentence, and the second where the first announces."""
    lines = [line.strip() for line in str(trouble).strip().splitlines() if line.strip()]
    told = " ".join(lines[:2] if lines and lines[0].endswith(":") else lines[:1])
    told = told if len(told) <= LONGEST else told[:LONGEST] + "..."
    if isinstance(trouble, PLAIN) and told:
        return told
    return f"{type(trouble).__name__}: {told}" if told else type(trouble).__name__
