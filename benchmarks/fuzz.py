"""Feed damaged and made-up files to every reader, and count what must not happen.

    python benchmarks/fuzz.py                                 the long form: two hours on two cores
    python benchmarks/fuzz.py --reduced                       a thousandth of it
    python benchmarks/fuzz.py --minutes 10                    as much of each as fits
    python benchmarks/fuzz.py --reader diagnose --chunks 40 41
    python benchmarks/fuzz.py --reader diagnose --input FILE  one file, watched in the same way

Readers: captures at once, in pieces and as they grow; tables of results; profiles; sweeps' indices;
whole diagnoses, summaries, the dashboard's panels, comparisons and exports; and `acquit`, which
diagnoses healthy captures with lost, doubled or damaged lines, and counts any bug found as a false
accusation (tests/support/fuzzing/readers.py says what else counts). The inputs are edits to the
committed seeds, drawn by hypothesis in numbered chunks. A chunk has the same inputs whenever it is
played. Besides, a small capture is cut after each of its bytes, and every file of the corpus is
read again.

Bad is: an error that is no clear refusal, a crashed rule, a warning, more than 5 s or 1 GiB, a
control character in what would be printed, a process that died, or something untrue. Each kind is
printed with its smallest input, which `--save` keeps; exit code 1 means that there was one. Ctrl-C
ends the search and prints the counts so far. Writes benchmarks/results/fuzz.json and .txt.
"""

import argparse
import hashlib
import json
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests" / "support")]

from result_folder import result_folder  # noqa: E402

from fuzzing.hunt import SCRIPTS_PER_CHUNK, Found  # noqa: E402 - found where the line above says
from fuzzing.readers import READERS  # noqa: E402
from fuzzing.search import CUT_CAPTURE, Line, Search, list_cut_lines, prepare  # noqa: E402
from fuzzing.seeds import corpus  # noqa: E402
from fuzzing.watched import Bad, temporary_folder, watch  # noqa: E402

RESULTS = Path(__file__).parent / "results"
WANTED_INPUTS = {
    **dict.fromkeys(("capture", "follower", "table", "profile", "index"), 1_000_000),
    **dict.fromkeys(("diagnose", "acquit"), 100_000),
    **dict.fromkeys(("judge", "annotate", "summary", "panels", "compare", "export"), 10_000),
}
"""Reader -> inputs of the long form."""
REDUCED_DIVISOR, REDUCED_EDITS = 1_000, 10
"""The long form's inputs over the reduced form's, and lists of edits in a reduced chunk."""
EXIT_INTERRUPTED = 130


def main(given: Sequence[str] | None = None) -> int:
    """Search, print the findings and write the counts; return the exit code."""
    asked = parse_arguments(given)
    if asked.input:
        return read_one(asked.reader or list(READERS), asked.input)
    lines, stopped = plan_lines(asked), False
    again = [] if asked.reader else read_again()
    minutes = asked.minutes or 24 * 60
    until = time.monotonic() + 60 * minutes
    with temporary_folder() as folder, Search(asked.jobs, folder, until=until) as search:
        for number in (signal.SIGINT, signal.SIGTERM):  # in the background SIGINT is ignored
            signal.signal(number, signal.default_int_handler)
        try:
            search.play(lines)
        except KeyboardInterrupt:
            stopped = True
            sys.stderr.write("stopped; what was counted so far:\n")
    found = again + [each for line in lines for each in line.tally.found.values()]
    text = "\n".join(table(lines)) + "\n"
    print(text, end="")
    for each in found:
        print(describe(each, asked.save))
    if not (asked.reduced and asked.into == RESULTS):
        write(lines, found, asked.into, text, stopped=stopped)
    return 1 if found else EXIT_INTERRUPTED if stopped else 0


