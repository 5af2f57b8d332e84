"""Write the captures that fuzzing starts from: a small run of each kind, by the real engine.

    python benchmarks/fuzz_seeds.py tests/data/fuzz/seeds

It also writes indices of sweeps. Every capture is healthy: no rule may accuse it of a bug, before
or after it is damaged. The files are committed, because a search can only be repeated from the same
seeds. The machine and the command are left out. The tables beside them are written by hand.
"""

import runpy
import sys
import tempfile
from pathlib import Path

import msgspec
from msgspec.structs import replace

from specprof import pocket, sweep
from specprof.capture import read_capture
from specprof.capture_writer import CaptureWriter
from specprof.extend import Backend
from specprof.plan import expand, override, read_profile, sweep_over
from specprof.recorder import record
from specprof.registry import load, member, shipped_folder
from specprof.settings import Profile, RunSpec, Settings, Value
from specprof.sweep import Index

SMALL: dict[str, Value] = {"context": 180, "stops": 2, "max_new_tokens": 12, "threads": 1}
KINDS: dict[str, dict[str, Value]] = {
    "greedy": {},
    "sampled": {"temperature": 1.0},
    "long-greedy": {"max_new_tokens": 60},
    "long-sampled": {"max_new_tokens": 50, "temperature": 1.0},
    "plain": {"drafter": "none", "draft": None, "depth": 0},
    "rounds": {"detail": "rounds"},
    "tree": {"shape": "static-tree", "temperature": 1.0},
    "batch": {"batch": 2, "max_new_tokens": 8},
    "window": {"cache": "sink-window", "window": 64, "drafter": "ngram", "draft": None},
    "ppl": {"workload": "ppl", "drafter": "none", "draft": None, "depth": 0, "score_step": 32},
    "overlap": {"workload": "overlap", "context": 48},
    "scan": {"workload": "scan", "drafter": "eagle", "draft": "pocket/eagle", "context": 120},
    "assisted": {"backend": "hf-assisted", "workload": "generate", "context": 100},
}
"""Kind -> its settings, put over `SMALL`."""
OWN_LOOP = "own-loop"
"""The worked example of a loop that records itself."""
WHEN = "2026-01-01T00:00:00+00:00"


def main(folder: Path) -> None:
    """Record every kind into the folder, over older files."""
    for kind, changed in KINDS.items():
        settings = msgspec.convert({**SMALL, **changed}, Settings)
        spec = RunSpec(id=kind, profile="seeds", settings=settings, label=kind)
        backend = load(Backend, member("backend", settings.backend))()
        with CaptureWriter(folder / f"{kind}.jsonl", overwrite=True) as writer:
            record(backend, spec, writer, command=["specprof", "run"])
    example = runpy.run_path(str(shipped_folder("plugins") / "recorded_loop.py"))
    (folder / f"{OWN_LOOP}.jsonl").unlink(missing_ok=True)
    example["run"](folder / f"{OWN_LOOP}.jsonl", bursts=2, new=12)
    for path in sorted(folder.glob("*.jsonl")):
        anonymise(path)
    for name, index in indices().items():
        (folder / f"{name}.json").write_bytes(msgspec.json.encode(index))


def indices() -> dict[str, Index]:
    """Return sweeps' indices: of a planned sweep, of a half-done sweep, and of a single run."""
    profile = sweep_over(override(read_profile("default"), **SMALL), "depth", ["1", "4"])
    with tempfile.TemporaryDirectory() as room:
        planned = sweep.begin(Path(room), profile, expand(profile), force=False)
    first, second = planned.runs
    done = replace(first, state="complete", wall_s=1.25)
    failed = replace(second, state="failed", trouble="why", exit_code=3)
    return {
        "sweep-planned": planned,
        "sweep-stopped": replace(planned, runs=[done, failed]),
        "sweep-one": replace(planned, profile=Profile(name="one"), runs=[first]),
    }


def anonymise(path: Path) -> None:
    """Write the capture again without the facts of the machine."""
    read = read_capture(path)
    changed = {"machine": {}, "versions": {}, "created": WHEN, "command": ["specprof", "run"]}
    header = msgspec.structs.replace(read.header, **changed)
    with CaptureWriter(path, overwrite=True) as writer:
        for event in (header, *read.events):
            writer.write(event)
    text = path.read_text(encoding="utf-8")
    folder = f"{pocket.folder('pocket/target').parent}/"
    path.write_text(text.replace(folder, pocket.PREFIX), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
