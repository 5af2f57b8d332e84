"""What every test shares: a steady hypothesis profile, one thread, no hub, a tiny pair on disk."""

import gc
import os

import pytest
from hypothesis import settings

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
settings.register_profile("steady", deadline=None, derandomize=True)
settings.load_profile("steady")


def pytest_xdist_auto_num_workers(config):
    """Let `-n auto` share out the whole suite; what is named is run in this process.

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
    """A tiny target and draft with their text, for whole runs."""
    import runs

    return runs.write_pair(tmp_path_factory.mktemp("pair"))
