"""Compare depth policies with fixed K: tokens per second of each, in range and at 8k.

    python benchmarks/adaptive_depth.py [--repeats 6] [--modules 10] [--tokens 64]

The pocket family decodes on one thread. In range: after 384 tokens of each held-out module. At 8k:
after 8,192 tokens of their joined text. Every arm decodes the same stretch in turn, in the order
A B .. B A, so that drift and other programs affect all arms equally. Policies keep what they learn
from stretch to stretch, and a first pass, which is not counted, lets them learn. Reported are
tokens per second of the process's own processor time, which other programs change little, and of
wall time, each total over total, and the ratio to the best fixed K at that context. The best K is
chosen by the same plays, so the ratio never flatters a policy. Intervals are 95%. In range they are
bootstrapped over modules with all their passes, because a policy's worth depends on the text. At 8k
there is one text, so they are bootstrapped over passes, and say nothing about other texts.
"""

import argparse
import time
from dataclasses import dataclass, field

import numpy as np
import torch
from stamp import save, stamp

from specprof.engine.observe.round_recorder import RoundRecorder
from specprof.engine.record_ahead import record_next
from specprof.engine.run import Run
from specprof.engine.setup.text import encode
from specprof.engine.setup.wiring import wire
from specprof.pocket.corpus import HELD_OUT, held_out_text, module_text
from specprof.settings import Settings

CPU = torch.device("cpu")
FIXED_DEPTHS = (0, 1, 2, 4, 8)
MAX_DEPTH = 8
IN_RANGE_CONTEXT, DEEP_CONTEXT = 384, 8192
TEMPERATURES = (0.0, 1.0)


@dataclass
class Arm:
    """One depth policy, wired, and its counts for each stretch."""

    name: str
    run: Run
    tokens: list[int] = field(default_factory=list)
    processor_s: list[float] = field(default_factory=list)
    wall_s: list[float] = field(default_factory=list)
    rounds: list[int] = field(default_factory=list)
    drafted: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.recorder = RoundRecorder(
            law=self.run.loop.parts.law,
            acceptance=self.run.loop.acceptance,
            policies=[self.run.loop.parts.policy],
            detail="off",
            origin_ns=0,
            late=False,
        )

    def _begin(self) -> None:
        """Begin the counts of a stretch."""
        for counts in (self.tokens, self.processor_s, self.wall_s, self.rounds, self.drafted):
            counts.append(0)

    def decode(self, text: list[int], new_tokens: int) -> None:
        """Decode after `text`; its prefill is not counted, nor kept for another text."""
        self._begin()
        loop, committed = self.run.loop, list(text)
        self.run.roll_back_to(min(len(text), loop.target.length + 1))
        loop.target.prefill(committed[loop.target.length : -1])
        loop.drafter.prefill(committed)
        record_next(loop)
        wall, processor = time.perf_counter(), time.process_time()
        for played in loop.rounds(committed, new_tokens=new_tokens, stop=frozenset()):
            list(self.recorder.take(played, 0))
            self.rounds[-1] += 1
            self.drafted[-1] += len(played.drafted)
        self.wall_s[-1] += time.perf_counter() - wall
        self.processor_s[-1] += time.process_time() - processor
        self.tokens[-1] += len(committed) - len(text)

    def forget(self) -> None:
        """Drop the text from the caches."""
        self.run.roll_back_to(1)


def wire_arms(temperature: float, context: int, tokens: int) -> list[Arm]:
    """Wire every policy; all share the models in memory."""
    shared = Settings(
        device="cpu",
        temperature=temperature,
        workload="generate",
        context=context,
        max_new_tokens=tokens,
        threads=1,
    )
    chosen = [(f"K={depth}", {"depth": depth}) for depth in FIXED_DEPTHS]
    chosen += [
        ("hf-heuristic", {"depth_policy": "hf-heuristic", "depth": 4}),
        ("confidence", {"depth_policy": "confidence", "depth": MAX_DEPTH}),
        ("survival", {"depth_policy": "survival", "depth": MAX_DEPTH}),
    ]
    return [Arm(name, wire(_change(shared, changed))) for name, changed in chosen]


