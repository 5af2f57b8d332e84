"""What is proven of every member that decodes: which members, in which combinations, by what.

The contract tests take all their cases from here, and `rows` returns the outcome as a table. If a
proof can't be made for a member, the reason stands in `EXCUSED`, and nowhere else.
"""

import itertools
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import msgspec
import torch
from transformers import AutoModelForCausalLM

import heads
import tiny
from specprof import limits, registry
from specprof.errors import UsageError
from specprof.extend import Acceptance
from specprof.settings import Settings

FIELDS = {
    "drafter": "drafter",
    "shape": "shape",
    "acceptance": "acceptance",
    "cache": "cache",
    "draft_cache": "cache",
    "depth_policy": "depth",
}
"""Setting -> the kind of its members."""
WAYS = {"path": ("auto", "modules"), "graphs": ("auto", "off")}
"""Every member is proven with each value: the path `auto` is flat for the whole family except the
head, and graphs `auto` replays all that can be replayed."""
PROOFS = ("greedy", "law", "rollback")
EXCUSED = {
    ("law", "drafter", "none"): "drafts nothing",
    ("law", "cache", "*"): "changes what the target answers, not how it is sampled",
    ("law", "acceptance", "greedy"): "one sequence, no draw: greedy equality says it all",
}
"""Proof, kind, member ("*": all of the kind) -> why it isn't made, or where it is made."""
DRAFTS = {"eagle": "head"}
"""Drafter -> the folder of its model; other drafters take `draft`."""
EMBEDDED_IDS = {"qwen2": 100}
"""Architecture -> ids in its embeddings; more than usual, because its tokenizer adds some."""
CONTEXT, NEW = 96, 44
TEXT = "to be or not to be, that is the question: whether to be or to be not the question\n" * 3


@dataclass(frozen=True, slots=True)
class Proven:
    """One row of the table: what is proven of one member."""

    kind: str
    member: str
    greedy: str
    """`yes`, `lossy`, or why it isn't proven."""
    law: str
    rollback: str


def rows() -> list[Proven]:
    """Return the table, made from the registry and the cases that the tests run."""
    run = {
        "greedy": members(greedy_cells()),
        "law": {*sampled_laws(), *drawn_drafts()},
        "rollback": members(rollback_cells()),
    }
    return [
        Proven(kind, name, *(_describe(run[proof], proof, kind, name) for proof in PROOFS))
        for kind in dict.fromkeys(FIELDS.values())
        for name in registry.members(kind)
    ]


def table() -> str:
    """Return the rows as docs/methods.md shows them."""
    lines = [
        "| kind | member | greedy equality | sampled law | rollback |",
        "|---|---|---|---|---|",
        *(
            f"| {each.kind} | `{each.member}` | {each.greedy} | {each.law} | {each.rollback} |"
            for each in rows()
        ),
    ]
    return "\n".join(lines)


def members(cells: list[dict[str, str]]) -> set[tuple[str, str]]:
    """Return the (kind, name) of every member in any of the cells."""
    return {
        (FIELDS[field], name) for cell in cells for field, name in cell.items() if field in FIELDS
    }


def _describe(run: set[tuple[str, str]], proof: str, kind: str, name: str) -> str:
    if (kind, name) in run:
        return "yes"
    if kind == "acceptance" and not rule(name).lossless:
        return "lossy"
    return EXCUSED.get((proof, kind, name)) or EXCUSED.get((proof, kind, "*")) or "no"


def rule(name: str) -> type[Acceptance]:
    """Return an acceptance rule's class."""
    return registry.get(Acceptance, name)


@cache
def lossless() -> list[str]:
    """Return the acceptance rules that claim the target's own law."""
    return [name for name in registry.members("acceptance") if rule(name).lossless]


@cache
def greedy_cells() -> list[dict[str, str]]:
    """Return combinations at temperature 0 that contain every possible pair of members."""
    return _cover_pairs(0.0, lossless())


@cache
def rollback_cells() -> list[dict[str, str]]:
    """Return such combinations at temperature 1, with the rules that work there, lossy or not."""
    rules = [name for name in registry.members("acceptance") if name != "greedy"]
    return [*_cover_pairs(1.0, rules), _cell(acceptance="greedy")]


