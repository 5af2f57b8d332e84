"""Check on a real GPU, part by part, that what specprof measures is right, and what it costs.

    python benchmarks/gpu.py timing cost syncs sampler memory grid speed roofline shapes
    python benchmarks/gpu.py all [--device cuda] [--seconds 480] [--into FOLDER]
    python benchmarks/gpu.py all --reduced --device cpu      a rehearsal, no figure of a GPU

| part | question |
|---|---|
| timing | do events agree with a clock that waits for the device, and spans with their round? |
| cost | what does the profiler cost: rounds and evidence over off, at most 1%? |
| syncs | how often does a round wait for the device (once), and where? |
| sampler | what does the thread that reads NVML cost, and what does it read? |
| memory | do caches take the bytes of the formula, and do rounds leave none behind? |
| grid | does every method emit plain greedy's tokens in bf16 and fp16, near ties apart? |
| speed | are we ahead of transformers' generate and assisted generation, by both paths? |
| roofline | how far are decode and verify passes from the time to read their bytes? |
| shapes | what do 2.8B and 8B targets with their drafts take at 20k tokens? |

It plays the pocket family, and shapes of Pythia and Llama with random weights (`on_gpu/pairs.py`).
Nothing is downloaded. It needs specprof installed, or PYTHONPATH=. in front. Contests and the grid
divide the --seconds of their part, and name what they had no time for. The other parts need a
minute or two on an H200, by their counts of passes. It prints a table and writes
FOLDER/gpu-PART.json, row by row, with machine, driver, versions and commit. A median is judged by
the whole of its 95% interval: met, MISSED, or open. It is open if the interval contains the goal's
bound, or if there were too few plays for an interval. --reduced plays very little of everything
(half a minute on a CPU). On a CPU a goal that only a GPU can meet isn't judged, a row without a
stand-in says that it needs CUDA, and nothing is written without --into. Exit code 1: a part failed;
2: the options can't be met; 3: no such device; 130: Ctrl-C.

It needs a machine with CUDA, Python 3.11 or later, a build of torch for its driver, and the
packages of `requirements.lock`. It needs no network. On a machine without network, first download
the packages elsewhere, for this machine's Python and platform, and copy FOLDER over:

    python -m pip download --no-deps --only-binary=:all: --python-version 3.12 \
        --platform manylinux_2_28_x86_64 --platform manylinux_2_17_x86_64 \
        -r requirements.lock -d FOLDER
    python -m pip install --no-index --no-deps --find-links FOLDER -r requirements.lock

Begin with `all --reduced`: it shows at once what is missing. If the machine is available for some
minutes at a time, play the parts in groups. These groups should take about 25 minutes together.
That is an estimate: they have not been run on a GPU.

    python benchmarks/gpu.py speed cost --seconds 220
    python benchmarks/gpu.py roofline shapes grid --seconds 300
    python benchmarks/gpu.py timing syncs memory sampler --seconds 120
    specprof run --workload generate --context 512 --max-new-tokens 4000 --ignore-eos -o gpu.jsonl

`--commit HASH` names the commit if the copy of the repository has no history. The last line's
capture is for the dashboard's panels of memory and power (`specprof view`,
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
from on_gpu.rows import OPEN, VERDICTS, Ask, Row, drop_foreign_goals, record, table
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
"""Called with the rows so far, and with the reason if there will be no more."""
UNFINISHED = "not finished"
STOPPED = "stopped by Ctrl-C"
EXIT_INTERRUPTED = 130
"""The exit code after Ctrl-C."""


def facts(device: torch.device, commit: str | None) -> Stamp:
    """Return where the figures come from, read once, because a device that fails can't be read.

    Raises EnvironmentMissing if the device has no memory left to measure its own speed with.
    """
    try:
        said = stamp(device) | {"gpu": read_driver(device)}
    except torch.OutOfMemoryError as trouble:
        title = f"{device} has no memory left: {str(trouble).partition('. ')[0]}"
        raise EnvironmentMissing(title, "nvidia-smi lists the processes that hold it") from trouble
    return said | {"commit": commit} if commit else said


def read_driver(device: torch.device) -> dict[str, object]:
    """Return the facts of a GPU's machine; None for each fact that can't be read."""
    found: dict[str, object] = {"cuda": torch.version.cuda, "driver": None, "capability": None}
    if device.type != "cuda":
        return found
    found["capability"] = list(torch.cuda.get_device_capability(device))
    try:
        import pynvml

        pynvml.nvmlInit()
        found["driver"] = str(pynvml.nvmlSystemGetDriverVersion())
    except Exception as trouble:  # noqa: BLE001 - the figures are valid without the driver's version
        found["driver_unread"] = str(trouble)
    return found


def make_part(part: str, ask: Ask, keep: Keep) -> tuple[list[Row], str | None]:
    """Return a part's rows, and the reason if it ended early; its rows so far are kept.

    `keep` is called with all rows after every row, so that a killed process loses one row only.
    """
    found: list[Row] = []
    trouble = None
    try:
        for row in PARTS[part](ask):
            found += drop_foreign_goals([row], cuda=ask.cuda, reduced=ask.reduced)
            keep(found, UNFINISHED)
    except KeyboardInterrupt:
        trouble = STOPPED
    except Exception as met:  # noqa: BLE001 - an error in one part must not end the others
        traceback.print_exc()
        trouble = f"{type(met).__name__}: {met}"
    finally:
        gc.unfreeze()
        gc.collect()
    return found, "; ".join(filter(None, (*ask.failures, trouble))) or None


def document(
    part: str, rows: Sequence[Row], trouble: str | None, ask: Ask, said: Stamp
) -> dict[str, object]:
    """Return the content of a part's JSON file."""
    return {
        "part": part,
        "stamp": said,
        "rehearsal": ask.reduced or not ask.cuda,
        "failed": trouble,
        "rows": [record(row) for row in rows],
        "details": ask.kept,
    }


