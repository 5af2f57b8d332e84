"""Which known quantity a column's heading names, if any.

A heading is matched as a whole, after case, emphasis, unit and punctuation are removed. `Mean
accept. length` is known, `our score` is not. A heading that only resembles a known one names
nothing.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

from specprof.published.read.cells import UNITS, strip_marks

MAX_HEADING_CHARS = 200
"""A longer heading is prose, and names nothing."""
MAX_CACHED_HEADINGS = 8192
"""Headings whose meaning is cached: a report repeats its headings over every table."""
Kind = Literal["share", "count", "number", "times", "time", "speed", "bytes", "text"]


@dataclass(frozen=True, slots=True)
class Quantity:
    """A quantity that a column may hold."""

    name: str
    kind: Kind
    spellings: tuple[str, ...]
    """Normalised headings that mean it."""


_SPELLINGS: dict[Kind, dict[str, str]] = {
    "share": {
        "accept_frac": (
            "accept frac, accept rate, acceptance rate, acceptance, accept, "
            "draft acceptance rate, draft acceptance, accepted drafted, accepted per drafted, "
            "accept ratio, acceptance ratio, accepted rate, token acceptance rate, acc rate, "
            "a d"
        ),
        "alpha_cond": (
            "alpha, alpha cond, conditional acceptance, conditional acceptance rate, "
            "accepted reached, accepted per reached, accepted per reached token, "
            "accepted per evaluated token"
        ),
        "accept_per_node": "accept per node, accepted per node, node acceptance rate",
        "efficiency": "system efficiency, efficiency",
    },
    "count": {
        "depth": (
            "k, depth, draft length, draft depth, gamma, num speculative tokens, "
            "speculative tokens, num assistant tokens, draft tokens, drafted per round, "
            "n draft, lookahead, draft n"
        ),
        "nodes": "nodes, tree nodes, tree size, draft nodes, num draft tokens",
        "accepted": (
            "num accepted, n accept, n accepted, accepted, accepted count, num accepted tokens"
        ),
        "drafted": "num drafted, n drafted, drafted, proposed, drafted tokens",
        "tokens": (
            "tokens, new tokens, emitted, generated tokens, output tokens, n tokens, "
            "num tokens, max new tokens, generated, completion tokens, tokens emitted, n"
        ),
        "rounds": "rounds, steps, verify ct, draft rounds, n rounds, num drafts",
        "target_forwards": "target forwards, target calls, target passes, f",
        "context": (
            "context, context length, prompt length, prompt tokens, ctx, l, sequence length, "
            "seq len, input tokens, input length, prompt len, length"
        ),
        "trained_context": "trained context, max position embeddings, trained length",
        "window": "window, window size, w, recent, sliding window",
        "sinks": "sinks, sink tokens, sink, attention sinks",
        "batch": "batch, batch size, bs, concurrency",
        "samples": "samples, runs, repeats, prompts, n prompts, questions",
    },
    "number": {
        "tokens_per_forward": (
            "tokens per target forward, tokens per forward, tok per target fwd, "
            "tokens forward, tokens per target call, tokens per target pass, tokens per call, "
            "tokens target forward, emitted per target forward, tokens per target step, "
            "tok fwd, tokens call, n f"
        ),
        "calls_per_token": (
            "target calls per token, target forwards per token, forwards per token, "
            "calls per token, target calls token, calls token"
        ),
        "length": (
            "tau, acceptance length, accept length, accepted length, mal, al, aal, "
            "tau with bonus, spec accept length, block efficiency, tokens per step, "
            "tokens per round, accepted tokens, tokens per verify, tokens per cycle, "
            "emitted per round, accept len, tokens step, num mean accepted tokens, "
            "mean accepted tokens, mat, num mat, acc length, acc len"
        ),
        "accepted_per_round": (
            "accepted per round, accepted drafts per round, accepted per step, "
            "tau without bonus, accepted drafts, drafts accepted per round"
        ),
        "ppl": "ppl, perplexity",
        "temperature": "temperature, temp, t",
    },
    "time": {
        "latency": (
            "latency, total time, time, wall time, elapsed, e2e latency, request latency, "
            "duration, end to end latency, generation time"
        ),
        "ttft": "ttft, time to first token, first token latency, prefill time",
        "tpot": (
            "tpot, time per output token, itl, inter token latency, time per token, "
            "latency per token, decode latency per token, per token latency, ms token, ms tok, "
            "s token, token time"
        ),
        "target_step": "target step, t target, target forward time, plain step",
        "draft_step": "draft step, t draft, draft forward time",
        "verify_step": "verify, verify step, t verify, verify time",
        "round_time": "round time, time per round, round, step time",
    },
    "speed": {
        "throughput": (
            "throughput, tok s, tokens s, tokens per second, tps, t s, tokens sec, speed, "
            "decode throughput, generation speed, output throughput, tok sec, "
            "throughput tok s, throughput tokens s, speed tok s, speed t s, decode tok s, "
            "output tok s"
        ),
    },
    "times": {
        "speedup": "speedup, speed up, acceleration, walltime speedup, wall speedup",
    },
    "bytes": {
        "memory": "memory, peak memory, vram, gpu memory, mem, peak mem, max memory",
        "kv_memory": "kv memory, kv cache, kv cache memory, kv size, kv mem",
    },
    "text": {
        "dtype": "dtype, precision, data type",
        "device": "device, gpu, hardware, machine, accelerator",
        "engine": "engine, backend, framework, version",
        "attention": "attention, kernel, attn implementation, graphs, graph mode",
        "cache": "cache, kv policy, cache policy, kv",
        "structure": "structure, shape, draft structure, tree",
        "rule": "rule, acceptance rule, verification, sampler",
        "draft": "draft, draft model, drafter, assistant, assistant model",
        "target": "target, target model, model, base model, main model",
        "text": "dataset, task, data, text, benchmark, workload, domain, data set",
        "label": (
            "label, method, config, configuration, name, setting, run, mode, variant, "
            "algorithm, arm, approach, system"
        ),
    },
}
"""Kind -> quantity -> the normalised headings that mean it, separated by commas."""
QUANTITIES = tuple(
    Quantity(name, kind, tuple(spellings.split(", ")))
    for kind, quantities in _SPELLINGS.items()
    for name, spellings in quantities.items()
)
_BY_SPELLING = {each: one for one in QUANTITIES for each in one.spellings}
_SIGNS_AS_WORDS = {
    "\N{GREEK SMALL LETTER ALPHA}": " alpha ",
    "\N{GREEK SMALL LETTER TAU}": " tau ",
    "\N{GREEK SMALL LETTER GAMMA}": " gamma ",
    "#": " num ",
    "speed-up": "speedup",
}
_FILLER_WORDS = {"avg", "average", "mean", "the", "of", "total", "overall", "observed", "measured"}
_BY_UNIT = {("accepted", "share"): "accept frac", ("cache", "bytes"): "kv memory"}
"""(Quantity, what the unit measures) -> the spelling that is meant when the two don't agree."""
BESIDE_COUNTS = {"num draft tokens": "drafted"}
"""Meaning of headings in a table with a count of accepted tokens. vLLM's `num draft tokens` are
all drafted tokens, SGLang's are a tree's nodes."""
_NAMED_BY_UNIT: dict[str, str] = {"speed": "throughput"}


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading and its meaning, as far as it is known."""

    text: str
    quantity: Quantity | None
    unit: str | None
    at: tuple[str, int] | None
    """The draft index, as `read_position` returns it."""


def read_headings(texts: Sequence[str]) -> list[Heading]:
    """Return the meanings of a table's headings; a few depend on the other headings."""
    found = [read_heading(text) for text in texts]
    if not any(each.quantity and each.quantity.name == "accepted" for each in found):
        return found
    company = [" ".join(_words(normalise_heading(each.text[:MAX_HEADING_CHARS]))) for each in found]
    return [
        replace(each, quantity=_BY_SPELLING[BESIDE_COUNTS[words]])
        if words in BESIDE_COUNTS
        else each
        for each, words in zip(found, company, strict=True)
    ]


