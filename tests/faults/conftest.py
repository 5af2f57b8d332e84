"""The tiny family, written once for all faults."""

import pytest

import proofs


@pytest.fixture(scope="session")
def family(tmp_path_factory):
    return proofs.family(tmp_path_factory.mktemp("drilled"))
