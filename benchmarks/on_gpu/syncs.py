"""How often a round makes the host wait for the device, and where.

Counted three ways, each by what a long play has more than a short one, so that what a play costs
once falls out: Tensor methods that read a tensor of the device (any device); calls of the CUDA
runtime, by torch.profiler; and what torch itself warns of as a wait, with the line that asked.
"""

import inspect
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import msgspec
import torch
from on_gpu.pairs import asked
from on_gpu.rows import NEEDS_CUDA, Ask, Bounds, Row, apart

from specprof.bench.repeated import Repeated
from specprof.engine.patch import swapped
from specprof.settings import Detail

READS = ("tolist", "item", "cpu", "numpy", "nonzero", "__bool__", "__int__", "__float__")
"""Methods of a tensor that bring numbers to the host."""
WAITS = ("cudaStreamSynchronize", "cudaDeviceSynchronize", "cudaMemcpy", "cuStreamSynchronize")
"""Calls that return only when the device has done its work."""
PASSED = "cudaEventSynchronize"
"""The wait for one event: none where the event has passed, as late reading has it."""
PASSES_IN = 50.0
"""Microseconds a call may last that has nothing to wait for, a listening profiler's own among them;
a round takes hundreds."""
COPIES = "Memcpy DtoH"
ROUND = 1.0
"""Waits a round that are meant to be: its outcome is brought over in one transfer."""
FEWEST = 0.9
"""Of them: less than one a round wasn't counted, by a profiler that hears nothing for instance."""
ROOM = 0.15
"""More of them with the profiler on: the evidence of all rounds of 0.2 s is read at once, when it
has passed; under torch's own profiler those are ten or less."""
SHORT = 32
"""Tokens of the short play; torch's profiler keeps thousands of events a round."""
LEVELS: tuple[Detail, ...] = ("off", "rounds", "evidence")
Counted = Counter[str]


@dataclass(frozen=True, slots=True)
class Plays:
    """The same engine twice, one decoding several times as far."""

    short: Repeated
    long: Repeated

    def per_round(self, count: Callable[[Repeated], tuple[Counted, int]]) -> dict[str, float]:
        """Return by name what the long play counted more, over the rounds it had more."""
        few, rounds = count(self.short)
        many, more = count(self.long)
        return {name: (many[name] - few[name]) / (more - rounds) for name in {*few, *many}}


def rows(ask: Ask) -> Iterator[Row]:
    """Yield the waits of a round by path and level of detail."""
    for path in ("modules", "flat"):
        yield from apart(ask, path, _counted(ask, path))


def _counted(ask: Ask, path: str) -> Iterator[Row]:
    plays = _plays(ask, path)
    for detail in LEVELS:
        name = f"{path} {detail}"
        goal = ROUND if detail == "off" else ROUND + ROOM
        yield from _read(ask, plays, detail, name, goal)
        yield from _called(ask, plays, detail, name, goal)
        yield from _warned(ask, plays, detail, name, goal)


def _plays(ask: Ask, path: str) -> Plays:
    new = ask.few(SHORT, 8)
    settings = asked(ask, path=path, max_new_tokens=new).settings
    further = msgspec.structs.replace(settings, max_new_tokens=4 * new)
    plays = Plays(Repeated(settings, ask.folder), Repeated(further, ask.folder))
    for each in (plays.short, plays.long):
        each.play("evidence")  # allocations and kernels are found here, not where one counts
    if ask.cuda:
        _runtime(plays.short, "off")  # likewise what torch's profiler does when it first listens
    return plays


def _read(ask: Ask, plays: Plays, detail: Detail, name: str, goal: float) -> Iterator[Row]:
    def count(loop: Repeated) -> tuple[Counted, int]:
        with _reads(ask.device) as found:
            rounds = loop.play(detail).rounds
        return found, rounds

    places = _kept(plays.per_round(count))
    ask.kept[f"{name}: tensors read, by place"] = places
    yield Row(
        what=f"{name}: tensors read",
        figure=sum(places.values()),
        unit="reads/round",
        at_least=FEWEST,
        at_most=goal,
        anywhere=detail == "off",
        note="; ".join(f"{place} {each:.3g}" for place, each in places.items()),
    )


