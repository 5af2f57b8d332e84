"""Every drill by several seeds: the matrix of what was broken against what was found."""

import multiprocessing
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import msgspec

from specprof.drills import playing
from specprof.drills.playing import Judged
from specprof.errors import SpecprofError, UsageError
from specprof.narration import library_log, set_library_log
from specprof.plain import as_json, escape_json
from specprof.settings import Value

SCHEMA = "specprof.drills.playing/1"


def played(
    only: str,
    seeds: Sequence[int],
    given: Mapping[str, Value],
    jobs: int,
    *,
    budget_s: float = 0.0,
    timed: bool | None = None,
) -> Iterator[Judged]:
    """Run every fault and control whose name holds `only`; yield each as it is judged.

    `jobs` processes share the work. Faults of costs are told by times, and want a machine to
    themselves: `timed` picks them, or all the others. `budget_s` is for each one's probes.
    """
    wanted = [name for name, kind in playing.names().items() if kind != "made-up" and only in name]
    if not wanted or not seeds or jobs < 1:
        title = f"nothing to drill: {len(wanted)} names hold {only!r}, {len(seeds)} seeds"
        raise UsageError(title, "`specprof drill` lists the names; seeds and jobs start at 1")
    if timed is not None:
        wanted = [name for name in wanted if name.startswith("perf/") == timed]
    tasks = [(name, {**given, "seed": seed}, budget_s) for name in wanted for seed in seeds]
    if jobs == 1:
        yield from map(_judged, tasks)
        return
    spawned = multiprocessing.get_context("spawn")  # torch and its threads survive no fork
    with ProcessPoolExecutor(jobs, spawned, _begin, (library_log(),)) as pool:
        yield from pool.map(_judged, tasks)


def _begin(log: Path | None) -> None:
    """Set up a process that plays drills: its libraries' words go where the starter's go."""
    set_library_log(log)
    _end_with_starter()


def _end_with_starter() -> None:
    """End this process when the one that started it has died; else it waits for work for ever."""

    def end() -> None:
        starter = multiprocessing.parent_process()
        if starter is not None:
            starter.join()
            os._exit(SpecprofError.exit_code)

    threading.Thread(target=end, daemon=True).start()


def _judged(task: tuple[str, Mapping[str, Value], float]) -> Judged:
    name, given, budget_s = task
    return playing.judge(playing.drill(name, given), budget_s=budget_s)[0]


def document(judged: Sequence[Judged]) -> bytes:
    """Return the matrix as one JSON document of schema `specprof.drills.playing/1`."""
    made = {"schema": SCHEMA, "score": score(judged), "drills": judged}
    return msgspec.json.format(escape_json(as_json(made)), indent=2) + b"\n"


def score(judged: Sequence[Judged]) -> dict[str, int]:
    """Count faults and controls, and how many were judged rightly; one a seed."""
    faults = [one for one in judged if one.kind == "fault"]
    controls = [one for one in judged if one.kind == "control"]
    return {
        "faults": len(faults),
        "faults_named": sum(bool(one.named) for one in faults),
        "faults_grouped": sum(bool(one.grouped) for one in faults),
        "controls": len(controls),
        "controls_accused": sum(not one.named for one in controls),
    }


def table(judged: Sequence[Judged]) -> str:
    """Return the matrix as text: a line a drill, what led its diagnosis in how many of its runs."""
    lines, names = list[str](), list(dict.fromkeys(one.name for one in judged))
    width = max(map(len, names))
    for name in names:
        runs = [one for one in judged if one.name == name]
        right = sum(bool(one.named) for one in runs)
        lines.append(f"{name:{width}}  {right}/{len(runs)}  {_led(runs)}")
    counts = score(judged)
    if counts["faults"]:
        lines += [
            "",
            f"named / faults: {counts['faults_named']}/{counts['faults']}",
            f"right group / faults: {counts['faults_grouped']}/{counts['faults']}",
        ]
    if counts["controls"]:
        lines.append(
            f"accused of a bug / controls: {counts['controls_accused']}/{counts['controls']}"
        )
    return "".join(f"{line}\n" for line in lines)


def _led(runs: Sequence[Judged]) -> str:
    """Say what led: each rule with its suspects, and in how many of the runs."""
    told = [
        f"{one.leading}{': ' if one.suspects else ''}{', '.join(one.suspects)}"
        if one.leading
        else "nothing found"
        for one in runs
    ]
    each = dict.fromkeys(told)
    return "; ".join(f"{one} ({told.count(one)})" if len(each) > 1 else one for one in each)
