"""Print the profiler's own account: time to compute evidence and write, per time of the rounds.

python benchmarks/own_account.py [--tokens 1500] [--repeats 3]

Every capture ends with the time that its evidence and its lines took. Other programs on the machine
hardly change that time as a share of the wall time of the run's own rounds. They do change the
difference of two runs (profiler_cost.py). The share leaves out the clock marks inside a round, the
sampler's two readings a second on a thread of its own, and processor caches that the next round
finds colder.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from stamp import save, stamp

from specprof.capture import read_capture
from specprof.records import Round

RUN_OPTIONS = ["--set", "workload=generate", "--context", "256", "--threads", "1", "--ignore-eos"]
NO_EXTRAS = ["--plain-steps", "0", "--recheck-context", "0"]


def measure_account(
    path: Path, temperature: float, detail: str, way: str, tokens: int
) -> dict[str, float]:
    """Record one run and return its account per round."""
    command = [sys.executable, "-m", "specprof", "run", "--no-tui", *RUN_OPTIONS, *NO_EXTRAS]
    command += ["--temperature", str(temperature), "--detail", detail, "--set", f"path={way}"]
    command += ["--max-new-tokens", str(tokens), "-o", str(path), "--force"]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)  # noqa: S603 - our own
    capture = read_capture(path)
    rounds = [one for one in capture.events if isinstance(one, Round)]
    assert capture.end is not None  # noqa: S101 - the run ended well
    wall = sum(one.wall_ns for one in rounds)
    return {
        "ms_per_round": wall / len(rounds) / 1e6,
        "observe_us_per_round": capture.end.observe_ns / len(rounds) / 1e3,
        "write_us_per_round": capture.end.write_ns / len(rounds) / 1e3,
        "percent_of_round_wall": 100 * (capture.end.observe_ns + capture.end.write_ns) / wall,
    }


def main() -> None:
    """Record every level of detail by both paths, greedy and sampled, and save the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", type=int, default=1_500)
    parser.add_argument("--repeats", type=int, default=3)
    asked = parser.parse_args()
    result: dict[str, object] = {"stamp": stamp(torch.device("cpu")), "tokens": asked.tokens}
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "run.jsonl"
        for way in ("modules", "flat"):
            for detail in ("rounds", "evidence"):
                for temperature in (0.0, 1.0):
                    found = [
                        measure_account(place, temperature, detail, way, asked.tokens)
                        for _ in range(asked.repeats)
                    ]
                    name = f"{detail}, path {way}, temperature {temperature:g}"
                    result[name] = {
                        key: round(statistics.median(each[key] for each in found), 3)
                        for key in found[0]
                    }
                    print(name, result[name], flush=True)
    print(save("own_account", result))


if __name__ == "__main__":
    main()
