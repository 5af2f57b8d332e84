"""The line between a benchmark and its players: JSON objects both ways, each on its own line.

A player is a process of its own, so that engines whose packages can't share a process still play in
turns on one machine. This file imports only the standard library, which every player's Python has.
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
"""The arms of a player: name -> the play of a prompt's tokens."""


def answer_requests(prepare: Callable[[], tuple[Arms, dict[str, Any]]]) -> None:
    """Print the arms, then play each request from stdin until stdin ends.

    `prepare` returns the arms and the facts of the engine.
    """
    replies = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what libraries print must not look like an answer
    arms, facts = prepare()
    print(json.dumps({"arms": list(arms), **facts}), file=replies)
    for line in sys.stdin:
        asked = json.loads(line)
        print(json.dumps(arms[asked["arm"]](asked["prompt"])), file=replies)


class Player:
    """A child process that plays on request, and ends with its `with` block."""

    def __init__(
        self, python: Path, script: str, *options: str, limit_s: float, **environment: str
    ) -> None:
        """Start `python players/SCRIPT OPTIONS`; `environment` is added to the child's.

        The child is killed if an answer, or its end, takes longer than `limit_s` seconds. Raises
        RuntimeError if it ends before it is ready; its stderr says why.
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
        """Return the reply to a play of `arm` after `prompt`, as `make_reply` makes it.

        Raises RuntimeError if the child ends without an answer, or had to be killed.
        """
        assert self._child.stdin is not None  # noqa: S101 - Popen was given a pipe
        with contextlib.suppress(BrokenPipeError):  # the child has ended: _read says so
            print(json.dumps({"arm": arm, "prompt": prompt}), file=self._child.stdin, flush=True)
        return self._read(f"playing {arm}")

    def _read(self, doing: str) -> dict[str, Any]:
        assert self._child.stdout is not None  # noqa: S101 - Popen was given a pipe
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
        """Let the child end by itself; kill it if an engine's threads keep it from ending."""
        assert self._child.stdin is not None  # noqa: S101 - Popen was given pipes
        assert self._child.stdout is not None  # noqa: S101
        with contextlib.suppress(BrokenPipeError):
            self._child.stdin.close()
        try:
            self._child.wait(self._limit_s)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        self._child.stdout.close()


def make_reply(
    tokens: list[int], stamps: list[tuple[float, int]], wall_s: float, process_s: float
) -> dict[str, Any]:
    """Return the reply to one play.

    `tokens` are the new tokens. `stamps` holds for each round the time at which its tokens were
    out, in seconds on any clock, and their number. `wall_s` and `process_s` are the host's time and
    the player's processor time of the whole call, prefill included.
    """
    return {"tokens": tokens, "stamps": stamps, "wall_s": wall_s, "process_s": process_s}
