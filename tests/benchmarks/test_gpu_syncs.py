"""How waits of a round are counted; a GPU's runtime is stood in for."""

import sys
import warnings
from collections import Counter
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import torch

from specprof.engine.instruments.bout import Bout

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
sys.path.append(str(BENCHMARKS))

from on_gpu import syncs  # noqa: E402 - scripts, found where the line above says

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


def test_reads_are_counted_by_line_and_only_while_asked():
    """Every method that brings numbers to the host, of tensors on the device in question."""
    own = dict(vars(torch.Tensor))
    number = torch.ones(())
    with syncs._count_reads(CPU) as found:
        assert [number.item(), float(number), bool(number), number.tolist()] == [1, 1, True, 1]
    with syncs._count_reads(CUDA) as none:
        number.item()
    (place,) = found
    assert place.startswith("benchmarks/test_gpu_syncs.py:")
    assert found[place] >= 4
    assert not none
    assert vars(torch.Tensor) == own


class Engine:
    """Stands in for one that plays: whatever it is told to do, in four rounds."""

    def __init__(self, play=lambda: None):
        self.act = play

    def play(self, detail):
        self.act()
        return Bout(1, 1, 4, [])


def test_calls_that_wait_are_told_from_those_that_dont(monkeypatch):
    """Of the CUDA runtime's, by name; an asynchronous copy waits for nobody."""
    names = (
        ("cudaStreamSynchronize", 7), ("cudaStreamSynchronize", 5), ("cudaMemcpyAsync", 3),
        ("cudaMemcpy", 2), ("cudaEventSynchronize", 1), ("cudaLaunchKernel", 4),
        ("Memcpy DtoH (Device -> Pageable)", 6),
    )  # fmt: skip
    events = [
        SimpleNamespace(name=name, time_range=SimpleNamespace(elapsed_us=lambda us=us: us))
        for name, us in names
    ]
    listened = nullcontext(SimpleNamespace(events=lambda: events))
    monkeypatch.setattr(torch.profiler, "profile", lambda activities: listened)
    counted, rounds = syncs._count_calls(Engine(), "off")
    assert rounds == 4
    assert {name: number for name, number in counted.items() if not name.endswith("µs")} == {
        "cudaStreamSynchronize": 2,
        "cudaMemcpy": 1,
        "cudaEventSynchronize": 1,
        "Memcpy DtoH (Device -> Pageable)": 1,
    }
    assert counted["cudaStreamSynchronize µs"] == 12


def test_a_wait_for_an_event_is_held_to_what_one_that_has_passed_takes():
    """A call that really waits lasts as long as passes do; none at all is no goal missed."""
    quick = syncs._event_wait_row("x", {syncs.EVENT_WAIT: 10.0, f"{syncs.EVENT_WAIT} µs": 30.0})
    slow = syncs._event_wait_row("x", {syncs.EVENT_WAIT: 2.0, f"{syncs.EVENT_WAIT} µs": 900.0})
    assert (quick.figure, quick.met, slow.figure, slow.met) == (3.0, True, 450.0, False)
    assert syncs._event_wait_row("x", {}).met is None


def test_a_profiler_that_hears_nothing_meets_no_goal(monkeypatch):
    """A round can't do without its one wait: fewer were not counted."""
    monkeypatch.setattr(syncs, "_count_calls", lambda loop, detail: (Counter(), loop))
    ask = SimpleNamespace(cuda=True, kept={})
    told = list(syncs._call_rows(ask, syncs.Plays(5, 20), "off", "x", 1.0))
    assert [row.met for row in told if row.what == "x: waits"] == [False]


def test_warned_waits_are_told_by_their_line(monkeypatch):
    """The mode is as it was afterwards, and other warnings are no waits."""
    modes = ["as before"]
    monkeypatch.setattr(torch.cuda, "set_sync_debug_mode", modes.append)
    monkeypatch.setattr(torch.cuda, "get_sync_debug_mode", lambda: modes[-1])

    def play():
        for _ in range(3):
            warnings.warn("called a synchronizing CUDA operation", stacklevel=1)
        warnings.warn("Synchronization debug mode is a prototype feature", stacklevel=1)

    counted, _ = syncs._count_warnings(Engine(play), "off")
    ((place, number),) = counted.items()
    assert (place.rpartition(":")[0], number) == ("benchmarks/test_gpu_syncs.py", 3)
    assert modes == ["as before", "warn", "as before"]


def test_what_a_play_costs_once_falls_out():
    """Only what a longer play has more, over the rounds it has more."""
    counts = {"short": (Counter(once=3, each=10), 5), "long": (Counter(once=3, each=40), 20)}
    assert syncs.Plays("short", "long").per_round(counts.get) == {"once": 0.0, "each": 2.0}