def _called(ask: Ask, plays: Plays, detail: Detail, name: str, goal: float) -> Iterator[Row]:
    kinds = {"waits": WAITS, "event waits": (PASSED,), "copies to the host": (COPIES,)}
    if not ask.cuda:
        why = f"{NEEDS_CUDA}: no runtime of it is here"
        yield Row(what=f"{name}: waits", unit="calls/round", at_most=goal, note=why)
        return
    counted = plays.per_round(lambda loop: _runtime(loop, detail))
    ask.kept[f"{name}: CUDA runtime calls and µs a round"] = counted
    for kind, names in kinds.items():
        calls = {each: number for each, number in counted.items() if each.startswith(names)}
        goals: Bounds = {"at_least": FEWEST, "at_most": goal} if kind == "waits" else {}
        yield Row(
            what=f"{name}: {kind}",
            figure=sum(number for each, number in calls.items() if not each.endswith(" µs")),
            unit="calls/round",
            note=", ".join(f"{each} {number:.3g}" for each, number in sorted(calls.items())),
            **goals,
        )
    yield _passed(name, counted)


def _passed(name: str, counted: dict[str, float]) -> Row:
    """Return how long a wait for an event lasts: next to nothing where the event has passed."""
    what, calls = f"{name}: a wait for an event, mean", counted.get(PASSED, 0.0)
    if calls <= 0:
        return Row(what=what, unit="µs/call", note="none was waited for")
    lasted = counted.get(f"{PASSED} µs", 0.0) / calls
    return Row(what=what, figure=lasted, unit="µs/call", at_most=PASSES_IN)


def _runtime(loop: Repeated, detail: Detail) -> tuple[Counted, int]:
    """Return calls of the CUDA runtime by name, and their microseconds under the name and µs."""
    activities = [torch.profiler.ProfilerActivity.CPU, torch.profiler.ProfilerActivity.CUDA]
    found: Counted = Counter()
    with torch.profiler.profile(activities=activities) as profiler:
        rounds = loop.play(detail).rounds
    for event in profiler.events() or ():
        if event.name.startswith((*WAITS, PASSED, COPIES)):
            if event.name.startswith("cudaMemcpy") and event.name != "cudaMemcpy":
                continue  # the asynchronous ones don't wait
            found[event.name] += 1
            found[f"{event.name} µs"] += round(event.time_range.elapsed_us())
    return found, rounds


def _warned(ask: Ask, plays: Plays, detail: Detail, name: str, goal: float) -> Iterator[Row]:
    what = f"{name}: waits torch warns of"
    if not ask.cuda:
        why = f"{NEEDS_CUDA}: only there torch warns"
        yield Row(what=what, unit="waits/round", at_most=goal, note=why)
        return
    places = _kept(plays.per_round(lambda loop: _debugged(loop, detail)))
    ask.kept[what] = places
    told = "; ".join(f"{place} {each:.3g}" for place, each in places.items())
    yield Row(
        what=what,
        figure=sum(places.values()),
        unit="waits/round",
        at_least=FEWEST,
        at_most=goal,
        note=told,
    )


def _debugged(loop: Repeated, detail: Detail) -> tuple[Counted, int]:
    """Return the waits of a play by the line that asked for them."""
    with warnings.catch_warnings(record=True) as found, ExitStack() as undo:
        warnings.simplefilter("always")
        undo.callback(torch.cuda.set_sync_debug_mode, torch.cuda.get_sync_debug_mode())
        torch.cuda.set_sync_debug_mode("warn")
        rounds = loop.play(detail).rounds
    told = [each for each in found if "synchroniz" in str(each.message)]
    return Counter(_place(each.filename, each.lineno) for each in told), rounds


@contextmanager
def _reads(device: torch.device) -> Iterator[Counted]:
    """Count inside the block the tensors of `device` that are read, by the line that reads them."""
    found: Counted = Counter()

    def counting(name: str) -> Callable[..., object]:
        read = getattr(torch.Tensor, name)

        def method(tensor: torch.Tensor, *given: object, **named: object) -> object:
            frame = inspect.currentframe()
            if tensor.device.type == device.type and frame and frame.f_back:
                found[_called_from(frame.f_back)] += 1
            return read(tensor, *given, **named)

        return method

    with ExitStack() as undo:
        for name in READS:
            undo.enter_context(swapped(torch.Tensor, **{name: counting(name)}))
        yield found


def _called_from(frame: FrameType) -> str:
    return _place(frame.f_code.co_filename, frame.f_lineno)


def _place(file: str, line: int) -> str:
    """Return a line of a file by the last two names of its path."""
    return f"{'/'.join(Path(file).parts[-2:])}:{line}"


def _kept(places: dict[str, float]) -> dict[str, float]:
    """Return the places that count in every further round, most frequent first."""
    kept = {place: each for place, each in places.items() if each > 0}
    return dict(sorted(kept.items(), key=lambda one: -one[1]))
