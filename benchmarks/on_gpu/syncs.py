"""Count how often a round makes the host wait for the device, and where.

It counts three things: Tensor methods that read a tensor of the device (any device); calls of the
CUDA runtime, by torch.profiler; and torch's own warnings of a wait, with the line that waited. Each
is the difference of a long play and a short one, so that waits once a play drop out.
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
from on_gpu.pairs import named_pair
from on_gpu.rows import NEEDS_CUDA, Ask, Bounds, Row, guard_rows

from specprof.bench.repeated import Repeated
from specprof.engine.patch import swapped
from specprof.settings import Detail

READING_METHODS = ("tolist", "item", "cpu", "numpy", "nonzero", "__bool__", "__int__", "__float__")
"""Methods of a tensor that copy numbers to the host."""
WAITING_CALLS = (
    "cudaStreamSynchronize",
    "cudaDeviceSynchronize",
    "cudaMemcpy",
    "cuStreamSynchronize",
)
"""Calls that return only when the device has done its work."""
EVENT_WAIT = "cudaEventSynchronize"
"""The wait for one event: it is short if the event has passed, as it has when read late."""
MAX_PASSED_WAIT_US = 50.0
"""Microseconds that a call with nothing to wait for may last, a profiler's own time included. A
round takes hundreds."""
COPY_EVENT = "Memcpy DtoH"
WAITS_PER_ROUND = 1.0
"""A round's only intended wait is the transfer of its outcome."""
MIN_WAITS_PER_ROUND = 0.9
"""Fewer waits mean that they weren't counted, for instance because the profiler gets no events."""
EXTRA_WAITS_PER_ROUND = 0.15
"""Further waits with specprof's profiler on: the evidence of all rounds of 0.2 s is read at once,
when it is ready. Under torch's own profiler 0.2 s hold ten rounds or less."""
SHORT_PLAY_TOKENS = 32
"""Tokens of the short play; torch's profiler keeps thousands of events a round."""
LEVELS: tuple[Detail, ...] = ("off", "rounds", "evidence")
Counts = Counter[str]


@dataclass(frozen=True, slots=True)
class Plays:
    """One engine twice: the long play decodes several times as many tokens as the short."""

    short: Repeated
    long: Repeated

    def per_round(self, count: Callable[[Repeated], tuple[Counts, int]]) -> dict[str, float]:
        """Return by name the long play's further counts over its further rounds."""
        few, rounds = count(self.short)
        many, more = count(self.long)
        return {name: (many[name] - few[name]) / (more - rounds) for name in {*few, *many}}


def rows(ask: Ask) -> Iterator[Row]:
    """Yield the waits per round by path and level of detail."""
    for path in ("modules", "flat"):
        yield from guard_rows(ask, path, _path_rows(ask, path))


def _path_rows(ask: Ask, path: str) -> Iterator[Row]:
    plays = _open_plays(ask, path)
    for detail in LEVELS:
        name = f"{path} {detail}"
        goal = WAITS_PER_ROUND if detail == "off" else WAITS_PER_ROUND + EXTRA_WAITS_PER_ROUND
        yield from _read_rows(ask, plays, detail, name, goal)
        yield from _call_rows(ask, plays, detail, name, goal)
        yield from _warning_rows(ask, plays, detail, name, goal)


def _open_plays(ask: Ask, path: str) -> Plays:
    new = ask.few(SHORT_PLAY_TOKENS, 8)
    settings = named_pair(ask, path=path, max_new_tokens=new).settings
    further = msgspec.structs.replace(settings, max_new_tokens=4 * new)
    plays = Plays(Repeated(settings, ask.folder), Repeated(further, ask.folder))
    for each in (plays.short, plays.long):
        each.play("evidence")  # so that allocations and kernels are made before the counting
    if ask.cuda:
        _count_calls(plays.short, "off")  # so that torch's profiler starts up before the counting
    return plays


def _read_rows(ask: Ask, plays: Plays, detail: Detail, name: str, goal: float) -> Iterator[Row]:
    def count(loop: Repeated) -> tuple[Counts, int]:
        with _count_reads(ask.device) as found:
            rounds = loop.play(detail).rounds
        return found, rounds

    places = _keep_repeated(plays.per_round(count))
    ask.kept[f"{name}: tensors read, by place"] = places
    yield Row(
        what=f"{name}: tensors read",
        figure=sum(places.values()),
        unit="reads/round",
        at_least=MIN_WAITS_PER_ROUND,
        at_most=goal,
        anywhere=detail == "off",
        note="; ".join(f"{place} {each:.3g}" for place, each in places.items()),
    )


