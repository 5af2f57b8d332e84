"""Thread counts are measured, and always put back."""

import time

import pytest
import torch

import captures
from specprof.engine.instruments import threads as module
from specprof.engine.instruments.threads import fastest_count, threads


def test_the_quickest_count_is_chosen(monkeypatch):
    """Work that two threads slow down is given one."""
    monkeypatch.setattr(module, "ALL_THREADS", 2)

    def work():
        time.sleep(0.002 * torch.get_num_threads())

    before = torch.get_num_threads()
    assert fastest_count(work) == 1
    assert torch.get_num_threads() == before


def test_a_hopeless_count_is_tried_once(monkeypatch):
    """A count far slower than the best isn't measured again."""
    monkeypatch.setattr(module, "ALL_THREADS", 2)
    calls = []

    def work():
        calls.append(torch.get_num_threads())
        time.sleep(0.03 if torch.get_num_threads() == 2 else 0.001)

    fastest_count(work)
    assert calls.count(2) == 1
    assert calls.count(1) == 3


def test_the_count_is_restored_after_an_error():
    """A failing block leaves the process as it was."""
    before = torch.get_num_threads()
    with pytest.raises(ValueError, match="x"), threads(1):
        raise ValueError("x")
    assert torch.get_num_threads() == before


def test_a_count_is_measured_once_for_each_key(monkeypatch):
    """The runs of a sweep decode with the same threads; without a key each asks anew."""
    monkeypatch.setattr(module, "_measured", {})
    calls = []
    first = fastest_count(lambda: calls.append(1), "models")
    n = len(calls)
    assert fastest_count(lambda: calls.append(1), "models") == first
    assert len(calls) == n
    fastest_count(lambda: calls.append(1), "others")
    fastest_count(lambda: calls.append(1))
    assert len(calls) > 2 * n


def test_models_are_a_key_though_they_hold_lists(monkeypatch):
    """A run keys its count by the facts of both models, as its header has them."""
    monkeypatch.setattr(module, "_measured", {})
    header = captures.events()[0]
    calls = []
    first = fastest_count(lambda: calls.append(1), ("decode", header.target, header.draft))
    n = len(calls)
    again = captures.events()[0]
    assert fastest_count(lambda: calls.append(1), ("decode", again.target, again.draft)) == first
    assert len(calls) == n
