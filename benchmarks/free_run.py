"""Does a round get slower, or the process larger, with age: 20,000 tokens generated in one go.

    python benchmarks/free_run.py [--tokens 20000] [--cache dense] [--draft-cache sink-window]

A round at 20k tokens of context has more to attend to than one at 1k, so a slower one proves
nothing. At several contexts the long run is therefore held, in its own process, against an engine
that was just taken to the same text by prefill: the two play in turns, a block of rounds each, in
mirrored order, both with evidence computed and written. Old over fresh is what age adds; fresh over
fresh at the first context is what context alone adds. The draft has a window unless told otherwise:
dense, it is worth little past the 512 tokens it was trained at.

Memory is measured in a run by itself, as a user would start it, because the other engine's would
be in it too: how the process grew and how its keys and values did, by the readings in its capture.

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
STRETCHES = (1_000, 2_000, 5_000, 10_000, 15_000, 20_000)
"""Contexts from which the old engine and the fresh one play in turns."""
BLOCK = 32
"""Rounds played at once: as many as are observed and written together."""
PAIRS = 10
"""Blocks of each engine at a stretch."""
PROMPT = 256


@dataclass(frozen=True, slots=True)
class Block:
    """Some rounds on end."""

    context: int
    """Committed tokens before the first."""
    rounds: int
    emitted: int
    wall_ns: int
    """Playing, observing and writing them."""

    @property
    def ms_per_round(self) -> float:
        """Wall time / rounds."""
        return self.wall_ns / self.rounds / 1e6


class Player:
    """One engine that decodes on and on with the profiler on."""

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
        """Forget everything; go on from these tokens, taken in by prefill."""
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

    def block(self, count: int = BLOCK) -> Block:
        """Play `count` rounds, or as many as there is room for."""
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


def turns(old: Player, fresh: Player, pairs: int) -> list[tuple[Block, Block]]:
    """Let both play `pairs` blocks in turns, old first in one pair and fresh in the next.

    A block of each before them isn't told. Returns old and fresh of each pair.
    """
    told = []
    for number in range(pairs + 1):
        order = (old, fresh) if number % 2 == 0 else (fresh, old)
        blocks = [each.block() for each in order]
        told.append((blocks[number % 2], blocks[1 - number % 2]))
    return told[1:]


def aged(pairs: Sequence[tuple[Block, Block]]) -> dict[str, Any]:
    """Return what rounds of the two took at one stretch; ratios are made within pairs of blocks."""
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


def late(stretches: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Add to every stretch what old and fresh took over what they took at the first one."""
    first = stretches[0]
    return [
        each
        | {
            f"{who}_ms_over_first_stretch": _over(
                each[f"{who}_ms_per_round"], first[f"{who}_ms_per_round"]
            )
            for who in ("old", "fresh")
        }
        for each in stretches
    ]


def _over(one: Figure | None, first: Figure | None) -> float | None:
    return None if one is None or first is None else one.value / first.value


def compared(settings: Settings, stretches: Sequence[int], pairs: int) -> list[dict[str, Any]]:
    """Generate `max_new_tokens` in one go; return what was found at each stretch on the way."""
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
                old.block()
            fresh.begin(old.committed)
            found.append({"stretch": stretch, **aged(turns(old, fresh, pairs))})
            print(f"{stretch:,} tokens", file=sys.stderr, flush=True)
    return late(found)


def alone(settings: Settings) -> tuple[Event, ...]:
    """Record the same run by the command line, in a process of its own; return what it holds."""
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


def grown(events: Sequence[Event], since: int) -> dict[str, float | int | None]:
    """Return how a process and its keys and values grew from a context of `since` tokens on.

    A dense cache's rows are there from the start: as they fill, the process need not grow. Bytes a
    token are slopes over all readings; None of fewer than two contexts.
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
    told: dict[str, float | int | None] = {"readings": len(rows)}
    enough = len(set(tokens)) > 1
    for name, held_bytes in (("rss", rss), ("kv", kv)):
        told |= {
            f"{name}_bytes_per_token": _slope(tokens, held_bytes) if enough else None,
            f"{name}_mb_first": float(held_bytes[0]) / 1e6 if enough else None,
            f"{name}_mb_last": float(held_bytes[-1]) / 1e6 if enough else None,
            f"{name}_mb_most": float(held_bytes.max()) / 1e6 if enough else None,
        }
    return told


def _slope(tokens: Floats, values: Floats) -> float:
    """Return by how much `values` rise a token, in the sense of least squares."""
    return float(np.polyfit(tokens, values, 1)[0])


def main(given: Sequence[str] | None = None) -> None:
    """Play both runs; print and write down what they told."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tokens", type=int, default=20_000)
    parser.add_argument("--stretches", type=int, nargs="+", default=list(STRETCHES))
    parser.add_argument("--pairs", type=int, default=PAIRS, help="blocks of each at a stretch")
    parser.add_argument("--temperature", type=float, default=1.0)
    parser.add_argument("--cache", default="dense")
    parser.add_argument("--draft-cache", default="sink-window", help="the draft's own")
    parser.add_argument("--window", type=int, default=256, help="of a cache sink-window")
    parser.add_argument("--path", default="auto")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--into", type=result_folder, default=RESULTS)
    asked = parser.parse_args(given)
    stretches = [each for each in sorted(asked.stretches) if each <= asked.tokens]
    settings = Settings(
        device="cpu",
        workload="generate",
        context=PROMPT,
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
    memory = grown(alone(settings), stretches[0])
    # The last stretch is played beyond the asked tokens: each block emits at most K + 1 a round.
    room = (asked.pairs + 2) * BLOCK * (settings.depth + 1)
    longer = msgspec.structs.replace(settings, max_new_tokens=asked.tokens + room)
    found = compared(longer, stretches, asked.pairs)
    whole = {
        "stamp": stamp(torch.device("cpu")),
        "settings": settings,
        "memory": memory,
        "stretches": found,
    }
    told = json.dumps(msgspec.to_builtins(whole), indent=1, ensure_ascii=False) + "\n"
    (asked.into / "free_run.json").write_text(told, encoding="utf-8")
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
