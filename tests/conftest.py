"""What every test shares: a steady hypothesis profile, one thread, no hub, a tiny pair on disk."""

import os

import pytest
from hypothesis import settings

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
settings.register_profile("steady", deadline=None, derandomize=True)
settings.load_profile("steady")


@pytest.fixture(scope="session")
def pair(tmp_path_factory):
    """A tiny target and draft with their text, for whole runs."""
    import runs

    return runs.write_pair(tmp_path_factory.mktemp("pair"))