def heading_by_cells(heading: Heading, units: Sequence[str | None]) -> Heading:
    """Return a heading's meaning given its cells' units: a `Speed` of 2.1x is a speed-up."""
    times = bool(units) and all(each and UNITS.get(each, ("",))[0] == "times" for each in units)
    if times and heading.quantity and heading.quantity.kind == "speed":
        return replace(heading, quantity=_BY_SPELLING["speedup"])
    return heading


def read_heading(text: str) -> Heading:
    """Return the meaning of one heading."""
    quantity, unit = recognise_heading(text)
    return Heading(text, quantity, unit, None if quantity else read_position(text))


@lru_cache(MAX_CACHED_HEADINGS)
def recognise_heading(heading: str) -> tuple[Quantity | None, str | None]:
    """Return the quantity that a heading names and its unit; None for each that it lacks."""
    if len(heading) > MAX_HEADING_CHARS:
        return None, None
    whole = _BY_SPELLING.get(" ".join(_words(normalise_heading(heading))))
    if whole and whole.kind == "speed":  # the `s` of `tokens_s` is no unit of its own
        return whole, None
    name, unit = _split_unit(normalise_heading(heading))
    for words in (_words(name), [word for word in _words(name) if word not in _FILLER_WORDS]):
        found = _BY_SPELLING.get(" ".join(words))
        if found:
            measured = UNITS[unit][0] if unit else ""
            return _BY_SPELLING.get(_BY_UNIT.get((found.name, measured), ""), found), unit
    if unit and not _words(name):
        found = _BY_SPELLING.get(_NAMED_BY_UNIT.get(UNITS[unit][0], ""))
        return found, unit
    return None, unit


