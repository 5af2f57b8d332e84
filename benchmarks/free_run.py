"""Measure whether rounds get slower, or the process larger, as a run ages: 20,000 tokens in one go.

    python benchmarks/free_run.py [--tokens 20000] [--cache dense] [--draft-cache sink-window]

A round at 20k tokens of context attends to more than a round at 1k, so a slower round alone proves
nothing. At several contexts the long run is therefore compared with a fresh engine in the same
process, which has read the same text by prefill. The two play in turns, a block of rounds each, in
mirrored order, and both compute and write evidence. Old over fresh is what age adds. Fresh over
fresh at the first context is what context alone adds. The draft has a window by default, because a
dense draft is worth little past the 512 tokens that it was trained on.

Memory is measured in a run by itself, as a user would start it, because otherwise it would include
the other engine's. The readings in its capture show how the process and its keys and values grew.

Writes benchmarks/results/free_run.json.
"""

import argparse
import gc
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from result_folder import result_folder
from stamp import RESULTS, stamp

from specprof.analysis.comparison import Figure
from specprof.analysis.paired_timing import median
from specprof.capture import read_capture
from specprof.capture_writer import CaptureWriter
from specprof.engine.instruments.threads import threads
from specprof.engine.record_ahead import record_missed, record_next
from specprof.engine.setup.warmup import warm_up
from specprof.engine.setup.wiring import wire
from specprof.engine.walk import Walk
from specprof.records import Event, Round, Sample
from specprof.settings import Settings

if TYPE_CHECKING:
    from specprof.engine.loop import PlayedRound
    from specprof.engine.run import Run

Floats = NDArray[np.float64]
CONTEXTS = (1_000, 2_000, 5_000, 10_000, 15_000, 20_000)
"""Contexts from which the old engine and the fresh one play in turns."""
BLOCK_ROUNDS = 32
"""Rounds of a block: as many as are observed and written together."""
BLOCK_PAIRS = 10
"""Blocks of each engine at a context."""
PROMPT_TOKENS = 256


@dataclass(frozen=True, slots=True)
class Block:
    """Some consecutive rounds."""

    context: int
    """Committed tokens before the first round."""
    rounds: int
    emitted: int
    wall_ns: int
    """Time for playing, observing and writing the rounds."""

    @property
    def ms_per_round(self) -> float:
        """Wall time / rounds."""
        return self.wall_ns / self.rounds / 1e6


class Player:
    """An engine that keeps decoding with the profiler on."""

    def __init__(self, settings: Settings, place: Path) -> None:
        """Load and warm up; the capture is written to `place`."""
        self.run: Run = wire(settings)
        self.prefill_threads = warm_up(self.run)
        self.writer = CaptureWriter(place, overwrite=True)
        self.committed: list[int] = []
        self._left = 0
        self._rounds: Iterator[PlayedRound] = iter([])
        self._recorder = Walk(self.run, origin_ns=0, prefill_threads=self.prefill_threads).recorder

    def begin(self, tokens: Sequence[int]) -> None:
        """Forget everything, read `tokens` by prefill, and decode from there."""
        self.run.roll_back_to(1)
        self.committed = list(tokens)
        loop = self.run.loop
        with threads(self.prefill_threads):
            loop.target.prefill(self.committed[:-1])
            loop.drafter.prefill(self.committed)
        record_next(loop)
        settings = self.run.settings
        left = settings.context + settings.max_new_tokens - len(self.committed)
        self._rounds = loop.rounds(self.committed, new_tokens=left, stop=frozenset())

    def play_block(self, count: int = BLOCK_ROUNDS) -> Block:
        """Play `count` rounds, or as many as fit in the caches."""
        context, played = len(self.committed), 0
        begun = time.perf_counter_ns()
        for each in self._rounds:
            for one in self._recorder.take(each, 0):
                self.writer.write(one, more=self._recorder.more)
            played += 1
            if played == count:
                break
        record_missed(self.run.loop)
        for one in self._recorder.flush():
            self.writer.write(one, more=self._recorder.more)
        took = time.perf_counter_ns() - begun
        return Block(context, played, len(self.committed) - context, took)


