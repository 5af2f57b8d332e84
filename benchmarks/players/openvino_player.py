"""Play openvino-genai, plain and with a draft model; this file needs nothing of specprof.

Times are the engine's own (`raw_metrics`), because no Python runs between two of its tokens. Exact
arms compute in float32 and keep float32 keys and values. `as it comes` is openvino-genai with
nothing set but the threads: bfloat16 if the processor has it, and 8-bit keys and values.
"""

import argparse
import time
from collections import Counter
from typing import Any

from line import Arms, answer_requests, make_reply

try:
    import numpy as np
    import openvino
    import openvino_genai
except ImportError as missing:
    hint = "install openvino-genai there, as the head of benchmarks/cpp_engine.py says"
    raise SystemExit(f"{missing}, in the Python that plays openvino-genai\n  {hint}") from None

EXACT_PROPERTIES = {"INFERENCE_PRECISION_HINT": "f32", "KV_CACHE_PRECISION": "f32"}
SECONDS_PER_MS = 1e-3


class Arm:
    """A pipeline; with `depth` 0 it drafts nothing."""

    def __init__(
        self, asked: argparse.Namespace, depth: int, backend: str, **properties: str
    ) -> None:
        """Load; `backend` is the kind of cache: `PA` is paged attention, `SDPA` a state."""
        self._tokens, self._depth = asked.tokens, depth
        self._keeps = backend == "SDPA"
        given: dict[str, Any] = {"INFERENCE_NUM_THREADS": asked.threads, "NUM_STREAMS": 1}
        given |= properties
        extra: dict[str, Any] = {"ATTENTION_BACKEND": backend}
        if backend == "PA":
            extra["scheduler_config"] = openvino_genai.SchedulerConfig()
            extra[
                "scheduler_config"
            ].enable_prefix_caching = False  # so that every play reads its prompt
        if depth:
            extra["draft_model"] = openvino_genai.draft_model(asked.draft, "CPU", **given)
        self._pipeline = openvino_genai.LLMPipeline(asked.target, "CPU", **given, **extra)
        self._other = [[1], [2]]

    def __call__(self, prompt: list[int]) -> dict[str, Any]:
        """Decode greedily after `prompt`."""
        if self._keeps:
            self._forget()
        begun = time.perf_counter(), time.process_time()
        result = self._generate(prompt, self._tokens)
        wall_s, process_s = time.perf_counter() - begun[0], time.process_time() - begun[1]
        raw = result.perf_metrics.raw_metrics
        counts = list(raw.m_batch_sizes)
        times = [at * SECONDS_PER_MS for at in raw.m_new_token_times]
        stamps = list(zip(times, counts, strict=True))
        reply = make_reply(result.tokens[0], stamps, wall_s, process_s)
        return reply | self._draft_counts(result)

    def _forget(self) -> None:
        """Play another prompt: a stateful pipeline reuses the beginning of its last prompt."""
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

    def _draft_counts(self, result: Any) -> dict[str, Any]:  # noqa: ANN401
        """Return the engine's own counts of drafts; nothing if it does not draft."""
        if not self._depth:
            return {}
        metrics = result.extended_perf_metrics
        drafted, accepted = metrics.get_num_draft_tokens(), metrics.get_num_accepted_tokens()
        return {"engine_tells": {"drafted": drafted, "accepted": accepted}}


def _read_model_facts(folder: str) -> dict[str, Any]:
    """Return a converted model's number of real constants by type, and what converted it."""
    read = openvino.Core().read_model(f"{folder}/openvino_model.xml")
    constants = [each for each in read.get_ops() if each.get_type_name() == "Constant"]
    types = (each.get_element_type() for each in constants)
    reals = Counter(kind.get_type_name() for kind in types if kind.is_real())
    by = {name: info.value for name, info in read.get_rt_info("optimum").astype(dict).items()}
    return {"real_constants": dict(reals), "converted_by": by}


def prepare(asked: argparse.Namespace) -> tuple[Arms, dict[str, Any]]:
    """Load every arm."""
    depth = asked.depth
    arms: Arms = {
        "openvino plain": Arm(asked, 0, "PA", **EXACT_PROPERTIES),
        "openvino plain, stateful": Arm(asked, 0, "SDPA", **EXACT_PROPERTIES),
        "openvino speculative": Arm(asked, depth, "PA", **EXACT_PROPERTIES),
        "openvino plain, as it comes": Arm(asked, 0, "PA"),
        "openvino speculative, as it comes": Arm(asked, depth, "PA"),
    }
    versions = {"openvino": openvino.__version__, "openvino-genai": openvino_genai.__version__}
    models = {"target": _read_model_facts(asked.target), "draft": _read_model_facts(asked.draft)}
    return arms, {"versions": versions, "models": models}


def main() -> None:
    """Answer requests until stdin ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--target", required=True)
    parser.add_argument("--draft", required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--tokens", type=int, required=True)
    parser.add_argument("--depth", type=int, required=True)
    asked = parser.parse_args()
    answer_requests(lambda: prepare(asked))


if __name__ == "__main__":
    main()
