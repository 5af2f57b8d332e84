"""Memory is refused before it is taken, with the numbers and what would fit."""

import resource

import psutil
import pytest
import torch

from specprof.engine.setup import fits
from specprof.errors import EnvironmentMissing
from specprof.records import ModelFacts

CPU = torch.device("cpu")
GIB = fits.GIB


def facts(kv=1024, vocabulary=1000):
    return ModelFacts(
        name="m",
        architecture="X",
        parameters=1,
        layers=1,
        vocabulary=vocabulary,
        dtype="float32",
        weight_bytes=1,
        kv_bytes_per_token=kv,
    )


@pytest.fixture
def free(monkeypatch):
    """A machine of four GiB."""
    monkeypatch.setattr(fits, "_available", lambda _device: 4 * GIB)


@pytest.mark.usefixtures("free")
@pytest.mark.parametrize(
    ("given", "hint"),
    [
        ({"capacity": 10**8}, "--context"),
        ({"capacity": 10, "rows": 10**6}, "--depth"),
        ({"capacity": 10, "rows": 1000, "batch": 1000}, "--batch"),
        ({"capacity": 10, "weight_bytes": 8 * GIB}, "smaller model"),
    ],
)
def test_what_is_too_much_is_named_in_the_remedy(given, hint):
    """Caches, logits, weights: whichever it is."""
    capacity = given.pop("capacity")
    with pytest.raises(EnvironmentMissing, match=r"4\.0 GiB of memory are free") as raised:
        fits.check_fits([facts()], capacity, CPU, **given)
    assert hint in raised.value.hint


@pytest.mark.usefixtures("free")
def test_a_context_that_is_proposed_fits():
    """The remedy is one."""
    with pytest.raises(EnvironmentMissing) as raised:
        fits.check_fits([facts()], 10**8, CPU, rows=5, weight_bytes=GIB)
    context = int("".join(filter(str.isdigit, raised.value.hint)))
    fits.check_fits([facts()], context, CPU, rows=5, weight_bytes=GIB)
    assert context > 10**6


@pytest.mark.usefixtures("free")
def test_parts_that_fit_alone_are_refused_together():
    """3 GiB of weights and 2 of caches are 5."""
    fits.check_fits([facts()], 2 * 2**20, CPU)
    fits.check_loads("m", 3 * GIB, CPU)
    with pytest.raises(EnvironmentMissing, match=r"the weights 3\.0 GiB"):
        fits.check_fits([facts()], 2 * 2**20, CPU, weight_bytes=3 * GIB)


@pytest.mark.usefixtures("free")
def test_weights_beyond_memory_are_refused():
    """Their size and what is free are told."""
    with pytest.raises(EnvironmentMissing, match=r"need 5\.0 GiB; 4\.0 GiB of memory are free"):
        fits.check_loads("m", 5 * GIB, CPU)


def test_free_is_what_this_process_may_take(monkeypatch):
    """The least of the machine's, the group's, and the address limit less what is mapped."""
    machine = psutil.virtual_memory().available
    assert 0 < fits._available(CPU) <= 1.5 * machine
    monkeypatch.setattr(fits, "_of_group", lambda: [12345])
    assert fits._available(CPU) == 12345
    mapped = psutil.Process().memory_info().vms
    limit = (mapped + 10_000_000, resource.RLIM_INFINITY)
    monkeypatch.setattr(fits, "_of_group", list)
    monkeypatch.setattr(resource, "getrlimit", lambda _: limit)
    assert 0 <= fits._available(CPU) <= 10_000_000