def normalise_heading(heading: str) -> str:
    """Return a heading's text in lower case, without emphasis, with spaces for underscores."""
    return strip_marks(heading.replace("_", " ")).lower()


def _split_unit(text: str) -> tuple[str, str | None]:
    """Take a unit off a heading: `latency (ms)`, `TPOT [ms/token]`, `accept %`, `latency ms`."""
    bracketed = re.search(r"[(\[]\s*([^)\]]+?)\s*[)\]]", text)
    if bracketed and (unit := _unit(bracketed[1])):
        return text[: bracketed.start()] + text[bracketed.end() :], unit
    if text.endswith("%"):
        return text[:-1], "%"
    if unit := _unit(text):
        return text if text not in UNITS else "", unit
    head, _, last = text.replace(",", " ").rpartition(" ")
    if head and last != "b" and last in UNITS and UNITS[last][0] in ("time", "bytes", "share"):
        return head, last
    return text, None


def _unit(text: str) -> str | None:
    """Return the unit written here; a time per token is a time."""
    each = re.sub(r"\s*(/|per )\s*tok(en)?$", "", text)
    if each != text and UNITS.get(each, ("", 0))[0] == "time":
        return each
    return text if text in UNITS else None


def _words(text: str) -> list[str]:
    for sign, word in _SIGNS_AS_WORDS.items():
        text = text.replace(sign, word)
    return re.sub(r"[^a-z0-9]+", " ", text).split()


@lru_cache(MAX_CACHED_HEADINGS)
def read_position(heading: str) -> tuple[str, int] | None:
    """Return the rate and the draft index of a heading like `S_1`; None for other headings.

    The rate is `survival`, `conditional`, or `position` where it may be either.
    """
    if len(heading) > MAX_HEADING_CHARS:
        return None
    name = " ".join(_words(normalise_heading(heading).rstrip("%")))
    if chain := re.fullmatch(r"(\d) alpha", name):  # n self-fed features, so draft index n + 1
        return "conditional", int(chain[1]) + 1
    for kind, spelt in (
        ("survival", r"(?:s|survival|marginal|unconditional)"),
        ("conditional", r"(?:c|conditional|cond)"),
        (
            "position",
            r"(?:pos|position|accept(?:ance)?(?: rate)?(?: at)?(?: pos(?:ition)?| token)?|index)",
        ),
    ):
        found = re.fullmatch(rf"{spelt} ?(\d\d?)", name)
        if found:
            return kind, int(found[1])
    return None
