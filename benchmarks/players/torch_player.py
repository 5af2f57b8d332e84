"""Play our own paths and transformers' generate, all over the same loaded weights.

Every play feeds its prompt anew, so that all engines start with cold caches. The loop's stopwatch
runs in all of our arms. `evidence` also does all that a recorded run does, and writes the capture
to disk.
"""

import argparse
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from line import Arms, answer_requests, make_reply
from transformers import GenerationConfig
from transformers.generation.streamers import BaseStreamer
from transformers.utils import logging

from specprof.capture_writer import CaptureWriter
from specprof.engine.loop import Loop
from specprof.engine.record_ahead import record_missed
from specprof.engine.setup import loading
from specprof.engine.setup.warmup import warm_up
from specprof.engine.setup.wiring import wire
from specprof.engine.walk import Walk
from specprof.records import Burst, Event, Round
from specprof.settings import ForwardPath, Settings

WINDOW_TOKENS = 512
"""The draft's window in the arm with a window draft, which plays at longer contexts only."""
SECONDS_PER_NS = 1e-9
CPU = torch.device("cpu")


def make_settings(
    asked: argparse.Namespace, path: ForwardPath = "auto", draft_cache: str | None = None
) -> Settings:
    """Return the settings of one of our runs."""
    return Settings(
        device="cpu",
        dtype="float32",
        workload="generate",
        context=asked.context,
        max_new_tokens=asked.tokens,
        depth=asked.depth,
        threads=asked.threads,
        ignore_eos=True,
        path=path,
        draft_cache=draft_cache,
        window=WINDOW_TOKENS,
        plain_steps=0,
        recheck_context=0,
    )


class OurEngine:
    """One wired run of ours; each play begins at the prompt's first token."""

    def __init__(
        self, asked: argparse.Namespace, path: ForwardPath, cache: str | None = None
    ) -> None:
        """Wire and warm up."""
        self._tokens = asked.tokens
        self._wired = wire(make_settings(asked, path, cache))
        self._threads = warm_up(self._wired)
        self.alone = self._wired.lanes[0].alone()

    def plain(self, prompt: list[int]) -> dict[str, Any]:
        """Decode with the target alone."""
        return self._play(self.alone, prompt)

    def speculative(self, prompt: list[int]) -> dict[str, Any]:
        """Draft and verify."""
        return self._play(self._wired.loop, prompt)

    def _play(self, loop: Loop, prompt: list[int]) -> dict[str, Any]:
        self._wired.roll_back_to(1)
        committed, stamps = list(prompt), []
        begun = time.perf_counter(), time.process_time()
        loop.target.prefill(prompt[:-1])
        loop.drafter.prefill(prompt)
        rounds = loop.rounds(committed, new_tokens=self._tokens, stop=frozenset())
        stamps.extend((time.perf_counter(), len(one.emitted)) for one in rounds)
        reply = _make_reply_since(begun, committed[len(prompt) :], stamps)
        record_missed(loop)
        return reply

    def evidence(self, prompt: list[int]) -> dict[str, Any]:
        """Draft and verify with the profiler on; the last stamp is when all is recorded."""
        self._wired.roll_back_to(1)
        self._wired.lanes[0].tokens[:] = prompt
        walk = Walk(self._wired, origin_ns=0, prefill_threads=self._threads)
        with tempfile.TemporaryDirectory() as folder:
            writer = CaptureWriter(Path(folder) / "capture.jsonl")
            begun = time.perf_counter(), time.process_time()
            events: list[Event] = []
            with writer:
                for event in walk.stop(0, len(prompt)):
                    writer.write(event)
                    events.append(event)
                    if isinstance(event, Burst):
                        ended = time.perf_counter()
            rounds = [each for each in events if isinstance(each, Round)]
            stamps = [
                ((one.start_ns + one.wall_ns) * SECONDS_PER_NS, len(one.emitted)) for one in rounds
            ]
            stamps[-1] = ended, stamps[-1][1]
            return _make_reply_since(
                begun, [token for one in rounds for token in one.emitted], stamps
            )


class Stamps(BaseStreamer):  # type: ignore[misc]  # transformers is untyped
    """Notes the times at which transformers hands out tokens."""

    def __init__(self) -> None:
        self.at: list[tuple[float, int]] = []

    def put(self, value: torch.Tensor) -> None:
        """Note the time and number of some tokens; the first call brings the prompt."""
        self.at.append((time.perf_counter(), value.numel()))

    def end(self) -> None:
        """Do nothing."""


@dataclass(frozen=True)
class Transformers:
    """transformers' `generate`, with an assistant or without."""

    asked: argparse.Namespace
    target: Any
    assistant: Any = None

    def __call__(self, prompt: list[int]) -> dict[str, Any]:
        """Decode greedily after `prompt`; K is constant, and no draft is cut short."""
        known, stamps = torch.tensor([prompt]), Stamps()
        self.target.generation_config = GenerationConfig(do_sample=False)
        extra = {}
        if self.assistant is not None:
            extra["assistant_model"] = self.assistant
            self.assistant.generation_config = GenerationConfig(
                do_sample=False,
                num_assistant_tokens=self.asked.depth,
                num_assistant_tokens_schedule="constant",
                assistant_confidence_threshold=0.0,
            )
        begun = time.perf_counter(), time.process_time()
        made = self.target.generate(
            known,
            attention_mask=torch.ones_like(known),
            max_new_tokens=self.asked.tokens,
            streamer=stamps,
            **extra,
        )
        return _make_reply_since(begun, made[0, len(prompt) :].tolist(), stamps.at[1:])


def _make_reply_since(
    begun: tuple[float, float], tokens: list[int], stamps: list[tuple[float, int]]
) -> dict[str, Any]:
    wall_s, process_s = time.perf_counter() - begun[0], time.process_time() - begun[1]
    return make_reply(tokens, stamps, wall_s, process_s)


def prepare(asked: argparse.Namespace) -> tuple[Arms, dict[str, Any]]:
    """Load every arm; all arms share the weights."""
    torch.set_num_threads(asked.threads)
    logging.set_verbosity_error()  # it warns about its own calls of `generate`
    flat, modules = OurEngine(asked, "flat"), OurEngine(asked, "modules")
    given = make_settings(asked)
    target = loading.load(given.target, given, CPU).model
    draft = loading.load(str(given.draft), given, CPU).model
    arms: Arms = {
        "transformers generate": Transformers(asked, target),
        "transformers assisted": Transformers(asked, target, draft),
        "modules plain": modules.plain,
        "modules speculative": modules.speculative,
        "flat plain": flat.plain,
        "flat speculative": flat.speculative,
        "flat speculative, evidence": flat.evidence,
    }
    if asked.context > WINDOW_TOKENS:
        arms["flat speculative, window draft"] = OurEngine(asked, "flat", "sink-window").speculative
    return arms, {}


def main() -> None:
    """Answer requests until stdin ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--context", type=int, required=True)
    parser.add_argument("--tokens", type=int, required=True)
    parser.add_argument("--depth", type=int, required=True)
    asked = parser.parse_args()
    answer_requests(lambda: prepare(asked))


if __name__ == "__main__":
    main()