def sampled_laws() -> dict[tuple[str, str], list[dict[str, str]]]:
    """Return (kind, member) -> the settings its sampled law is tested with on table models."""
    cases: dict[tuple[str, str], list[dict[str, str]]] = {}
    for name in [each for each in lossless() if ("law", "acceptance", each) not in EXCUSED]:
        for shape in _shapes(name):
            cell = {"acceptance": name, "shape": shape}
            cases.setdefault(("acceptance", name), []).append(cell)
            cases.setdefault(("shape", shape), []).append(cell)
    for policy in registry.members("depth"):
        cases["depth", policy] = [{"acceptance": "rejection", "depth_policy": policy}]
    return cases


def drawn_drafts() -> list[tuple[str, str]]:
    """Return the drafters whose drafts are compared with their declared law."""
    return [
        ("drafter", name)
        for name in registry.members("drafter")
        if ("law", "drafter", name) not in EXCUSED
    ]


def _shapes(acceptance: str) -> list[str]:
    able = rule(acceptance).trees
    return [name for name in registry.members("shape") if able or not limits.grows_tree(name)]


def _cover_pairs(temperature: float, rules: list[str]) -> list[dict[str, str]]:
    """Return a few cells, found greedily, that contain every possible pair of members."""
    known = {field: list(registry.members(kind)) for field, kind in FIELDS.items()}
    known["acceptance"] = rules
    known |= {setting: list(values) for setting, values in WAYS.items()}
    missing = {pair for pair in _pairs(known) if _is_possible(_cell(**dict(pair)), temperature)}
    able = [dict(zip(known, chosen, strict=True)) for chosen in itertools.product(*known.values())]
    able = [cell for cell in able if missing >= _pairs_of_cell(cell)]
    cells: list[dict[str, str]] = []
    while missing:
        best = max(able, key=lambda cell: len(missing.intersection(_pairs_of_cell(cell))))
        if not missing.intersection(_pairs_of_cell(best)):
            raise AssertionError(f"no cell has these members together: {sorted(missing)}")
        missing -= _pairs_of_cell(best)
        cells.append(best)
    return cells


def _cell(**given: str) -> dict[str, str]:
    return {field: getattr(Settings(), field) or "dense" for field in FIELDS} | given


Pair = tuple[tuple[str, str], tuple[str, str]]
"""Two settings, each with the name of a member."""


def _pairs(known: dict[str, list[str]]) -> Iterator[Pair]:
    """Yield every two members of different settings."""
    for one, two in itertools.combinations(known, 2):
        for first, second in itertools.product(known[one], known[two]):
            yield (one, first), (two, second)


def _pairs_of_cell(cell: dict[str, str]) -> set[Pair]:
    return set(itertools.combinations(cell.items(), 2))


def _is_possible(cell: dict[str, str], temperature: float) -> bool:
    try:
        limits.check(asked(cell, temperature=temperature))
    except UsageError:
        return False
    return True


def asked(cell: dict[str, str], folder: Path | None = None, **given: object) -> Settings:
    """Return the settings of a cell over the tiny family in `folder`.

    They are small, so that runs meet the edges: the window of a streaming cache moves within
    rounds, trees are cut, policies learn.
    """
    place = folder or Path("nowhere")
    fixed = Settings(
        target=str(place / "target"),
        draft=str(place / DRAFTS.get(cell.get("drafter", ""), "draft")),
        text=str(place / "text"),
        device="cpu",
        threads=1,
        depth=3,
        widths="2,2,1",
        branch=3,
        nodes=9,
        window=80,  # more than the deepest tree a policy may ask for has nodes
        sinks=2,
        block=3,
        exit_layer=2,
        noise=0.3,
        context=CONTEXT,
        stops=1,
        max_new_tokens=NEW,
        recheck_context=0,
        plain_steps=0,
        ignore_eos=True,
        seed=5,
    )
    return msgspec.structs.replace(fixed, **{**cell, **given})


def family(folder: Path, kind: str = "llama") -> Path:
    """Write a target, a draft that often agrees with it, a hidden-state head, and a text."""
    for role in ("target", "draft"):
        tiny.checkpoint(
            folder / role, kind, seed=1, vocab_size=EMBEDDED_IDS.get(kind, tiny.VOCABULARY)
        )
    draft = AutoModelForCausalLM.from_pretrained(folder / "draft")
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for weight in draft.parameters():
            noise = torch.randn(weight.shape, generator=generator)
            weight.add_(0.1 * weight.std() * noise)
    draft.save_pretrained(folder / "draft")
    heads.write(folder / "head", heads.eagle3())
    (folder / "text").write_text(TEXT)
    return folder


if __name__ == "__main__":
    sys.stdout.write(table() + "\n")
