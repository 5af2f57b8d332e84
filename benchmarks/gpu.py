"""On a real GPU: what is measured there checked against what it claims, part by part.

    python benchmarks/gpu.py timing cost syncs sampler memory grid speed roofline shapes
    python benchmarks/gpu.py all [--device cuda] [--seconds 500] [--into FOLDER]
    python benchmarks/gpu.py all --reduced --device cpu      a rehearsal, no figure of a GPU

| part | asks |
|---|---|
| timing | do events tell what a clock tells that waits for the device, and spans their round? |
| cost | what does the profiler cost: rounds and evidence over off, at most 1 %? |
| syncs | how often does a round wait for the device (once), and where? |
| sampler | what does the thread that reads NVML cost, and what does it read? |
| memory | do caches and allocator take the bytes the formula says, and rounds leave none behind? |
| grid | does every method emit plain greedy's tokens in bf16 and fp16, near ties told apart? |
| speed | are we ahead of transformers' generate and assisted generation, by both paths? |
| roofline | how far are decode and verify passes from what reading their bytes takes? |
| shapes | what do 2.8B and 8B targets with their drafts take at 20k tokens? |

The pocket family, and shapes of Pythia and Llama with random weights (`on_gpu/pairs.py`): nothing
is downloaded. Each part keeps to --seconds and says what it left out for lack of them; it takes a
few minutes on an H200, so one to three fit a call of ten. It prints a table and writes
FOLDER/gpu-PART.json with machine, driver, versions and commit. --reduced plays next to nothing of
everything. On a CPU a goal that only a GPU can meet isn't judged, what has no stand-in says that it
needs CUDA, and nothing is written unless --into says where. Exit code 1: a part failed.

Where a GPU is lent as in `/work/.library/device/README.md`: the machine has torch, transformers,
typer, rich, scipy, tokenizers, psutil and nvidia-ml-py, and no network. In this repository's root,
once, on the machine that has pip (transformers only if the one there is older than pyproject asks):

    echo /.whl/ >> .git/info/exclude
    python3 -m pip download --no-deps --only-binary=:all: --python-version 3.12 \
        --implementation cp --platform manylinux_2_28_x86_64 --platform manylinux_2_17_x86_64 \
        --platform manylinux_2_24_x86_64 --platform manylinux2014_x86_64 -d .whl \
        msgspec==0.22.0 greenlet==3.5.6 transformers==5.23.0

then in each call of `run`, with `.whl` in `carry` and timeout_s 600, first

    python3 -m pip install -q --no-index --no-deps --no-compile --no-cache-dir --upgrade \
        --target /tmp/site .whl/*.whl && export PYTHONPATH=/tmp/site:. PYTHONUNBUFFERED=1 || exit

and then, one line a call, `--commit` because no repository need travel:

    python3 benchmarks/gpu.py all --reduced --commit HASH --into $OUT
    python3 benchmarks/gpu.py timing syncs memory sampler --seconds 130 --commit HASH --into $OUT
    python3 benchmarks/gpu.py cost --seconds 480 --commit HASH --into $OUT
    python3 benchmarks/gpu.py grid --seconds 480 --commit HASH --into $OUT
    python3 benchmarks/gpu.py speed --seconds 480 --commit HASH --into $OUT
    python3 benchmarks/gpu.py roofline shapes --seconds 240 --commit HASH --into $OUT

The files come back under `files_at`: copy them to benchmarks/results, and commit them.
"""

import argparse
import gc
import json
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch
from on_gpu import cost, grid, memory, roofline, sampler, shapes, speed, syncs, timing
from on_gpu.rows import Ask, Row, judged, record, table
from stamp import RESULTS, stamp

from specprof.engine.model import device_for
from specprof.errors import SpecprofError

PARTS: dict[str, Callable[[Ask], Iterator[Row]]] = {
    "timing": timing.rows,
    "cost": cost.rows,
    "syncs": syncs.rows,
    "sampler": sampler.rows,
    "memory": memory.rows,
    "grid": grid.rows,
    "speed": speed.rows,
    "roofline": roofline.rows,
    "shapes": shapes.rows,
}


