"""Does a round get slower, or the process larger, with age: 20,000 tokens generated in one go.

python benchmarks/free_run.py [--tokens 20000] [--repeats 3]

A round at 20k tokens of context has more to attend to than one at 1k, so a slower one proves
nothing. Each stretch of the long run is therefore held against a fresh process that is taken to the
same context by prefill and plays a few rounds there: old over fresh is what age adds. Only rounds
of full depth are compared, by their medians. Memory: what the process grew by beside its keys and
values, from the first reading in a stretch to the last.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from stamp import save, stamp

from specprof.capture import read_capture
from specprof.records import Event, Round, Sample

STRETCHES = (2_000, 5_000, 10_000, 15_000, 20_000)
NEAR = 500
"""Tokens before each of these whose rounds stand for it."""
COMMON = ["--temperature", "1", "--threads", "1", "--ignore-eos", "--set", "recheck_context=0"]


def run(path: Path, *options: str) -> tuple[Event, ...]:
    """Record one run and return what it holds."""
    command = [sys.executable, "-m", "specprof", "run", "--no-tui", *COMMON, *options]
    subprocess.run([*command, "-o", str(path), "--force"], check=True)  # noqa: S603 - our own
    return tuple(read_capture(path).events)


def rounds_near(events: tuple[Event, ...], context: int) -> list[float]:
    """Return the milliseconds of full rounds shortly before a context."""
    return [
        one.wall_ns / 1e6
        for one in events
        if isinstance(one, Round)
        and context - NEAR < one.context <= context + NEAR
        and len(one.drafted) == one.depth_asked
    ]


def grown(events: tuple[Event, ...]) -> dict[str, float]:
    """Return how the process's memory and its keys and values grew, in bytes a token."""
    read = [(one.at_ns, one.rss_bytes) for one in events if isinstance(one, Sample)]
    samples = np.array([(at, rss) for at, rss in read if rss], dtype=float)
    rounds = [one for one in events if isinstance(one, Round)]
    ends = np.array([one.start_ns + one.wall_ns for one in rounds], dtype=float)
    lengths = np.array([one.context for one in rounds], dtype=float)
    kv = np.array([(one.target_kv_bytes or 0) + (one.draft_kv_bytes or 0) for one in rounds])
    at = np.searchsorted(ends, samples[:, 0]).clip(max=len(rounds) - 1)
    settled = lengths[at] >= STRETCHES[0]
    tokens, rss, held = lengths[at][settled], samples[settled, 1], kv[at][settled].astype(float)
    return {
        "rss_bytes_per_token": float(np.polyfit(tokens, rss, 1)[0]),
        "kv_bytes_per_token": float(np.polyfit(tokens, held, 1)[0]),
        "rss_less_kv_mb_first": float(rss[0] - held[0]) / 1e6,
        "rss_less_kv_mb_last": float(rss[-1] - held[-1]) / 1e6,
        "readings": int(settled.sum()),
    }


def main() -> None:
    """Play the long run and the fresh ones; tell old over fresh at each stretch."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", type=int, default=20_000)
    parser.add_argument("--repeats", type=int, default=3)
    asked = parser.parse_args()
    stretches = [each for each in STRETCHES if each <= asked.tokens]
    olds: dict[int, list[float]] = {each: [] for each in stretches}
    news: dict[int, list[float]] = {each: [] for each in stretches}
    memory = []
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "run.jsonl"
        for _ in range(asked.repeats):
            long = ("--set", "workload=generate", "--context", "256")
            events = run(place, *long, "--max-new-tokens", str(asked.tokens), "--plain-steps", "0")
            memory.append(grown(events))
            for each in stretches:
                olds[each].append(float(np.median(rounds_near(events, each))))
                fresh = ("--context", str(each), "--stops", "1", "--max-new-tokens", "200")
                found = rounds_near(run(place, *fresh, "--plain-steps", "0"), each)
                news[each].append(float(np.median(found)))
    rows = [
        {
            "context": each,
            "old_ms_per_round": round(float(np.median(olds[each])), 3),
            "fresh_ms_per_round": round(float(np.median(news[each])), 3),
            "old_over_fresh": [
                round(old / new, 3) for old, new in zip(olds[each], news[each], strict=True)
            ],
        }
        for each in stretches
    ]
    for row in rows:
        print(row)
    print(memory)
    print(save("free_run", stamp(torch.device("cpu")) | {"rounds": rows, "memory": memory}))


if __name__ == "__main__":
    main()