def parse_arguments(given: Sequence[str] | None) -> argparse.Namespace:
    """Return the parsed options."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--reader", action="append", choices=list(READERS), help="only this one")
    parser.add_argument("--chunks", type=int, nargs=2, metavar=("FIRST", "AFTER"), default=None)
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--minutes", type=float, default=None, help="no chunk begins later")
    parser.add_argument("--reduced", action="store_true", help="a thousandth of the inputs")
    parser.add_argument("--input", type=Path, default=None, help="read this file only")
    parser.add_argument("--save", type=Path, default=None, help="a folder for what is found")
    parser.add_argument("--into", type=result_folder, default=RESULTS)
    return parser.parse_args(given)


def plan_lines(asked: argparse.Namespace) -> list[Line]:
    """Return how many inputs each reader gets."""
    share, examples = (REDUCED_DIVISOR, REDUCED_EDITS) if asked.reduced else (1, SCRIPTS_PER_CHUNK)
    first, after = asked.chunks or (0, None)
    lines = [
        Line(name, sys.maxsize if asked.chunks else inputs // share, first, after, examples)
        for name, inputs in WANTED_INPUTS.items()
        if not asked.reader or name in asked.reader
    ]
    return lines if asked.reader or asked.reduced else lines + list_cut_lines()


def read_again() -> list[Found]:
    """Read every file of the corpus with each reader of its kind; return what is still bad."""
    found = []
    with temporary_folder() as folder:
        for reader, path in corpus():
            copy = folder / path.name
            copy.write_bytes(path.read_bytes())
            try:
                watch(reader.read, copy)
            except Bad as bad:
                name = str(path.relative_to(ROOT))
                found.append(Found(reader.name, bad.kind, str(bad), name, path.read_bytes()))
    return found


def read_one(readers: Sequence[str], path: Path) -> int:
    """Read one file under watch, and print the outcome; return the exit code."""
    prepare()
    code = 0
    with temporary_folder() as folder:
        for name in readers:
            copy = folder / path.name
            copy.write_bytes(path.read_bytes())
            try:
                print(f"{name}: {'read' if watch(READERS[name].read, copy) else 'refused'}")
            except Bad as bad:
                code = 1
                print(f"{name}: BAD: {bad}")
    return code


def table(lines: Sequence[Line]) -> list[str]:
    """Return the counts as lines."""
    heads = ("reader", "inputs", "refused", "read", "bad", "kinds", "chunks")
    rows = [
        (
            line.reader,
            *(f"{each:,}" for each in (tally.inputs, tally.refused)),
            *(f"{each:,}" for each in (tally.inputs - tally.refused, tally.bad)),
            f"{len(tally.found)}",
            f"{line.chunk:,}",
        )
        for line in lines
        for tally in [line.tally]
    ]
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    return [
        "  ".join(
            text.rjust(width) if place else text.ljust(width)
            for place, (text, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in (heads, *rows)
    ]


def describe(found: Found, folder: Path | None) -> str:
    """Return what was found and how to repeat it; keep the input if a folder is given."""
    path = Path(found.name)
    known = (ROOT / path).is_file()
    if folder is not None and not known:
        folder.mkdir(parents=True, exist_ok=True)
        number = hashlib.sha256(found.data).hexdigest()[:8]
        path = folder / f"{found.reader}-{number}{path.suffix}"
        path.write_bytes(found.data)
    again = f"--reader {found.reader} --input {path}"
    if folder is None and found.chunk is not None:
        again = f"--reader {found.reader} --chunks {found.chunk} {found.chunk + 1}"
    details = "\n  ".join(found.told.splitlines()[-12:])
    where = f"{found.name}, {len(found.data):,} bytes"
    title = f"{found.reader}: {found.kind} ({where})"
    return f"\n{title}\n  {details}\n  python benchmarks/fuzz.py {again}"


def write(
    lines: Sequence[Line], found: Sequence[Found], into: Path, text: str, *, stopped: bool
) -> None:
    """Write the counts as text and JSON, with the stamp."""
    import torch
    from stamp import stamp

    counts: list[dict[str, Any]] = [
        {
            "reader": line.reader,
            "wanted": line.wanted,
            "inputs": line.tally.inputs,
            "refused": line.tally.refused,
            "bad": line.tally.bad,
            "kinds": sorted(line.tally.found),
            "chunks": line.chunk,
        }
        for line in lines
    ]
    whole = {
        "stamp": stamp(torch.device("cpu")),
        "stopped": stopped,
        "cut": CUT_CAPTURE,
        "corpus": len({path for _, path in corpus()}),
        "corpus_readings": len(corpus()),
        "bad": len(found),
        "counts": counts,
    }
    (into / "fuzz.txt").write_text(text, encoding="utf-8")
    (into / "fuzz.json").write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