def play_in_turns(old: Player, fresh: Player, pairs: int) -> list[tuple[Block, Block]]:
    """Let both play `pairs` blocks in turns, old first in one pair and fresh in the next.

    A block of each before them is dropped. Returns the old and the fresh block of each pair.
    """
    played = []
    for number in range(pairs + 1):
        order = (old, fresh) if number % 2 == 0 else (fresh, old)
        blocks = [each.play_block() for each in order]
        played.append((blocks[number % 2], blocks[1 - number % 2]))
    return played[1:]


def compare_ages(pairs: Sequence[tuple[Block, Block]]) -> dict[str, Any]:
    """Return the round times of both engines at one context; ratios are made within pairs."""
    both = np.array([[each.ms_per_round for each in pair] for pair in pairs])  # [pairs, 2]
    contexts = np.array([[each.context for each in pair] for pair in pairs], np.float64)
    accepted = [
        sum(pair[who].emitted for pair in pairs) / sum(pair[who].rounds for pair in pairs)
        for who in range(2)
    ]
    return {
        "old_context": float(contexts[:, 0].mean()),
        "fresh_context": float(contexts[:, 1].mean()),
        "old_ms_per_round": median(both[:, 0]),
        "fresh_ms_per_round": median(both[:, 1]),
        "old_ms_over_fresh_ms": median(both[:, 0] / both[:, 1]),
        "old_emitted_per_round": accepted[0],
        "fresh_emitted_per_round": accepted[1],
    }


