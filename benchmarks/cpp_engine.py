"""Compare with a C++ engine: openvino-genai, our paths and transformers, in turns on one machine.

    python benchmarks/cpp_engine.py --home FOLDER [--repeats 8] [--prompts 3] [--tokens 128]

All have the same weights in float32, the same prompts as token ids, greedy decoding, K = 4 and the
same number of new tokens, first with one thread and then with two. The engine's packages are no
dependency of specprof. FOLDER holds a virtual environment to play in, and a second to convert in,
because the converter needs an older transformers than ours. Its torchvision is left out, as it
isn't used. To make FOLDER:

    python3 -m venv FOLDER
    FOLDER/bin/pip install openvino-genai==2026.4.1.0 openvino-tokenizers==2026.4.1.0
    python3 -m venv FOLDER/convert
    FOLDER/convert/bin/pip install --no-deps --index-url https://download.pytorch.org/whl/cpu \
        torch==2.13.0
    FOLDER/convert/bin/pip install torch==2.13.0 transformers==5.5.4 huggingface-hub==1.21.0 \
        optimum==2.3.0 nncf==3.4.0 openvino-tokenizers==2026.4.1.0 requests==2.34.2
    FOLDER/convert/bin/pip install --no-deps optimum-intel==2.2.0

On the first call optimum's exporter converts the models into FOLDER/ir: stateful, float32, not
compressed. Each engine is one long-lived process that plays on request. A repeat plays every arm on
every prompt, and every other repeat plays backwards, so that drift affects all arms equally. A
player whose answer takes longer than --limit is killed. Its setting is reported as failed, and the
other settings go on. If other programs use a core, torch's two threads spin and wait for each other
at every small operation. Decoding then takes ten times as long or more, and looks like a hang.

openvino-genai speculates over paged attention alone: with `SDPA` it refuses every pair that was not
made for it. So its stateful pipeline, which is often faster, plays plain.

Decoding is timed from the round that emits the eighth token. By then both models of every engine
have read the text, which openvino-genai does within its first rounds. The time until then, mostly
prefill, stands beside it. `as it comes` is openvino-genai with nothing set but the threads: it
computes in bfloat16 if the processor has it, and keeps 8-bit keys and values.

Writes benchmarks/results/cpp_engine.json and .txt.
"""

import argparse
import hashlib
import os
import subprocess
import sys
from collections import defaultdict
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from players.line import Player
from players.paired import compare_arms, table
from stamp import RESULTS, save, stamp

from specprof import pocket
from specprof.engine.setup import loading, text
from specprof.settings import Settings

REFERENCE = "transformers generate"
DEPTH = 4
NEAR_TIE = 1e-3
"""Logit gap, in the target's standard deviations, that float32 may round either way."""

Plays = dict[str, list[list[dict[str, Any]]]]
"""Arm -> repeat -> prompt -> the player's reply."""


def convert_model(home: Path, name: str) -> Path:
    """Return the folder of a converted member of the pocket family; convert it if it is new.

    The folder's name holds a digest of the weights, so that new weights are converted again.
    """
    weights = pocket.folder(f"pocket/{name}")
    digest = hashlib.sha256((weights / "model.safetensors").read_bytes()).hexdigest()
    into = home / "ir" / f"{name}-{digest[:12]}"
    if not (into / "openvino_model.xml").exists():
        command = [str(_require_program(home, "convert/bin/optimum-cli")), "export", "openvino"]
        command += ["--model", str(weights), "--task", "text-generation-with-past"]
        command += ["--weight-format", "fp32", str(into)]
        offline = {**os.environ, "HF_HUB_OFFLINE": "1"}
        subprocess.run(command, check=True, env=offline)  # noqa: S603 - our own command line
    return into


def _require_program(home: Path, name: str) -> Path:
    """Return a program in `home`; if it isn't there, print how to get it and exit."""
    if not (home / name).exists():
        print(f"--home {home}: {name} isn't there\n\n{__doc__}", file=sys.stderr)
        raise SystemExit(3)
    return home / name


def cut_prompts(context: int, count: int) -> list[list[int]]:
    """Return `count` evenly spaced stretches of the pocket family's held-out text."""
    settings = Settings(device="cpu", context=context, batch=count)
    loaded = loading.load(settings.target, settings, torch.device("cpu"))
    return text.stretches(loaded.tokenizer, text.document(settings)[0], context, count)


def play(players: list[Player], texts: list[list[int]], repeats: int) -> Plays:
    """Play every arm on every prompt `repeats` times, after one play of each that is dropped."""
    turns = [(player, arm) for player in players for arm in player.arms]
    for player, arm in turns:
        player.play(arm, texts[0])
    played: Plays = defaultdict(list)
    for repeat in range(repeats):
        order = turns if repeat % 2 == 0 else turns[::-1]
        found: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for prompt in texts:
            for player, arm in order:
                found[arm].append(player.play(arm, prompt))
        for arm, plays in found.items():
            played[arm].append(plays)
    return played


