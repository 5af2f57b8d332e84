"""Shared by all tests: a steady hypothesis profile, one thread, no hub, a tiny pair on disk.

And which warnings are errors: those about our code. `pytest -W error` makes all of them errors.
"""

import gc
import logging
import os
import re
import signal
import warnings
from pathlib import Path

import pytest
from hypothesis import settings

import specprof.engine  # noqa: F401 - before transformers, as a run does: see engine/foreign.py

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
settings.register_profile("steady", deadline=None, derandomize=True)
settings.load_profile("steady")

LOGGERS = ("", "transformers", "huggingface_hub", "torch")
"""The root logger, and loggers that may not propagate to it."""
GIVEN_UP = re.compile(r"deprecat|obsolete|(will|to) be removed|removed (in|from)", re.IGNORECASE)


class LoggedDeprecation(FutureWarning):
    """A deprecation that a library announced by its logger, not by a warning."""


class Heard(logging.Handler):
    """Turns loggers' messages on deprecations into warnings, so that both are counted alike."""

    def emit(self, record):
        said = record.getMessage()
        if record.levelno >= logging.WARNING and GIVEN_UP.search(said):
            place = record.pathname, record.lineno, record.name
            warnings.warn_explicit(said, LoggedDeprecation, *place)


def pytest_configure(config):
    """Count the tests' shared code as ours, and listen to what libraries log.

    Under `nohup` a closed terminal's signal is ignored, and in a script's background Ctrl-C is, in
    every process the tests start too; tests of these signals need them.
    """
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    shared = "|".join(
        sorted(path.stem for path in (Path(__file__).parent / "support").glob("*.py"))
    )
    config.addinivalue_line("filterwarnings", rf"error:::({shared}|recorded_loop)\Z")
    for name in LOGGERS:
        logging.getLogger(name).addHandler(Heard())


def pytest_xdist_auto_num_workers(config):
    """Let `-n auto` share out the whole suite; run named tests in this process.

    A worker starts up for some seconds, and shows neither prints nor a debugger.
    """
    return None if config.args_source is pytest.Config.ArgsSource.TESTPATHS else 0


@pytest.fixture(scope="session", autouse=True)
def _young_garbage_only():
    """Have runs collect young garbage only, unless they ask for more.

    Each collects twice before it starts, and would walk the million objects that torch,
    transformers and the suite are: longer than most runs here last.
    """
    collect = gc.collect

    def young(generation=1):
        return collect(generation)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gc, "collect", young)
        yield


@pytest.fixture(scope="session")
def pair(tmp_path_factory):
    """Write a tiny target and draft with their text, for whole runs."""
    import runs

    return runs.write_pair(tmp_path_factory.mktemp("pair"))
