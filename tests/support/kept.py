"""Make the captures of a release that are kept for ever: `python tests/support/kept.py FOLDER`.

Run it once for each schema, before the release, and commit its files to tests/data. A released file
is never made again, because it shows that later readers still read it.
"""

import contextlib
import json
import sys
import tempfile
from pathlib import Path

import loops
import runs
import specprof
from specprof.backends.native import Native
from specprof.capture_writer import CaptureWriter
from specprof.recorder import record
from specprof.records import SCHEMA
from specprof.settings import RunSpec

KINDS = {
    "chain": {"temperature": 0.0, "drafter": "perturbed-self", "draft": None, "noise": 0.3},
    "tree": {"temperature": 1.0, "shape": "static-tree", "seed": 3},
    "sampled": {"temperature": 0.8, "top_p": 0.9, "depth_policy": "hf-heuristic", "batch": 2},
}
"""A greedy chain, a tree and a sampled batch, each with evidence and a recheck."""


def make(folder):
    """Write a capture of each kind, and one by `specprof.record`."""
    with tempfile.TemporaryDirectory() as place, contextlib.chdir(runs.write_pair(Path(place))):
        here = Path()
        for kind, changed in KINDS.items():
            given = {"stops": 2, "max_new_tokens": 24, "recheck_context": 400} | changed
            spec = RunSpec(id=kind, profile="kept", settings=runs.settings(here, **given))
            with CaptureWriter(folder / f"schema-{SCHEMA}-{kind}.jsonl") as writer:
                record(Native(), spec, writer, command=["specprof", "run"])
        path = folder / f"schema-{SCHEMA}-record.jsonl"
        models = {"target": loops.target, "draft": loops.draft, "temperature": 1.0, "depth": 3}
        with specprof.record(path, **models) as log:
            loops.play(log, loops.Loop(), [1, 2, 3], 90)
    for path in folder.glob(f"schema-{SCHEMA}-*.jsonl"):
        anonymise(path)


def anonymise(path):
    """Remove the facts of the machine from a capture's header."""
    first, *rest = path.read_text(encoding="utf-8").splitlines(keepends=True)
    header = json.loads(first) | {"locked_on": None, "machine": {"system": "Linux", "cores": 2}}
    header["command"] = ["specprof", "run"]
    line = json.dumps(header, ensure_ascii=False, separators=(",", ":"))
    path.write_text(line + "\n" + "".join(rest), encoding="utf-8")


if __name__ == "__main__":
    make(Path(sys.argv[1]).resolve())