def _change(settings: Settings, changed: dict[str, object]) -> Settings:
    fields = {name: getattr(settings, name) for name in Settings.__struct_fields__}
    return Settings(**(fields | changed))


def play_passes(found: list[Arm], texts: list[list[int]], repeats: int, tokens: int) -> None:
    """Play every arm over every text, once for practice and then `repeats` times."""
    for number in range(repeats + 1):
        for count, text in enumerate(texts):
            forward = (number + count) % 2 == 0
            for arm in found if forward else reversed(found):
                arm.decode(text, tokens)
                if len(texts) > 1:
                    arm.forget()


def summarise(found: list[Arm], practice: int) -> dict[str, object]:
    """Return each arm's rates and their ratios to the best fixed K's.

    The first `practice` stretches, one for each text, are the practice pass and are left out.
    """
    tokens = np.array([arm.tokens[practice:] for arm in found], float)  # [arms, stretches]
    processor = np.array([arm.processor_s[practice:] for arm in found])
    wall = np.array([arm.wall_s[practice:] for arm in found])
    best = int(np.argmax((tokens.sum(1) / processor.sum(1))[: len(FIXED_DEPTHS)]))
    result: dict[str, object] = {"best_fixed": found[best].name}
    for place, arm in enumerate(found):
        rounds = sum(arm.rounds[practice:])
        row: dict[str, object] = {
            "emitted_per_round": round(float(tokens[place].sum()) / rounds, 3),
            "drafted_per_round": round(sum(arm.drafted[practice:]) / rounds, 3),
        }
        for clock, seconds in (("processor", processor), ("wall", wall)):
            rate = float(tokens[place].sum() / seconds[place].sum())
            row[f"tokens_per_{clock}_s"] = round(rate, 2)
            row[f"{clock}_over_best_fixed"] = _ratio(
                _sum_by_text(tokens, practice), _sum_by_text(seconds, practice), place, best
            )
        result[arm.name] = row
    return result


def _sum_by_text(plays: np.ndarray, texts: int) -> np.ndarray:
    """Return [arms, texts] sums of [arms, passes x texts]; with one text its plays unchanged."""
    return plays if texts == 1 else plays.reshape(len(plays), -1, texts).sum(1)


def _ratio(tokens: np.ndarray, seconds: np.ndarray, place: int, best: int) -> dict[str, object]:
    """Return one arm's rate over another's and its interval, from [arms, bootstrapped units]."""
    count = tokens.shape[1]
    drawn = np.random.default_rng(0).integers(count, size=(2000, count))
    drawn = np.concatenate([np.arange(count)[None], drawn])  # the first is what was measured
    rates = tokens[:, drawn].sum(2) / seconds[:, drawn].sum(2)  # [arms, draws]
    ratios = rates[place] / rates[best]
    interval = np.percentile(ratios[1:], [2.5, 97.5]).round(4).tolist()
    return {"value": round(float(ratios[0]), 4), "interval_95": interval}


def main() -> None:
    """Measure in range and at 8k, at temperature 0 and 1."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=6)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--modules", type=int, default=10)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    result: dict[str, object] = {"stamp": stamp(CPU), "tokens_a_stretch": asked.tokens}
    for context in (IN_RANGE_CONTEXT, DEEP_CONTEXT):
        for temperature in TEMPERATURES:
            found = wire_arms(temperature, context, asked.tokens)
            tokenizer = found[0].run.target.tokenizer
            modules = [module_text(name) for name in HELD_OUT[: asked.modules]]
            sources = modules if context == IN_RANGE_CONTEXT else [held_out_text()]
            texts = [encode(tokenizer, source, context) for source in sources]
            repeats = asked.repeats if context == IN_RANGE_CONTEXT else 3 * asked.repeats
            play_passes(found, texts, repeats, asked.tokens)
            name = f"from {context} tokens, temperature {temperature:g}"
            result[name] = summarise(found, len(texts)) | {
                "stretches": len(texts),
                "passes": repeats,
            }
            print(name, result[name], save("adaptive_depth", result), flush=True)


if __name__ == "__main__":
    main()
