"""Measure the pocket family: loss by context, acceptance of each draft; write the model card.

    python benchmarks/pocket.py [--only pocket/eagle]

With `--only` the other drafts' figures stay as they were last measured.

specprof itself measures acceptance, at K = 4 on the held-out modules: bursts of 64 tokens at eight
contexts inside the trained length of each module, then at single contexts out to 20k. Loss is
teacher-forced on the same text. Intervals are 95%, block bootstrap over rounds.
"""

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
import torch
from stamp import RESULTS, save, stamp
from torch.nn import functional

from specprof.analysis.columns import Columns
from specprof.analysis.stats import Estimate, ratio
from specprof.backends.native import Native
from specprof.engine.decoder import CausalModel
from specprof.engine.setup import loading
from specprof.engine.setup.text import encode
from specprof.engine.stores.dense import Store
from specprof.plan import expand
from specprof.pocket import PREFIX
from specprof.pocket.corpus import HELD_OUT, held_out_text, module_text
from specprof.settings import Profile, Settings

CPU = torch.device("cpu")
DRAFTS = {
    "pocket/draft": "draft-model",
    "pocket/draft-small": "draft-model",
    "pocket/eagle": "eagle",
}
"""Draft -> its drafter."""
LANGUAGE_MODELS = ("pocket/target", "pocket/draft", "pocket/draft-small")
DEPTH = 4
TEMPERATURES = (0.0, 1.0)
TRAINED_TOKENS, BURST_TOKENS = 512, 64
IN_RANGE = f"in range (<{TRAINED_TOKENS})"
BUCKETS = ((0, 512), (512, 2048), (2048, 8192), (8192, 20_000))
DEPTHS = (2048, 8192, 19_000)
DOCUMENT_TOKENS = 20_000


def measure_losses(name: str) -> dict[str, float]:
    """Return the mean next-token loss in nats, by context, over one 20k-token document."""
    loaded = loading.load(name, Settings(device="cpu"), CPU)
    tokens = encode(loaded.tokenizer, held_out_text(), DOCUMENT_TOKENS)
    stream = torch.tensor(tokens)
    decoder = CausalModel(loaded.model, Store(loaded.facts.layers, len(tokens)), CPU)
    logits = torch.cat([decoder.feed(chunk) for chunk in stream.split(500)])[:-1]
    each = functional.cross_entropy(logits, stream[1:], reduction="none")
    return {f"{low}-{high}": round(each[low:high].mean().item(), 3) for low, high in BUCKETS}


def record_walk(draft: str, temperature: float, **changed: object) -> Columns:
    """Return the columns of one walk at K = 4."""
    settings = Settings(
        device="cpu",
        draft=draft,
        drafter=DRAFTS[draft],
        depth=DEPTH,
        temperature=temperature,
        max_new_tokens=BURST_TOKENS,
        recheck_context=0,
        ignore_eos=True,
        threads=1,
        **changed,  # type: ignore[arg-type]  # Settings fields by name
    )
    columns = Columns()
    for spec in expand(Profile(name="pocket", run=settings)):
        columns.feed(list(Native().run(spec, [])))
    return columns


def measure_in_range(draft: str, temperature: float, texts: Path) -> dict[str, object]:
    """Return acceptance inside the trained length, over every held-out module."""
    walks = [
        record_walk(
            draft, temperature, text=str(text), context=TRAINED_TOKENS - BURST_TOKENS, stops=8
        )
        for text in sorted(texts.glob("*.txt"))
    ]
    return summarise_acceptance(walks)


def summarise_acceptance(walks: list[Columns]) -> dict[str, object]:
    """Return alpha_cond (accepted/reached), by draft index too, and tau (emitted/rounds)."""

    def joined(field: str) -> np.ndarray:
        return np.concatenate([getattr(each.rounds, field) for each in walks]).astype(float)

    accepted, reached, emitted = joined("accepted"), joined("reached"), joined("emitted")
    return {
        "alpha_cond": _round_estimate(ratio(accepted, reached), int(reached.sum())),
        "tau": _round_estimate(ratio(emitted, np.ones_like(emitted)), len(emitted)),
        "accepted_per_reached_by_index": [
            round(float((accepted > index).sum() / (reached > index).sum()), 3)
            for index in range(DEPTH)
            if (reached > index).any()
        ],
    }


