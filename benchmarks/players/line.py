"""The line between a benchmark and its players: a JSON object each way, one a line.

A player is a process of its own, so that engines whose packages can't share one still play in
turns on the same machine. Imports nothing but the standard library: every player's Python has it.
"""

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

Arms = dict[str, Callable[[list[int]], dict[str, Any]]]
"""What a player can play: the name, and the play of a prompt's tokens."""


def answer(prepare: Callable[[], tuple[Arms, dict[str, Any]]]) -> None:
    """Say what there is to play, then play whatever is asked until nobody asks any more.

    `prepare` returns the arms and what should be known of the engine.
    """
    told = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what libraries print must not look like an answer
    arms, facts = prepare()
    print(json.dumps({"arms": list(arms), **facts}), file=told)
    for line in sys.stdin:
        asked = json.loads(line)
        print(json.dumps(arms[asked["arm"]](asked["prompt"])), file=told)


class Player:
    """A child process that plays when told to; ended when its block is left."""

    def __init__(
        self, python: Path, script: str, *options: str, limit_s: float, **environment: str
    ) -> None:
        """Start `python players/SCRIPT OPTIONS`; `environment` is added to the child's.

        It is killed where an answer takes longer than `limit_s`, or its end does. Raises
        RuntimeError where it ends before it is ready: its stderr says why.
        """
        self._name, self._limit_s, self._late = script, limit_s, False
        command = [str(python), str(Path(__file__).with_name(script)), *options]
        self._child = subprocess.Popen(  # noqa: S603 - our own command line
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **environment},
        )
        try:
            self.facts = self._read("getting ready")
        except BaseException:
            self._end()
            raise
        self.arms: list[str] = self.facts.pop("arms")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def play(self, arm: str, prompt: list[int]) -> dict[str, Any]:
        """Return what a play of `arm` on from `prompt` took and emitted: `played`'s object.

        Raises RuntimeError where it ends without an answer, or had to be ended.
        """
        assert self._child.stdin is not None  # noqa: S101 - it was asked for
        with contextlib.suppress(BrokenPipeError):  # it has ended: reading says so
            print(json.dumps({"arm": arm, "prompt": prompt}), file=self._child.stdin, flush=True)
        return self._read(f"playing {arm}")

    def _read(self, doing: str) -> dict[str, Any]:
        assert self._child.stdout is not None  # noqa: S101 - it was asked for
        alarm = threading.Timer(self._limit_s, self._kill)
        alarm.start()
        try:
            line = self._child.stdout.readline()
        finally:
            alarm.cancel()
        if not line:
            code = self._child.wait()
            took = f"took more than {self._limit_s:g} s and was killed"
            ended = took if self._late else f"ended with exit code {code}"
            raise RuntimeError(f"{self._name}, {doing}: {ended}")
        found: dict[str, Any] = json.loads(line)
        return found

    def _kill(self) -> None:
        self._late = True
        self._child.kill()

    def _end(self) -> None:
        """Let it end by itself, which an engine's threads may keep it from."""
        assert self._child.stdin is not None  # noqa: S101 - it was asked for
        assert self._child.stdout is not None  # noqa: S101
        with contextlib.suppress(BrokenPipeError):
            self._child.stdin.close()
        try:
            self._child.wait(self._limit_s)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        self._child.stdout.close()


def played(
    tokens: list[int], stamps: list[tuple[float, int]], wall_s: float, process_s: float
) -> dict[str, Any]:
    """Return one play as the line carries it.

    `tokens` are the new ones; `stamps` tell, for each round, when its tokens were out, in seconds
    on any clock, and how many they were. `wall_s` and `process_s` are the whole call's, prefill
    included, on the host's clock and in processor time of the player's process.
    """
    return {"tokens": tokens, "stamps": stamps, "wall_s": wall_s, "process_s": process_s}
