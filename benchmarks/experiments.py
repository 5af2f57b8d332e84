"""Run whole experiments as a user runs them: each profile's wall time and comparison table.

python benchmarks/experiments.py [PROFILE ...] [--quick] [--temperature T] [--into FOLDER]
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from stamp import RESULTS, save, stamp

PROFILES = ("long-context", "shoot-out")


def run_specprof(*arguments: str) -> str:
    """Run a command as a process of its own; return its stdout, or exit with its exit code."""
    command = [sys.executable, "-m", "specprof", *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)  # noqa: S603 - our own command line
    if done.returncode:  # the reason is on stderr
        raise SystemExit(done.returncode)
    return done.stdout


def run_experiment(profile: str, folder: Path, given: list[str]) -> dict[str, object]:
    """Run a profile with options and write its table; return its time and its comparison."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    run_specprof("run", "--profile", profile, "-o", str(folder), *given)
    wall_s = time.monotonic() - started
    table = run_specprof("compare", "--by-depth", str(folder))
    (RESULTS / f"{folder.name}.txt").write_text(table, encoding="utf-8")
    return {
        "wall_s": round(wall_s, 1),
        "comparison": json.loads(run_specprof("compare", "--json", str(folder))),
    }


def main() -> None:
    """Write PROFILE.json and .txt into benchmarks/results/; options are added to the name."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("profiles", nargs="*", default=PROFILES)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--temperature", help="instead of the profile's own")
    parser.add_argument("--into", type=Path, help="where the captures go; default: nowhere")
    asked = parser.parse_args()
    given = ["--quick"] if asked.quick else []
    given += ["--temperature", asked.temperature] if asked.temperature else []
    with tempfile.TemporaryDirectory() as nowhere:
        for profile in asked.profiles:
            name = "-".join([profile, *(each.strip("-") for each in given)])
            found = run_experiment(profile, (asked.into or Path(nowhere)) / name, given)
            print(save(name, stamp(torch.device("cpu")) | found), found["wall_s"], "s")


if __name__ == "__main__":
    main()