def add_growth(stretches: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Add to every stretch the ratios of its round times to those of the first stretch."""
    first = stretches[0]
    return [
        each
        | {
            f"{who}_ms_over_first_stretch": _divide(
                each[f"{who}_ms_per_round"], first[f"{who}_ms_per_round"]
            )
            for who in ("old", "fresh")
        }
        for each in stretches
    ]


def _divide(one: Figure | None, first: Figure | None) -> float | None:
    return None if one is None or first is None else one.value / first.value


def compare_stretches(
    settings: Settings, stretches: Sequence[int], pairs: int
) -> list[dict[str, Any]]:
    """Generate `max_new_tokens` in one go; return the comparison at each context on the way."""
    found = []
    with ExitStack() as undo:
        folder = Path(undo.enter_context(tempfile.TemporaryDirectory()))
        undo.callback(gc.unfreeze)
        old, fresh = (Player(settings, folder / f"{name}.jsonl") for name in ("old", "fresh"))
        for each in (old, fresh):
            undo.enter_context(each.writer)
        old.begin(old.run.tokens[: settings.context])
        for stretch in stretches:
            while len(old.committed) < stretch:
                old.play_block()
            fresh.begin(old.committed)
            found.append({"stretch": stretch, **compare_ages(play_in_turns(old, fresh, pairs))})
            print(f"{stretch:,} tokens", file=sys.stderr, flush=True)
    return add_growth(found)


def record_alone(settings: Settings) -> tuple[Event, ...]:
    """Record the same run by the command line, in a process of its own; return its events."""
    asked = {
        "device": settings.device,
        "workload": settings.workload,
        "temperature": settings.temperature,
        "cache": settings.cache,
        "draft_cache": settings.draft_cache or settings.cache,
        "window": settings.window,
        "path": settings.path,
        "threads": settings.threads,
        "context": settings.context,
        "max_new_tokens": settings.max_new_tokens,
        "plain_steps": 0,
        "recheck_context": 0,
    }
    command = [sys.executable, "-m", "specprof", "run", "--no-tui", "--ignore-eos", "--force"]
    for name, value in asked.items():
        command += ["--set", f"{name}={value}"]
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "run.jsonl"
        home = Path(__file__).parents[1]
        subprocess.run([*command, "-o", str(place)], check=True, cwd=home)  # noqa: S603 - our own
        return tuple(read_capture(place).events)


def measure_growth(events: Sequence[Event], since: int) -> dict[str, float | int | None]:
    """Return how a process and its keys and values grew from a context of `since` tokens on.

    A dense cache's rows are allocated at the start, so the process need not grow as they fill.
    Bytes per token are slopes over all readings, and None with fewer than two contexts.
    """
    rounds = [one for one in events if isinstance(one, Round)]
    starts = [one.start_ns for one in rounds]
    rows = []
    for one in events:
        if isinstance(one, Sample) and one.rss_bytes is not None:
            place = int(np.searchsorted(starts, one.at_ns, side="right")) - 1
            if place >= 0 and rounds[place].context >= since:
                last = rounds[place]
                held = (last.target_kv_bytes or 0) + (last.draft_kv_bytes or 0)
                rows.append((last.context, one.rss_bytes, held))
    tokens, rss, kv = np.array(rows, np.float64).reshape(-1, 3).T
    found: dict[str, float | int | None] = {"readings": len(rows)}
    enough = len(set(tokens)) > 1
    for name, held_bytes in (("rss", rss), ("kv", kv)):
        found |= {
            f"{name}_bytes_per_token": _slope(tokens, held_bytes) if enough else None,
            f"{name}_mb_first": float(held_bytes[0]) / 1e6 if enough else None,
            f"{name}_mb_last": float(held_bytes[-1]) / 1e6 if enough else None,
            f"{name}_mb_most": float(held_bytes.max()) / 1e6 if enough else None,
        }
    return found


def _slope(tokens: Floats, values: Floats) -> float:
    """Return how much `values` rise per token, by least squares."""
    return float(np.polyfit(tokens, values, 1)[0])


def main(given: Sequence[str] | None = None) -> None:
    """Play both runs; print and write the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tokens", type=int, default=20_000)
    parser.add_argument("--stretches", type=int, nargs="+", default=list(CONTEXTS))
    parser.add_argument(
        "--pairs", type=int, default=BLOCK_PAIRS, help="blocks of each at a stretch"
    )
    parser.add_argument("--temperature", type=float, default=1.0)
    parser.add_argument("--cache", default="dense")
    parser.add_argument("--draft-cache", default="sink-window", help="the draft's own")
    parser.add_argument("--window", type=int, default=256, help="of a sink-window cache")
    parser.add_argument("--path", default="auto")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--into", type=result_folder, default=RESULTS)
    asked = parser.parse_args(given)
    stretches = [each for each in sorted(asked.stretches) if each <= asked.tokens]
    settings = Settings(
        device="cpu",
        workload="generate",
        context=PROMPT_TOKENS,
        max_new_tokens=asked.tokens,
        temperature=asked.temperature,
        cache=asked.cache,
        draft_cache=asked.draft_cache,
        window=asked.window,
        path=asked.path,
        threads=asked.threads,
        ignore_eos=True,
        plain_steps=0,
        recheck_context=0,
    )
    memory = measure_growth(record_alone(settings), stretches[0])
    # The last stretch goes past the asked tokens: each block emits at most K + 1 tokens a round.
    room = (asked.pairs + 2) * BLOCK_ROUNDS * (settings.depth + 1)
    longer = msgspec.structs.replace(settings, max_new_tokens=asked.tokens + room)
    found = compare_stretches(longer, stretches, asked.pairs)
    whole = {
        "stamp": stamp(torch.device("cpu")),
        "settings": settings,
        "memory": memory,
        "stretches": found,
    }
    text = json.dumps(msgspec.to_builtins(whole), indent=1, ensure_ascii=False) + "\n"
    (asked.into / "free_run.json").write_text(text, encoding="utf-8")
    print("\n".join([*table(found), *(f"{name}: {value}" for name, value in memory.items())]))


def table(found: Sequence[dict[str, Any]]) -> list[str]:
    """Return the stretches as lines of at most 100 columns."""
    lines = ["context  old ms/round  fresh ms/round  old/fresh           old, fresh over first"]
    for each in found:
        ratio, old, fresh = (
            each[name]
            for name in ("old_ms_over_fresh_ms", "old_ms_per_round", "fresh_ms_per_round")
        )
        bounds = "" if ratio.low is None else f" [{ratio.low:.3f} {ratio.high:.3f}]"
        lines.append(
            f"{each['stretch']:>7,}  {old.value:12.3f}  {fresh.value:14.3f}"
            f"  {ratio.value:.3f}{bounds:<14}"
            f"  {each['old_ms_over_first_stretch']:.2f}, {each['fresh_ms_over_first_stretch']:.2f}"
        )
    return lines


if __name__ == "__main__":
    main()
