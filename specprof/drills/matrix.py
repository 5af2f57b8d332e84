"""Runs every drill with several seeds: the matrix of faults against findings."""

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


def run_matrix(
    only: str,
    seeds: Sequence[int],
    given: Mapping[str, Value],
    jobs: int,
    *,
    budget_s: float = 0.0,
    timed: bool | None = None,
) -> Iterator[Judged]:
    """Run every fault and control whose name contains `only`; yield each as it is judged.

    `jobs` processes share the work. Faults of cost show in times and need an idle machine: `timed`
    selects only these (True), all others (False) or both (None). `budget_s` is for the probes of
    each drill. Raises UsageError where there is nothing to run.
    """
    wanted = [name for name, kind in playing.names().items() if kind != "made-up" and only in name]
    if not wanted or not seeds or jobs < 1:
        title = f"nothing to drill: {len(wanted)} names hold {only!r}, {len(seeds)} seeds"
        raise UsageError(title, "`specprof drill` lists the names; seeds and jobs start at 1")
    if timed is not None:
        wanted = [name for name in wanted if name.startswith("perf/") == timed]
    tasks = [(name, {**given, "seed": seed}, budget_s) for name in wanted for seed in seeds]
    if jobs == 1:
        yield from map(_judge_task, tasks)
        return
    spawned = multiprocessing.get_context("spawn")  # torch and its threads survive no fork
    with ProcessPoolExecutor(jobs, spawned, _begin, (library_log(),)) as pool:
        yield from pool.map(_judge_task, tasks)


def _begin(log: Path | None) -> None:
    """Set up a process that runs drills: its libraries print to the starting process's log."""
    set_library_log(log)
    _end_with_starter()


def _end_with_starter() -> None:
    """End this process when the process that started it dies; it would wait for work for ever."""

    def end() -> None:
        starter = multiprocessing.parent_process()
        if starter is not None:
            starter.join()
            os._exit(SpecprofError.exit_code)

    threading.Thread(target=end, daemon=True).start()


def _judge_task(task: tuple[str, Mapping[str, Value], float]) -> Judged:
    name, given, budget_s = task
    return playing.judge(playing.drill(name, given), budget_s=budget_s)[0]


def document(judged: Sequence[Judged]) -> bytes:
    """Return the matrix as one JSON document of schema `specprof.drills.playing/1`."""
    made = {"schema": SCHEMA, "score": score(judged), "drills": judged}
    return msgspec.json.format(escape_json(as_json(made)), indent=2) + b"\n"


def score(judged: Sequence[Judged]) -> dict[str, int]:
    """Count faults and controls, and how many were judged rightly; each seed counts."""
    faults = [run for run in judged if run.kind == "fault"]
    controls = [run for run in judged if run.kind == "control"]
    return {
        "faults": len(faults),
        "faults_named": sum(bool(run.named) for run in faults),
        "faults_grouped": sum(bool(run.grouped) for run in faults),
        "controls": len(controls),
        "controls_accused": sum(not run.named for run in controls),
    }


def table(judged: Sequence[Judged]) -> str:
    """Return the matrix as text: for each drill a line with the rules that led its diagnoses."""
    lines, names = list[str](), list(dict.fromkeys(run.name for run in judged))
    width = max(map(len, names))
    for name in names:
        runs = [run for run in judged if run.name == name]
        right = sum(bool(run.named) for run in runs)
        lines.append(f"{name:{width}}  {right}/{len(runs)}  {_describe_leading(runs)}")
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


def _describe_leading(runs: Sequence[Judged]) -> str:
    """Name each rule that led, with its suspects and with the number of its runs."""
    texts = [
        f"{run.leading}{': ' if run.suspects else ''}{', '.join(run.suspects)}"
        if run.leading
        else "nothing found"
        for run in runs
    ]
    different = dict.fromkeys(texts)
    if len(different) == 1:
        return texts[0]
    return "; ".join(f"{text} ({texts.count(text)})" for text in different)
