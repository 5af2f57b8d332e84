"""Against a C++ engine: openvino-genai, our paths and transformers, in turns on one machine.

    python benchmarks/cpp_engine.py --home FOLDER [--repeats 8] [--prompts 3] [--tokens 128]

Same weights in float32, same prompts as token ids, greedy, K = 4, the same number of new tokens,
first with one thread and then with two. The engine's packages are no dependency of specprof: FOLDER
holds a virtual environment to play in, and one to convert in, because the converter wants an older
transformers than we run. The converter's torchvision is left out: it isn't used. From nothing:

    python3 -m venv FOLDER
    FOLDER/bin/pip install openvino-genai==2026.4.1.0 openvino-tokenizers==2026.4.1.0
    python3 -m venv FOLDER/convert
    FOLDER/convert/bin/pip install --no-deps --index-url https://download.pytorch.org/whl/cpu \
        torch==2.13.0
    FOLDER/convert/bin/pip install torch==2.13.0 transformers==5.5.4 huggingface-hub==1.21.0 \
        optimum==2.3.0 nncf==3.4.0 openvino-tokenizers==2026.4.1.0 requests==2.34.2
    FOLDER/convert/bin/pip install --no-deps optimum-intel==2.2.0

The models are converted into FOLDER/ir on the first call, by optimum's exporter: stateful, float32,
nothing compressed. Each engine is one long-lived process that plays when told to; a repeat plays
every arm on every prompt, every other repeat backwards, so that drift falls on all alike. A player
whose answer takes longer than --limit is killed; what the setting lacked is told, and the others go
on. Where others take a core, torch's two threads wait for each other, spinning, at every small
operation: decoding takes ten times as long and more, which is easily taken for a hang.

openvino-genai speculates over paged attention alone (with `SDPA` it refuses any pair not made for
it), so that its stateful pipeline, often the quicker one, plays plain.

Decoding is timed from the round that has the eighth token out: by then every engine has taken the
text into both its models, which openvino-genai does within its first rounds. The time until then,
prefill above all, stands beside it. `as it comes` is openvino-genai with nothing set but the
threads: it computes in bfloat16 where the processor has it, and keeps 8-bit keys and values.

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
from players.paired import compared, table
from stamp import RESULTS, save, stamp

from specprof import pocket
from specprof.engine.setup import loading, text
from specprof.settings import Settings

REFERENCE = "transformers generate"
DEPTH = 4
NEAR_TIE = 1e-3
"""Standard deviations of the target's logits: float32 rounds two such tokens either way."""

Played = dict[str, list[list[dict[str, Any]]]]
"""Arm -> repeat -> prompt -> what the player told."""


def converted(home: Path, name: str) -> Path:
    """Return the folder of a converted member of the pocket family; convert it where it is new.

    The folder is named for the weights, so that a family trained anew is converted anew.
    """
    weights = pocket.folder(f"pocket/{name}")
    digest = hashlib.sha256((weights / "model.safetensors").read_bytes()).hexdigest()
    into = home / "ir" / f"{name}-{digest[:12]}"
    if not (into / "openvino_model.xml").exists():
        command = [str(_needed(home, "convert/bin/optimum-cli")), "export", "openvino"]
        command += ["--model", str(weights), "--task", "text-generation-with-past"]
        command += ["--weight-format", "fp32", str(into)]
        offline = {**os.environ, "HF_HUB_OFFLINE": "1"}
        subprocess.run(command, check=True, env=offline)  # noqa: S603 - our own command line
    return into


def _needed(home: Path, name: str) -> Path:
    """Return a program of `home`; end with how to get it where it isn't there."""
    if not (home / name).exists():
        print(f"--home {home}: {name} isn't there\n\n{__doc__}", file=sys.stderr)
        raise SystemExit(3)
    return home / name


