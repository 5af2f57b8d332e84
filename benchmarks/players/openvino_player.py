"""Plays openvino-genai: plain, and with a draft model; needs nothing of specprof.

Times are the engine's own (`raw_metrics`): no Python runs between two of its tokens. Exact arms
compute in float32 and keep float32 keys and values; `as it comes` is what a user gets who sets
nothing but the threads: bfloat16 where the processor has it, 8-bit keys and values.
"""

import argparse
import time
from collections import Counter
from typing import Any

from line import Arms, answer, played

try:
    import numpy as np
    import openvino
    import openvino_genai
except ImportError as missing:
    hint = "install openvino-genai there, as the head of benchmarks/cpp_engine.py says"
    raise SystemExit(
        f"{missing}, in the Python that was to play openvino-genai\n  {hint}"
    ) from None

EXACT = {"INFERENCE_PRECISION_HINT": "f32", "KV_CACHE_PRECISION": "f32"}
MS = 1e-3


class Arm:
    """One pipeline; `depth` 0 drafts nothing."""

    def __init__(
        self, asked: argparse.Namespace, depth: int, backend: str, **properties: str
    ) -> None:
        """Load; `backend` is how attention keeps its cache: `PA` in pages, `SDPA` as a state."""
        self._tokens, self._depth = asked.tokens, depth
        self._keeps = backend == "SDPA"
        given: dict[str, Any] = {"INFERENCE_NUM_THREADS": asked.threads, "NUM_STREAMS": 1}
        given |= properties
        extra: dict[str, Any] = {"ATTENTION_BACKEND": backend}
        if backend == "PA":
            extra["scheduler_config"] = openvino_genai.SchedulerConfig()
            extra["scheduler_config"].enable_prefix_caching = False  # every play reads its prompt
        if depth:
            extra["draft_model"] = openvino_genai.draft_model(asked.draft, "CPU", **given)
        self._pipeline = openvino_genai.LLMPipeline(asked.target, "CPU", **given, **extra)
        self._other = [[1], [2]]

    def __call__(self, prompt: list[int]) -> dict[str, Any]:
        """Decode greedily on from `prompt`."""
        if self._keeps:
            self._forget()
        begun = time.perf_counter(), time.process_time()
        result = self._generate(prompt, self._tokens)
        wall_s, process_s = time.perf_counter() - begun[0], time.process_time() - begun[1]
        raw = result.perf_metrics.raw_metrics
        counts = list(raw.m_batch_sizes)
        times = [at * MS for at in raw.m_new_token_times]
        told = played(result.tokens[0], list(zip(times, counts, strict=True)), wall_s, process_s)
        return told | self._told(result)

    def _forget(self) -> None:
        """Let a stateful pipeline lose its last prompt: it reuses what the next begins with."""
        self._other.reverse()
        self._generate(self._other[0], 1)

    def _generate(self, prompt: list[int], new_tokens: int) -> Any:  # noqa: ANN401 - untyped package
        config = openvino_genai.GenerationConfig()
        config.max_new_tokens = new_tokens
        config.ignore_eos = True
        config.do_sample = False
        if self._depth:
            config.num_assistant_tokens = self._depth
        known = np.array([prompt], dtype=np.int64)
        tensors = openvino.Tensor(known), openvino.Tensor(np.ones_like(known))
        return self._pipeline.generate(openvino_genai.TokenizedInputs(*tensors), config)

    def _told(self, result: Any) -> dict[str, Any]:  # noqa: ANN401
        """Return the engine's own counts of drafts, where it drafts."""
        if not self._depth:
            return {}
        metrics = result.extended_perf_metrics
        drafted, accepted = metrics.get_num_draft_tokens(), metrics.get_num_accepted_tokens()
        return {"engine_tells": {"drafted": drafted, "accepted": accepted}}


def _model(folder: str) -> dict[str, Any]:
    """Return what a converted model holds: its real constants by type, and who converted it."""
    read = openvino.Core().read_model(f"{folder}/openvino_model.xml")
    constants = [each for each in read.get_ops() if each.get_type_name() == "Constant"]
    types = (each.get_element_type() for each in constants)
    reals = Counter(kind.get_type_name() for kind in types if kind.is_real())
    by = {name: told.value for name, told in read.get_rt_info("optimum").astype(dict).items()}
    return {"real_constants": dict(reals), "converted_by": by}


def prepare(asked: argparse.Namespace) -> tuple[Arms, dict[str, Any]]:
    """Load every arm."""
    depth = asked.depth
    arms: Arms = {
        "openvino plain": Arm(asked, 0, "PA", **EXACT),
        "openvino plain, stateful": Arm(asked, 0, "SDPA", **EXACT),
        "openvino speculative": Arm(asked, depth, "PA", **EXACT),
        "openvino plain, as it comes": Arm(asked, 0, "PA"),
        "openvino speculative, as it comes": Arm(asked, depth, "PA"),
    }
    versions = {"openvino": openvino.__version__, "openvino-genai": openvino_genai.__version__}
    models = {"target": _model(asked.target), "draft": _model(asked.draft)}
    return arms, {"versions": versions, "models": models}


def main() -> None:
    """Answer until stdin ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--target", required=True)
    parser.add_argument("--draft", required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--tokens", type=int, required=True)
    parser.add_argument("--depth", type=int, required=True)
    asked = parser.parse_args()
    answer(lambda: prepare(asked))


if __name__ == "__main__":
    main()