def _round_estimate(found: Estimate, n: int) -> dict[str, float | int]:
    return {
        "value": round(found.value, 3),
        "low": round(found.low, 3),
        "high": round(found.high, 3),
        "n": n,
    }


def measure(texts: Path, drafts: list[str], result: dict[str, object]) -> dict[str, object]:
    """Return every figure of the card: `drafts` are measured anew, others come from `result`."""
    for name in HELD_OUT:
        (texts / f"{name}.txt").write_text(module_text(name), encoding="utf-8")
    made = stamp(CPU)
    for draft in drafts:
        for temperature in TEMPERATURES:
            found = {IN_RANGE: measure_in_range(draft, temperature, texts)}
            for depth in DEPTHS:
                one = record_walk(draft, temperature, context=depth, stops=1)
                found[f"at {depth}"] = summarise_acceptance([one])
            result[f"{draft} at temperature {temperature:g}"] = found
            print(draft, temperature, found, flush=True)
        result[f"stamp of {draft}"] = made
    return result


def card(result: dict[str, object]) -> str:
    """Return the model card: what the family is, how it was made, what was measured."""
    about = (Path(__file__).parent / "pocket_card.md").read_text(encoding="utf-8")
    lines = ["| model | " + " | ".join(f"{a}-{b}" for a, b in BUCKETS) + " |"]
    lines.append("|---|" + "--:|" * len(BUCKETS))
    for name, loss in result["loss_nats_per_token"].items():  # type: ignore[attr-defined]
        lines.append(f"| {name} | " + " | ".join(f"{value:.2f}" for value in loss.values()) + " |")
    rows = ["| draft, temperature | where | alpha_cond (accepted/reached) | tau (emitted/rounds) |"]
    rows.append("|---|---|--:|--:|")
    for key, found in result.items():
        if key.startswith(PREFIX):
            rows += [f"| {key} | {where} | {_cell(f, 'alpha_cond')} | {_cell(f, 'tau')} |"
                     for where, f in found.items()]  # type: ignore[attr-defined]  # fmt: skip
    rows += ["", *_by_index(result)]
    stamps = [
        f"{draft}: `{made['command']}` at commit {made['commit']}, {made['when']}."
        for draft, made in _stamps(result).items()
    ]
    return about.format(
        losses="\n".join(lines), acceptance="\n".join(rows), stamp="  \n".join(stamps)
    )


def _by_index(result: dict[str, object]) -> list[str]:
    lines = []
    for key, found in result.items():
        here = found.get(IN_RANGE, {}) if key.startswith(PREFIX) else {}  # type: ignore[attr-defined]
        if each := here.get("accepted_per_reached_by_index"):
            rates = ", ".join(f"{value:.2f}" for value in each)
            lines.append(f"{key}, in range, accepted/reached by draft index: {rates}.  ")
    return lines


def _stamps(result: dict[str, object]) -> dict[str, dict[str, object]]:
    return {draft: result[f"stamp of {draft}"] for draft in DRAFTS}  # type: ignore[misc]


def _cell(found: dict[str, dict[str, float]], name: str) -> str:
    value = found[name]
    return f"{value['value']:.2f} [{value['low']:.2f}, {value['high']:.2f}], n={value['n']}"


def main() -> None:
    """Measure, save the JSON and write the card."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=DRAFTS)
    only = parser.parse_args().only
    result: dict[str, object] = {"depth": DEPTH}
    if only:
        result = json.loads((RESULTS / "pocket.json").read_text(encoding="utf-8"))
    else:
        result["loss_nats_per_token"] = {name: measure_losses(name) for name in LANGUAGE_MODELS}
    with tempfile.TemporaryDirectory() as texts:
        result = measure(Path(texts), [only] if only else list(DRAFTS), result)
    save("pocket", result)
    place = RESULTS.parents[1] / "specprof" / "pocket" / "CARD.md"
    place.write_text(card(result), encoding="utf-8")
    print(place)


if __name__ == "__main__":
    main()