def prompts(context: int, count: int) -> list[list[int]]:
    """Return `count` stretches of the pocket family's held-out text, evenly apart."""
    settings = Settings(device="cpu", context=context, batch=count)
    loaded = loading.load(settings.target, settings, torch.device("cpu"))
    return text.stretches(loaded.tokenizer, text.document(settings)[0], context, count)


def play(players: list[Player], texts: list[list[int]], repeats: int) -> Played:
    """Play every arm on every prompt `repeats` times; a play of each before them isn't told."""
    turns = [(player, arm) for player in players for arm in player.arms]
    for player, arm in turns:
        player.play(arm, texts[0])
    told: Played = defaultdict(list)
    for repeat in range(repeats):
        order = turns if repeat % 2 == 0 else turns[::-1]
        found: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for prompt in texts:
            for player, arm in order:
                found[arm].append(player.play(arm, prompt))
        for arm, plays in found.items():
            told[arm].append(plays)
    return told


def partings(told: Played, texts: list[list[int]]) -> dict[str, list[dict[str, Any]]]:
    """Return where each arm's tokens part from the reference's: every distinct output that does.

    `gap` is how far the two tokens' logits lie apart, in standard deviations of the target's.
    """
    parted: dict[str, list[dict[str, Any]]] = {}
    for arm, repeats in told.items():
        parted[arm] = []
        for number, prompt in enumerate(texts):
            known = told[REFERENCE][0][number]["tokens"]
            for tokens in {tuple(plays[number]["tokens"]) for plays in repeats} - {tuple(known)}:
                at = _parting(list(tokens), known)
                gap = _gap([*prompt, *known[:at]], tokens[at], known[at])
                near = gap <= NEAR_TIE
                parted[arm].append({"prompt": number, "token": at, "gap": gap, "near_tie": near})
    return parted


def _parting(tokens: list[int], known: list[int]) -> int:
    if len(tokens) != len(known):
        raise RuntimeError(f"{len(known)} new tokens were asked for, {len(tokens)} came")
    return next(place for place, token in enumerate(tokens) if token != known[place])


@torch.no_grad()
def _gap(before: list[int], one: int, other: int) -> float:
    settings = Settings(device="cpu", dtype="float32")
    target = loading.load(settings.target, settings, torch.device("cpu")).model
    logits = target(torch.tensor([before]), logits_to_keep=1).logits[0, -1]  # [vocab]
    return float((logits[one] - logits[other]).abs() / logits.std())


def contest(asked: argparse.Namespace, threads: int, context: int) -> dict[str, Any]:
    """Return what one setting found: the arms' figures, and facts of the engine."""
    texts = prompts(context, asked.prompts)
    given = ["--threads", threads, "--tokens", asked.tokens, "--depth", DEPTH]
    options = [str(each) for each in given]
    python = _needed(asked.home, "bin/python")
    pair = [str(converted(asked.home, name)) for name in ("target", "draft")]
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
        told = play([theirs, ours], texts, asked.repeats)
    arms = compared(told, DEPTH)
    for arm, parted in partings(told, texts).items():
        arms[arm]["other_tokens"] = parted
    setting = {"threads": threads, "context": context, "depth": DEPTH}
    return setting | {"engine": theirs.facts, "arms": arms}


def main() -> None:
    """Measure every setting, print its table as it is done, and write all down."""
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
                found = contest(asked, threads, context)
            except RuntimeError as trouble:  # a player's own words are on stderr
                tables.append(f"threads {threads}, context {context:,}: {trouble}\n")
                setting = {"threads": threads, "context": context}
                result["troubles"].append(setting | {"trouble": str(trouble)})
            else:
                result["settings"].append(found)
                tables.append(table(found))
            print(tables[-1], flush=True)
            (RESULTS / f"{asked.name}.txt").write_text("\n".join(tables), encoding="utf-8")
            save(asked.name, result)  # what is measured is kept, should the rest be stopped
    if result["troubles"]:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
