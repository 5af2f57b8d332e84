"""Stamp a result with where it comes from: machine, versions, commit, command."""

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import torch

from specprof import __version__
from specprof.engine.instruments.machine import machine_facts, package_versions

RESULTS = Path(__file__).parent / "results"


def stamp(device: torch.device) -> dict[str, object]:
    """Return the facts that a reader needs to repeat the measurement."""
    changes = _ask_git("status", "--porcelain", "--untracked-files=no")
    return {
        "command": " ".join(["python", *sys.argv]),
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _ask_git("rev-parse", "--short", "HEAD"),
        "uncommitted_changes": None if changes is None else bool(changes),
        "specprof": __version__,
        "machine": machine_facts(device),
        "versions": package_versions(),
    }


def save(name: str, result: dict[str, object]) -> Path:
    """Write `benchmarks/results/NAME.json`."""
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def _ask_git(*arguments: str) -> str | None:
    """Return git's output; None without git or without a repository."""
    try:
        done = subprocess.run(  # noqa: S603 - fixed arguments
            ["git", *arguments],  # noqa: S607 - the user's git
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None