def find_partings(played: Plays, texts: list[list[int]]) -> dict[str, list[dict[str, Any]]]:
    """Return where each arm's tokens differ from the reference's, for every distinct output.

    `gap` is the gap of the two tokens' logits, in standard deviations of the target's logits.
    """
    parted: dict[str, list[dict[str, Any]]] = {}
    for arm, repeats in played.items():
        parted[arm] = []
        for number, prompt in enumerate(texts):
            known = played[REFERENCE][0][number]["tokens"]
            for tokens in {tuple(plays[number]["tokens"]) for plays in repeats} - {tuple(known)}:
                at = _find_parting(list(tokens), known)
                gap = _measure_gap([*prompt, *known[:at]], tokens[at], known[at])
                near = gap <= NEAR_TIE
                parted[arm].append({"prompt": number, "token": at, "gap": gap, "near_tie": near})
    return parted


def _find_parting(tokens: list[int], known: list[int]) -> int:
    if len(tokens) != len(known):
        raise RuntimeError(f"{len(known)} new tokens were asked for, {len(tokens)} came")
    return next(place for place, token in enumerate(tokens) if token != known[place])


@torch.no_grad()
def _measure_gap(before: list[int], one: int, other: int) -> float:
    settings = Settings(device="cpu", dtype="float32")
    target = loading.load(settings.target, settings, torch.device("cpu")).model
    logits = target(torch.tensor([before]), logits_to_keep=1).logits[0, -1]  # [vocab]
    return float((logits[one] - logits[other]).abs() / logits.std())


def play_contest(asked: argparse.Namespace, threads: int, context: int) -> dict[str, Any]:
    """Return one setting's result: the arms' figures, and facts of the engine."""
    texts = cut_prompts(context, asked.prompts)
    given = ["--threads", threads, "--tokens", asked.tokens, "--depth", DEPTH]
    options = [str(each) for each in given]
    python = _require_program(asked.home, "bin/python")
    pair = [str(convert_model(asked.home, name)) for name in ("target", "draft")]
    with ExitStack() as ending:
        ours = Player(
            Path(sys.executable),
            "torch_player.py",
            *options,
            "--context",
            str(context),
            limit_s=asked.limit,
            OMP_NUM_THREADS=str(threads),
            PYTHONPATH=str(Path(__file__).parents[1]),
        )
        ending.enter_context(ours)
        given = [*options, "--target", pair[0], "--draft", pair[1]]
        theirs = Player(python, "openvino_player.py", *given, limit_s=asked.limit)
        ending.enter_context(theirs)
        played = play([theirs, ours], texts, asked.repeats)
    arms = compare_arms(played, DEPTH)
    for arm, parted in find_partings(played, texts).items():
        arms[arm]["other_tokens"] = parted
    setting = {"threads": threads, "context": context, "depth": DEPTH}
    return setting | {"engine": theirs.facts, "arms": arms}


def main() -> None:
    """Measure every setting, print its table when it is done, and write all figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--home", type=Path, default=Path("/tmp/ov"), help="see above")  # noqa: S108 - a default to be overridden
    parser.add_argument("--repeats", type=int, default=8)
    parser.add_argument("--prompts", type=int, default=3)
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--contexts", type=int, nargs="+", default=[256, 2048])
    parser.add_argument("--limit", type=float, default=300.0, help="seconds for one answer")
    parser.add_argument("--name", default="cpp_engine", help="of the results")
    asked = parser.parse_args()
    result: dict[str, Any] = {"stamp": stamp(torch.device("cpu"))}
    result |= {"transformers": version("transformers")}
    result |= {name: getattr(asked, name) for name in ("repeats", "prompts", "tokens")}
    result["settings"], result["troubles"], tables = [], [], []
    for threads in asked.threads:
        for context in asked.contexts:
            try:
                found = play_contest(asked, threads, context)
            except RuntimeError as trouble:  # a player's own words are on stderr
                tables.append(f"threads {threads}, context {context:,}: {trouble}\n")
                setting = {"threads": threads, "context": context}
                result["troubles"].append(setting | {"trouble": str(trouble)})
            else:
                result["settings"].append(found)
                tables.append(table(found))
            print(tables[-1], flush=True)
            (RESULTS / f"{asked.name}.txt").write_text("\n".join(tables), encoding="utf-8")
            save(asked.name, result)  # after every setting, in case the rest is stopped
    if result["troubles"]:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
