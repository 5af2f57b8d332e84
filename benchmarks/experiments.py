"""Whole experiments as a user runs them: each profile's wall time and its comparison table.

python benchmarks/experiments.py [PROFILE ...] [--quick] [--into FOLDER]
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


def specprof(*arguments: str) -> str:
    """Run a command as a process of its own; return what it says on stdout."""
    command = [sys.executable, "-m", "specprof", *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)  # noqa: S603 - our own command line
    return done.stdout


def experiment(profile: str, folder: Path, *, quick: bool) -> dict[str, object]:
    """Run a profile; return what it took and found, and write its table beside the results."""
    started = time.monotonic()
    specprof("run", "--profile", profile, "-o", str(folder), *(["--quick"] if quick else []))
    wall_s = time.monotonic() - started
    if not quick:
        table = specprof("compare", "--by-depth", str(folder))
        (RESULTS / f"{profile}.txt").write_text(table, encoding="utf-8")
    return {
        "wall_s": round(wall_s, 1),
        "comparison": json.loads(specprof("compare", "--json", str(folder))),
    }


def main() -> None:
    """Write benchmarks/results/PROFILE.json, and PROFILE-quick.json for the quick forms."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("profiles", nargs="*", default=PROFILES)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--into", type=Path, help="where the captures go; default: nowhere")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as nowhere:
        for profile in asked.profiles:
            name = profile + ("-quick" if asked.quick else "")
            found = experiment(profile, (asked.into or Path(nowhere)) / name, quick=asked.quick)
            print(save(name, stamp(torch.device("cpu")) | found), found["wall_s"], "s")


if __name__ == "__main__":
    main()
