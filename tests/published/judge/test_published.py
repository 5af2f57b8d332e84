"""Tables as papers, logs and vendors print them: plausible ones are accused of nothing."""

import time

import numpy as np
import pytest

from specprof.findings import Crashed, Found
from specprof.published.judge import diagnose_results
from specprof.published.read import read_results
from specprof.published.read.results import understand_sheet
from specprof.published.read.sheets import Sheet

HONEST = {
    "spec-bench": """| Models | #MAT | Tok/s | Speedup |
|---|---|---|---|
| Vanilla | 1.00 | 36.8 | 1.00x |
| EAGLE | 3.57 | 77.3 | 2.10x |
| SpS | 2.28 | 55.1 | 1.50x |
| PLD | 1.74 | 62.9 | 1.71x |
""",
    "eagle": """| Model | Method | Speedup | tau | 0-alpha | 1-alpha |
|---|---|---|---|---|---|
| V 13B | SpS | 1.93x | 2.27 | - | - |
| V 13B | EAGLE | 3.07x | 3.98 | 0.79 | 0.74 |
| V 13B | EAGLE-2 | 4.26x | 4.83 | 0.81 | 0.77 |
""",
    "medusa": """| Model | Acc. rate | Overhead | Speedup |
|---|---|---|---|
| Vicuna-7B Medusa-1 | 2.53 | 1.22 | 2.18x |
| Vicuna-7B Medusa-2 | 3.47 | 1.22 | 2.83x |
""",
    "vllm": """| num_drafts | num_draft_tokens | num_accepted_tokens | AL | acceptance at token 0 |
|---|---|---|---|---|
| 2500 | 7500 | 3625 | 2.45 | 0.70 |
""",
    "vllm serving": """| K | Mean TTFT (ms) | Mean TPOT (ms) | Output throughput (tok/s) | AL |
|---|---|---|---|---|
| 0 | 41.2 | 13.10 | 2345 | - |
| 3 | 46.0 | 7.71 | 3126 | 2.54 |
""",
    "sglang": """| Method | Throughput (tokens/s) | Accept length |
|---|---|---|
| SGLang (w/o speculative, 1x H100) | 158.34 | 1.0 |
| SGLang + EAGLE-3 (1x H100) | 373.25 | 4.2 |
""",
    "llama.cpp": """| n_draft | n_drafted | n_accept | accept | speed (t/s) |
|---|---|---|---|---|
| 16 | 1456 | 421 | 28.915% | 36.5 |
""",
    "leviathan": """| Task | Temp | gamma | alpha | Speed |
|---|---|---|---|---|
| EnDe | 0 | 7 | 0.75 | 3.4X |
| EnDe | 1 | 7 | 0.62 | 2.6X |
""",
    "chen": """| Method | Task | Mean Token Time | Speed Up |
|---|---|---|---|
| ArS | XSum | 14.1ms/Token | 1x |
| SpS | XSum | 7.52ms/Token | 1.92x |
""",
    "decimal commas": """| Method | accept rate | K | tau | Speedup |
|---|---|---|---|---|
| Baseline | | 0 | | 1,00x |
| 160M | 0,612 | 4 | 3,448 | 2,123x |
""",
    "streaming": """| Cache | Context | Trained length | Window | Sinks | PPL | KV memory (MB) |
|---|---|---|---|---|---|---|
| dense | 8192 | 2048 | - | - | 1,234.56 | 4295 |
| window | 8192 | 2048 | 1020 | 4 | 9.60 | 537 |
""",
    "layers of itself": """| Method | Draft | Target | T | K | accept rate |
|---|---|---|---|---|---|
| LayerSkip | Llama2-7B | Llama2-7B | 0 | 6 | 61% |
| Draft&Verify | self | Llama2-7B | 0 | 6 | 58% |
""",
    "itself in bfloat16": """| Draft | Target | T | K | dtype | accept rate | tokens per forward |
|---|---|---|---|---|---|---|
| Llama2-7B | Llama2-7B | 0 | 8 | bf16 | 91.2% | 8.30 |
""",
    "assisted": """| Mode | Latency (s) | Tokens | Throughput (tok/s) | Speedup |
|---|---|---|---|---|
| no assistant | 10.21 | 256 | 25.1 | 1.0x |
| assisted | 6.31 | 256 | 40.6 | 1.62x |
""",
    "lookup": """| Method | tokens per forward | Speedup |
|---|---|---|
| prompt lookup | 1.74 | 1.72x |
""",
}


@pytest.mark.parametrize("text", HONEST.values(), ids=HONEST)
def test_an_honest_table_is_accused_of_nothing(tmp_path, text):
    """It is read, judged, and nothing is found."""
    path = tmp_path / "table.md"
    path.write_text(text, encoding="utf-8")
    (results,) = read_results(path)
    diagnosis = diagnose_results(results)
    assert any(arm.figures for arm in results.arms)
    assert not [each.rule for each in diagnosis.verdicts if isinstance(each.outcome, Crashed)]
    assert not [each.finding.message for each in diagnosis.found if each.finding]


def varied(seed):
    """Figures of runs whose K varied round by round; the K told, if any, is the largest."""
    random = np.random.default_rng(seed)
    digits, told, rows = int(random.integers(1, 5)), bool(random.integers(0, 2)), []
    for _ in range(int(random.integers(1, 6))):
        deepest, alpha = int(random.integers(2, 17)), random.uniform(0.2, 0.97)
        depths = random.integers(1, deepest + 1, 300)
        stood = np.cumprod(random.random((300, deepest)) < alpha, axis=1).sum(axis=1)
        accepted = np.minimum(stood, depths)
        share, tokens = accepted.sum() / depths.sum(), 1 + accepted.mean()
        row = [f"{share:.{digits}f}", f"{tokens:.{digits}f}"]
        rows.append([str(deepest), *row] if told else row)
    return ["K", "accept rate", "tokens per target forward"][not told :], rows


def test_drafts_of_varying_length_are_no_second_forward():
    """400 tables of one to five rows, one to four digits: no bug is named in any."""
    for seed in range(400):
        diagnosis = diagnose_results(understand_sheet(Sheet("x", *varied(seed))))
        assert not any(each.family == "bug" for each in diagnosis.found), seed


def test_ten_thousand_rows_take_seconds():
    """Repeats are found among them without comparing all pairs."""
    rows = [[f"r{i % 7}", "4", f"0.{600 + i % 50}", f"1.{i % 9}"] for i in range(10_000)]
    results = understand_sheet(Sheet("x", ["name", "K", "accept rate", "speedup"], rows))
    start = time.perf_counter()
    diagnosis = diagnose_results(results)
    assert time.perf_counter() - start < 20
    outcomes = {each.rule: each.outcome for each in diagnosis.verdicts}
    assert isinstance(outcomes["identical-configs-differ"], Found)


def test_figures_of_nothing_and_of_no_measure_end_in_no_crash():
    """Zeros everywhere, and a K no memory holds: judged at once, and no figure is infinite."""
    headings = ["K", "accept rate", "tau", "speedup", "n/f", "S_1", "batch", "tok/s", "tpot (ms)"]
    rows = [["0"] * 9, ["4", "0", "1", *["0"] * 6], ["9999999999", "0.5", "3", *["0"] * 6]]
    diagnosis = diagnose_results(understand_sheet(Sheet("x", headings, rows)))
    assert not [each.rule for each in diagnosis.verdicts if isinstance(each.outcome, Crashed)]
    assert not [each.finding for each in diagnosis.found if "inf " in each.finding.message]
