"""On a real GPU: what is measured there checked against what it claims, part by part.

    python benchmarks/gpu.py timing cost syncs sampler memory grid speed roofline shapes
    python benchmarks/gpu.py all [--device cuda] [--seconds 480] [--into FOLDER]
    python benchmarks/gpu.py all --reduced --device cpu      a rehearsal, no figure of a GPU

| part | asks |
|---|---|
| timing | do events tell what a clock tells that waits for the device, and spans their round? |
| cost | what does the profiler cost: rounds and evidence over off, at most 1%? |
| syncs | how often does a round wait for the device (once), and where? |
| sampler | what does the thread that reads NVML cost, and what does it read? |
| memory | do caches and allocator take the bytes the formula says, and rounds leave none behind? |
| grid | does every method emit plain greedy's tokens in bf16 and fp16, near ties told apart? |
| speed | are we ahead of transformers' generate and assisted generation, by both paths? |
| roofline | how far are decode and verify passes from what reading their bytes takes? |
| shapes | what do 2.8B and 8B targets with their drafts take at 20k tokens? |

The pocket family, and shapes of Pythia and Llama with random weights (`on_gpu/pairs.py`): nothing
is downloaded. It needs specprof installed, or PYTHONPATH=. in front. Contests and the grid share
out what --seconds leaves a part; what there was no time for is said. The other parts need a minute
or two on an H200, by their counts of passes. It prints a table and writes FOLDER/gpu-PART.json, row
by row, with machine, driver, versions and commit. A median is judged by the whole of its 95%
interval: met, MISSED, or open where it reaches over the goal, or plays were too few for one.
--reduced plays next to nothing of everything (half a minute on a CPU). On a CPU a goal that only a
GPU can meet isn't judged, what has no stand-in says that it needs CUDA, and nothing is written
unless --into says where. Exit code 1: a part failed; 2: what was asked can't be done; 3: no such
device; 130: Ctrl-C.

What it needs is a machine with CUDA, Python 3.11 or later, a build of torch for its driver, and the
packages of `requirements.lock`. It needs no network. Where there is none, download the packages on
a machine that has one, for the other machine's Python and platform, and carry FOLDER over:

    python -m pip download --no-deps --only-binary=:all: --python-version 3.12 \
        --platform manylinux_2_28_x86_64 --platform manylinux_2_17_x86_64 \
        -r requirements.lock -d FOLDER
    python -m pip install --no-index --no-deps --find-links FOLDER -r requirements.lock

Begin with `all --reduced`: it shows at once what is missing. Where a machine can be had for some
minutes at a time, play the parts in groups. These should take about 25 minutes together, which is
an estimate: they have not been run on a GPU.

    python benchmarks/gpu.py speed cost --seconds 220
    python benchmarks/gpu.py roofline shapes grid --seconds 300
    python benchmarks/gpu.py timing syncs memory sampler --seconds 120
    specprof run --workload generate --context 512 --max-new-tokens 4000 --ignore-eos -o gpu.jsonl

`--commit HASH` names the commit where the copy of the repository has no history. The capture of the
last line is for the dashboard's panels of memory and power (`specprof view`,
`benchmarks/screenshot.py`).
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
from on_gpu.rows import OPEN, VERDICTS, Ask, Row, judged, record, table
from stamp import RESULTS, stamp

from specprof.engine.setup.loading import device_for
from specprof.errors import EnvironmentMissing, SpecprofError, UsageError

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
Stamp = dict[str, object]
Keep = Callable[[Sequence[Row], str | None], None]
"""Called with the rows there are, and why there are no more."""
UNFINISHED = "not finished"
STOPPED = "stopped by Ctrl-C"
INTERRUPTED = 130
"""The exit code of what was stopped."""


def facts(device: torch.device, commit: str | None) -> Stamp:
    """Return where the figures come from, asked once: a device that fails later tells nothing.

    Raises EnvironmentMissing where the device has no memory to measure its own speed with.
    """
    try:
        said = stamp(device) | {"gpu": driver(device)}
    except torch.OutOfMemoryError as trouble:
        title = f"{device} has no memory left: {str(trouble).partition('. ')[0]}"
        raise EnvironmentMissing(title, "see nvidia-smi for who holds it") from trouble
    return said | {"commit": commit} if commit else said


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


def made(part: str, ask: Ask, keep: Keep) -> tuple[list[Row], str | None]:
    """Return a part's rows, and why it ended early if it did: what it had by then is kept.

    `keep` hears of all there is after every row: whoever is killed has lost only the next one.
    """
    found: list[Row] = []
    trouble = None
    try:
        for row in PARTS[part](ask):
            found += judged([row], cuda=ask.cuda, reduced=ask.reduced)
            keep(found, UNFINISHED)
    except KeyboardInterrupt:
        trouble = STOPPED
    except Exception as met:  # noqa: BLE001 - what one part meets must not cost the others
        traceback.print_exc()
        trouble = f"{type(met).__name__}: {met}"
    finally:
        gc.unfreeze()
        gc.collect()
    return found, "; ".join(filter(None, (*ask.failures, trouble))) or None


def document(
    part: str, rows: Sequence[Row], trouble: str | None, ask: Ask, said: Stamp
) -> dict[str, object]:
    """Return what a part's JSON file holds."""
    return {
        "part": part,
        "stamp": said,
        "rehearsal": ask.reduced or not ask.cuda,
        "failed": trouble,
        "rows": [record(row) for row in rows],
        "details": ask.kept,
    }


