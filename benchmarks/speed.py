"""Compare decoding speed: transformers' own loops and ours, at short and long contexts.

    python benchmarks/speed.py [--contexts 256 2000 8000 20000] [--temperatures 0 1] [--seconds 60]

The pocket family plays a contest for each context and temperature, in one interleaved run (see
specprof/bench/contest.py): generate, assisted generation, and our loops by both paths, plain and
speculative, with the profiler off, at rounds and at evidence. At contexts past the window our loops
play with the profiler off, and also with a window for the draft alone and with windows for both
models. transformers' loops have no windows, and with a window the target's distribution differs
from the others'. Each contest has as many repetitions as an interval needs, however long they take.
Writes benchmarks/results/speed.json after each contest, and prints its table.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import msgspec
import torch
from stamp import save, stamp

from specprof.analysis.paired_timing import MIN_REPETITIONS
from specprof.bench.contest import PEERS, Entry, entries, own_entries, play
from specprof.cli._contest import figures, printable_text, table
from specprof.settings import Settings

WINDOW_TOKENS = 256
"""Recent tokens that a window keeps, as in the profile long-context."""


def list_entries(settings: Settings) -> list[Entry]:
    """Return the entries of one contest.

    At contexts past the window the profiler's entries are replaced by entries with windows. A play
    takes seconds there, so each loop plays once, with the profiler off.
    """
    found = entries(settings)
    if settings.context <= WINDOW_TOKENS:
        return found
    dense = next(each.settings for each in found if each.loop == "speculative")
    draft = msgspec.structs.replace(dense, draft_cache="sink-window", window=WINDOW_TOKENS)
    both = msgspec.structs.replace(dense, cache="sink-window", window=WINDOW_TOKENS)
    off = ("off",)
    return [
        *(each for each in found if each.loop in PEERS),
        *own_entries(dense, levels=off),
        *own_entries(draft, "window draft ", off, plain=False),
        *own_entries(both, "windows ", off),
    ]


def main() -> None:
    """Play every contest, print its table and write its figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--contexts", type=int, nargs="+", default=[256, 2000, 8000, 20_000])
    parser.add_argument("--temperatures", type=float, nargs="+", default=[0.0, 1.0])
    parser.add_argument("--tokens", type=int, default=64, help="new tokens of every play")
    parser.add_argument("--depth", type=int, default=4)
    parser.add_argument("--threads", type=int, default=0, help="0: each loop's measured fastest")
    parser.add_argument("--seconds", type=float, default=60.0, help="for each contest")
    parser.add_argument(
        "--repetitions", type=int, default=MIN_REPETITIONS, help="at least, of each contest"
    )
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--name", default="speed", help="benchmarks/results/NAME.json")
    asked = parser.parse_args()
    result: dict[str, object] = {"stamp": stamp(torch.device(asked.device))}
    for temperature in asked.temperatures:
        for context in asked.contexts:
            settings = Settings(
                device=asked.device,
                context=context,
                max_new_tokens=asked.tokens,
                depth=asked.depth,
                temperature=temperature,
                threads=asked.threads,
            )
            with tempfile.TemporaryDirectory() as folder:
                found = play(
                    list_entries(settings),
                    Path(folder),
                    seconds=asked.seconds,
                    least=asked.repetitions,
                    report=lambda line: print(line, file=sys.stderr, flush=True),
                )
            name = f"temperature {temperature:g}, context {context}"
            print(f"{name}\n{printable_text(table(found))}", flush=True)
            result[name] = figures(found)
            place = save(asked.name, result)
            if found.stopped:
                sys.exit(130)
    print(place)


if __name__ == "__main__":
    main()