def driver(device: torch.device) -> dict[str, object]:
    """Return what only a GPU's machine has; None where it doesn't tell."""
    told: dict[str, object] = {"cuda": torch.version.cuda, "driver": None, "capability": None}
    if device.type != "cuda":
        return told
    told["capability"] = list(torch.cuda.get_device_capability(device))
    try:
        import pynvml

        pynvml.nvmlInit()
        told["driver"] = str(pynvml.nvmlSystemGetDriverVersion())
    except Exception as trouble:  # noqa: BLE001 - without a driver's word the figures still stand
        told["driver_unread"] = str(trouble)
    return told


def made(part: str, ask: Ask) -> tuple[list[Row], str | None]:
    """Return a part's rows, and why it ended early if it did: what it had by then is kept."""
    found: list[Row] = []
    try:
        found.extend(PARTS[part](ask))
    except Exception as trouble:  # noqa: BLE001 - what one part meets must not cost the others
        traceback.print_exc()
        return _judged(found, ask), f"{type(trouble).__name__}: {trouble}"
    finally:
        gc.unfreeze()
        gc.collect()
    return _judged(found, ask), None


def _judged(found: Sequence[Row], ask: Ask) -> list[Row]:
    return judged(found, cuda=ask.cuda, reduced=ask.reduced)


def document(part: str, rows: Sequence[Row], trouble: str | None, ask: Ask) -> dict[str, object]:
    """Return what a part's JSON file holds."""
    return {
        "part": part,
        "stamp": stamp(ask.device) | {"gpu": driver(ask.device)},
        "rehearsal": ask.reduced or not ask.cuda,
        "failed": trouble,
        "rows": [record(row) for row in rows],
        "details": ask.kept,
    }


def summary(rows: Sequence[Row]) -> str:
    """Return how many goals were met, missed and not judged."""
    verdicts = [row.met for row in rows]
    met, missed = verdicts.count(True), verdicts.count(False)
    return f"{met} goals met, {missed} missed, {len(rows)} rows"


def options(given: Sequence[str]) -> argparse.Namespace:
    """Return what was asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="+", choices=[*PARTS, "all"], metavar="PART")
    parser.add_argument("--device", default="cuda", help="cuda, or cpu for a rehearsal")
    parser.add_argument("--reduced", action="store_true", help="next to nothing of everything")
    parser.add_argument("--seconds", type=float, default=480.0, help="for each part")
    parser.add_argument("--target", default="pocket/target")
    parser.add_argument("--draft", default="pocket/draft")
    parser.add_argument("--head", default="pocket/eagle", help="an EAGLE head of the target")
    parser.add_argument("--text", help="a text file; the pocket family's own if not given")
    parser.add_argument("--commit", help="of the tree that runs, where there is no repository")
    parser.add_argument("--into", type=Path, help="folder of the JSON files")
    return parser.parse_args(given)


def main(given: Sequence[str]) -> int:
    """Make the parts, one after another; return the exit code."""
    asked = options(given)
    try:
        device = device_for(asked.device)
    except SpecprofError as refusal:
        print(f"{refusal.title}\n{refusal.hint}", file=sys.stderr)
        return refusal.exit_code
    into = asked.into or (RESULTS if device.type == "cuda" and not asked.reduced else None)
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        for part in PARTS if "all" in asked.parts else dict.fromkeys(asked.parts):
            ask = Ask(
                device=device,
                reduced=asked.reduced,
                folder=Path(folder),
                target=asked.target,
                draft=asked.draft,
                head=asked.head,
                text=asked.text,
                until=time.monotonic() + asked.seconds,
            )
            began = time.monotonic()
            rows, trouble = made(part, ask)
            ask.kept["seconds"] = round(time.monotonic() - began, 1)
            failed = failed or trouble is not None
            _tell(part, rows, trouble, ask)
            if into:
                _write(into / f"gpu-{part}.json", document(part, rows, trouble, ask), asked.commit)
    return int(failed)


def _tell(part: str, rows: Sequence[Row], trouble: str | None, ask: Ask) -> None:
    print(f"\n{part}: {summary(rows)}, {ask.kept['seconds']} s", *table(rows), sep="\n")
    if trouble:
        print(f"FAILED, with the rows above made by then: {trouble}")
    sys.stdout.flush()


def _write(place: Path, found: dict[str, object], commit: str | None) -> None:
    said = found["stamp"]
    if commit and isinstance(said, dict):
        said["commit"] = commit
    place.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(place)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