def summary(rows: Sequence[Row]) -> str:
    """Return how many goals were met, missed and left open by what was measured."""
    verdicts = [row.verdict for row in rows]
    met, missed, left = (verdicts.count(each) for each in (VERDICTS[True], VERDICTS[False], OPEN))
    return f"{met} goals met, {missed} missed, {left} open, {len(rows)} rows"


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
        into = _folder(asked, device)
        said = facts(device, asked.commit)
    except SpecprofError as refusal:
        print(f"{refusal.title}\n{refusal.hint}", file=sys.stderr)
        return refusal.exit_code
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        for part in PARTS if "all" in asked.parts else dict.fromkeys(asked.parts):
            trouble = _part(part, _ask(asked, device, Path(folder)), into, said)
            failed = failed or trouble is not None
            if trouble and trouble.endswith(STOPPED):
                return INTERRUPTED
    return int(failed)


def _ask(asked: argparse.Namespace, device: torch.device, folder: Path) -> Ask:
    return Ask(
        device=device,
        reduced=asked.reduced,
        folder=folder,
        target=asked.target,
        draft=asked.draft,
        head=asked.head,
        text=asked.text,
        until=time.monotonic() + asked.seconds,
    )


def _folder(asked: argparse.Namespace, device: torch.device) -> Path | None:
    """Return where the files go, found fit to write to before anything is measured; or nowhere."""
    into: Path | None = asked.into
    if into is None:
        return RESULTS if device.type == "cuda" and not asked.reduced else None
    try:
        into.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=into).close()
    except OSError as trouble:
        title = f"--into {into} was asked for: {trouble.strerror}"
        raise UsageError(title, "name a folder that can be written to") from trouble
    return into


def _part(part: str, ask: Ask, into: Path | None, said: Stamp) -> str | None:
    """Make a part, tell it and write it; return why it ended early if it did."""
    place = into / f"gpu-{part}.json" if into else None

    def keep(rows: Sequence[Row], trouble: str | None) -> None:
        if place:
            _write(place, document(part, rows, trouble, ask, said))

    began = time.monotonic()
    rows, trouble = made(part, ask, keep)
    ask.kept["seconds"] = round(time.monotonic() - began, 1)
    print(f"\n{part}: {summary(rows)}, {ask.kept['seconds']} s", *table(rows), sep="\n")
    if trouble:
        print(f"FAILED, with the rows above made by then: {trouble}")
    keep(rows, trouble)
    if place:
        print(place)
    sys.stdout.flush()
    return trouble


def _write(place: Path, found: dict[str, object]) -> None:
    """Write a file whole or not at all."""
    fresh = place.with_suffix(".part")
    fresh.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    fresh.replace(place)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