def _call_rows(ask: Ask, plays: Plays, detail: Detail, name: str, goal: float) -> Iterator[Row]:
    kinds = {
        "waits": WAITING_CALLS,
        "event waits": (EVENT_WAIT,),
        "copies to the host": (COPY_EVENT,),
    }
    if not ask.cuda:
        why = f"{NEEDS_CUDA}: its runtime isn't here"
        yield Row(what=f"{name}: waits", unit="calls/round", at_most=goal, note=why)
        return
    counted = plays.per_round(lambda loop: _count_calls(loop, detail))
    ask.kept[f"{name}: CUDA runtime calls and µs a round"] = counted
    for kind, names in kinds.items():
        calls = {each: number for each, number in counted.items() if each.startswith(names)}
        goals: Bounds = (
            {"at_least": MIN_WAITS_PER_ROUND, "at_most": goal} if kind == "waits" else {}
        )
        yield Row(
            what=f"{name}: {kind}",
            figure=sum(number for each, number in calls.items() if not each.endswith(" µs")),
            unit="calls/round",
            note=", ".join(f"{each} {number:.3g}" for each, number in sorted(calls.items())),
            **goals,
        )
    yield _event_wait_row(name, counted)


def _event_wait_row(name: str, counted: dict[str, float]) -> Row:
    """Return how long a wait for an event lasts: next to nothing if the event has passed."""
    what, calls = f"{name}: a wait for an event, mean", counted.get(EVENT_WAIT, 0.0)
    if calls <= 0:
        return Row(what=what, unit="µs/call", note="none was waited for")
    lasted = counted.get(f"{EVENT_WAIT} µs", 0.0) / calls
    return Row(what=what, figure=lasted, unit="µs/call", at_most=MAX_PASSED_WAIT_US)


def _count_calls(loop: Repeated, detail: Detail) -> tuple[Counts, int]:
    """Return the calls of the CUDA runtime by name, and their microseconds under `NAME µs`."""
    activities = [torch.profiler.ProfilerActivity.CPU, torch.profiler.ProfilerActivity.CUDA]
    found: Counts = Counter()
    with torch.profiler.profile(activities=activities) as profiler:
        rounds = loop.play(detail).rounds
    for event in profiler.events() or ():
        if event.name.startswith((*WAITING_CALLS, EVENT_WAIT, COPY_EVENT)):
            if event.name.startswith("cudaMemcpy") and event.name != "cudaMemcpy":
                continue  # asynchronous copies don't wait
            found[event.name] += 1
            found[f"{event.name} µs"] += round(event.time_range.elapsed_us())
    return found, rounds


def _warning_rows(ask: Ask, plays: Plays, detail: Detail, name: str, goal: float) -> Iterator[Row]:
    what = f"{name}: waits that torch warns of"
    if not ask.cuda:
        why = f"{NEEDS_CUDA}: torch warns only there"
        yield Row(what=what, unit="waits/round", at_most=goal, note=why)
        return
    places = _keep_repeated(plays.per_round(lambda loop: _count_warnings(loop, detail)))
    ask.kept[what] = places
    note = "; ".join(f"{place} {each:.3g}" for place, each in places.items())
    yield Row(
        what=what,
        figure=sum(places.values()),
        unit="waits/round",
        at_least=MIN_WAITS_PER_ROUND,
        at_most=goal,
        note=note,
    )


def _count_warnings(loop: Repeated, detail: Detail) -> tuple[Counts, int]:
    """Return the waits of a play by the line of code that waited."""
    with warnings.catch_warnings(record=True) as found, ExitStack() as undo:
        warnings.simplefilter("always")
        undo.callback(torch.cuda.set_sync_debug_mode, torch.cuda.get_sync_debug_mode())
        torch.cuda.set_sync_debug_mode("warn")
        rounds = loop.play(detail).rounds
    waits = [each for each in found if "synchroniz" in str(each.message)]
    return Counter(_format_place(each.filename, each.lineno) for each in waits), rounds


@contextmanager
def _count_reads(device: torch.device) -> Iterator[Counts]:
    """Count the reads of tensors of `device` inside the block, by the line that reads."""
    found: Counts = Counter()

    def counting(name: str) -> Callable[..., object]:
        read = getattr(torch.Tensor, name)

        def method(tensor: torch.Tensor, *given: object, **named: object) -> object:
            frame = inspect.currentframe()
            if tensor.device.type == device.type and frame and frame.f_back:
                found[_find_place(frame.f_back)] += 1
            return read(tensor, *given, **named)

        return method

    with ExitStack() as undo:
        for name in READING_METHODS:
            undo.enter_context(swapped(torch.Tensor, **{name: counting(name)}))
        yield found


def _find_place(frame: FrameType) -> str:
    return _format_place(frame.f_code.co_filename, frame.f_lineno)


def _format_place(file: str, line: int) -> str:
    """Return `FOLDER/FILE:LINE` of a line of code."""
    return f"{'/'.join(Path(file).parts[-2:])}:{line}"


def _keep_repeated(places: dict[str, float]) -> dict[str, float]:
    """Return the places that further rounds add to, the most frequent first."""
    kept = {place: each for place, each in places.items() if each > 0}
    return dict(sorted(kept.items(), key=lambda one: -one[1]))