def summary(rows: Sequence[Row]) -> str:
    """Return how many goals were met, missed and left open."""
    verdicts = [row.verdict for row in rows]
    met, missed, left = (verdicts.count(each) for each in (VERDICTS[True], VERDICTS[False], OPEN))
    return f"{met} goals met, {missed} missed, {left} open, {len(rows)} rows"


def parse_options(given: Sequence[str]) -> argparse.Namespace:
    """Return the parsed options."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="+", choices=[*PARTS, "all"], metavar="PART")
    parser.add_argument("--device", default="cuda", help="cuda, or cpu for a rehearsal")
    parser.add_argument("--reduced", action="store_true", help="very little of everything")
    parser.add_argument("--seconds", type=float, default=480.0, help="for each part")
    parser.add_argument("--target", default="pocket/target")
    parser.add_argument("--draft", default="pocket/draft")
    parser.add_argument("--head", default="pocket/eagle", help="an EAGLE head of the target")
    parser.add_argument("--text", help="a text file; the pocket family's own if not given")
    parser.add_argument("--commit", help="commit of the running code, if it is in no repository")
    parser.add_argument("--into", type=Path, help="folder of the JSON files")
    return parser.parse_args(given)


def main(given: Sequence[str]) -> int:
    """Make the parts in turn; return the exit code."""
    asked = parse_options(given)
    try:
        device = device_for(asked.device)
        into = _open_folder(asked, device)
        said = facts(device, asked.commit)
    except SpecprofError as refusal:
        print(f"{refusal.title}\n{refusal.hint}", file=sys.stderr)
        return refusal.exit_code
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        for part in PARTS if "all" in asked.parts else dict.fromkeys(asked.parts):
            trouble = _report_part(part, _make_ask(asked, device, Path(folder)), into, said)
            failed = failed or trouble is not None
            if trouble and trouble.endswith(STOPPED):
                return EXIT_INTERRUPTED
    return int(failed)


def _make_ask(asked: argparse.Namespace, device: torch.device, folder: Path) -> Ask:
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


def _open_folder(asked: argparse.Namespace, device: torch.device) -> Path | None:
    """Return the folder for the files, or None; check before measuring that it can be written.

    Raises UsageError if it can't.
    """
    into: Path | None = asked.into
    if into is None:
        return RESULTS if device.type == "cuda" and not asked.reduced else None
    try:
        into.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=into).close()
    except OSError as trouble:
        title = f"--into {into} can't be written to: {trouble.strerror}"
        raise UsageError(title, "name a folder that can be written to") from trouble
    return into


def _report_part(part: str, ask: Ask, into: Path | None, said: Stamp) -> str | None:
    """Make a part, print it and write it; return the reason if it ended early."""
    place = into / f"gpu-{part}.json" if into else None

    def keep(rows: Sequence[Row], trouble: str | None) -> None:
        if place:
            _write(place, document(part, rows, trouble, ask, said))

    began = time.monotonic()
    rows, trouble = make_part(part, ask, keep)
    ask.kept["seconds"] = round(time.monotonic() - began, 1)
    print(f"\n{part}: {summary(rows)}, {ask.kept['seconds']} s", *table(rows), sep="\n")
    if trouble:
        print(f"FAILED after the rows above: {trouble}")
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
