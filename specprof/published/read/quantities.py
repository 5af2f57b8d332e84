"""What a column's heading names: one of the quantities known here, or nothing.

A heading is matched whole, once case, emphasis, unit and signs are gone: `Mean accept. length` is
known, `our score` is not, and nothing is taken for what it only resembles.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

from specprof.published.read.cells import UNITS, bare

LONGEST_HEADING = 200
"""Signs; a longer one is prose, and names nothing."""
MOST_KEPT = 8192
"""Headings whose meaning is remembered: a report has the same ones over every table."""
Kind = Literal["share", "count", "number", "times", "time", "speed", "bytes", "text"]


@dataclass(frozen=True, slots=True)
class Quantity:
    """Something a column may hold."""

    name: str
    kind: Kind
    spellings: tuple[str, ...]
    """Normalised headings that mean it."""


def _known(name: str, kind: Kind, spellings: str) -> Quantity:
    return Quantity(name, kind, tuple(each.strip() for each in spellings.split(",")))


QUANTITIES = (
    _known(
        "accept_frac",
        "share",
        "accept frac, accept rate, acceptance rate, acceptance, accept, draft acceptance rate,"
        "draft acceptance, accepted drafted, accepted per drafted, accept ratio,"
        "acceptance ratio, accepted rate, token acceptance rate, acc rate, a d",
    ),
    _known(
        "alpha_cond",
        "share",
        "alpha, alpha cond, conditional acceptance, conditional acceptance rate, accepted reached,"
        "accepted per reached, accepted per reached token, accepted per evaluated token",
    ),
    _known("accept_per_node", "share", "accept per node, accepted per node, node acceptance rate"),
    _known("efficiency", "share", "system efficiency, efficiency"),
    _known(
        "depth",
        "count",
        "k, depth, draft length, draft depth, gamma, num speculative tokens, speculative tokens,"
        "num assistant tokens, draft tokens, drafted per round, n draft, lookahead, draft n",
    ),
    _known("nodes", "count", "nodes, tree nodes, tree size, draft nodes, num draft tokens"),
    _known(
        "tokens_per_forward",
        "number",
        "tokens per target forward, tokens per forward, tok per target fwd, tokens forward,"
        "tokens per target call, tokens per target pass, tokens per call, tokens target forward,"
        "emitted per target forward, tokens per target step, tok fwd, tokens call, n f",
    ),
    _known(
        "calls_per_token",
        "number",
        "target calls per token, target forwards per token, forwards per token, calls per token,"
        "target calls token, calls token",
    ),
    _known(
        "length",
        "number",
        "tau, acceptance length, accept length, accepted length, mal, al, aal, tau with bonus,"
        "spec accept length, block efficiency, tokens per step, tokens per round, accepted tokens,"
        "tokens per verify, tokens per cycle, emitted per round, accept len, tokens step,"
        "num mean accepted tokens, mean accepted tokens, mat, num mat, acc length, acc len",
    ),
    _known(
        "accepted_per_round",
        "number",
        "accepted per round, accepted drafts per round, accepted per step, tau without bonus,"
        "accepted drafts, drafts accepted per round",
    ),
    _known(
        "accepted",
        "count",
        "num accepted, n accept, n accepted, accepted, accepted count,num accepted tokens",
    ),
    _known("drafted", "count", "num drafted, n drafted, drafted, proposed, drafted tokens"),
    _known(
        "tokens",
        "count",
        "tokens, new tokens, emitted, generated tokens, output tokens, n tokens, num tokens,"
        "max new tokens, generated, completion tokens, tokens emitted, n",
    ),
    _known("rounds", "count", "rounds, steps, verify ct, draft rounds, n rounds, num drafts"),
    _known("target_forwards", "count", "target forwards, target calls, target passes, f"),
    _known(
        "latency",
        "time",
        "latency, total time, time, wall time, elapsed, e2e latency, request latency, duration,"
        "end to end latency, generation time",
    ),
    _known("ttft", "time", "ttft, time to first token, first token latency, prefill time"),
    _known(
        "tpot",
        "time",
        "tpot, time per output token, itl, inter token latency, time per token, latency per token,"
        "decode latency per token, per token latency, ms token, ms tok, s token,"
        "token time",
    ),
    _known("target_step", "time", "target step, t target, target forward time, plain step"),
    _known("draft_step", "time", "draft step, t draft, draft forward time"),
    _known("verify_step", "time", "verify, verify step, t verify, verify time"),
    _known("round_time", "time", "round time, time per round, round, step time"),
    _known(
        "throughput",
        "speed",
        "throughput, tok s, tokens s, tokens per second, tps, t s, tokens sec, speed,"
        "decode throughput, generation speed, output throughput, tok sec,"
        "throughput tok s, throughput tokens s, speed tok s, speed t s, decode tok s, output tok s",
    ),
    _known("speedup", "times", "speedup, speed up, acceleration, walltime speedup, wall speedup"),
    _known("ppl", "number", "ppl, perplexity"),
    _known("memory", "bytes", "memory, peak memory, vram, gpu memory, mem, peak mem, max memory"),
    _known("kv_memory", "bytes", "kv memory, kv cache, kv cache memory, kv size, kv mem"),
    _known(
        "context",
        "count",
        "context, context length, prompt length, prompt tokens, ctx, l,"
        "sequence length, seq len, input tokens, input length, prompt len, length",
    ),
    _known("trained_context", "count", "trained context, max position embeddings, trained length"),
    _known("window", "count", "window, window size, w, recent, sliding window"),
    _known("sinks", "count", "sinks, sink tokens, sink, attention sinks"),
    _known("batch", "count", "batch, batch size, bs, concurrency"),
    _known("temperature", "number", "temperature, temp, t"),
    _known("samples", "count", "samples, runs, repeats, prompts, n prompts,  questions"),
    _known("dtype", "text", "dtype, precision, data type"),
    _known("device", "text", "device, gpu, hardware, machine, accelerator"),
    _known("engine", "text", "engine, backend, framework, version"),
    _known("attention", "text", "attention, kernel, attn implementation, graphs, graph mode"),
    _known("cache", "text", "cache, kv policy, cache policy, kv"),
    _known("structure", "text", "structure, shape, draft structure, tree"),
    _known("rule", "text", "rule, acceptance rule, verification, sampler"),
    _known("draft", "text", "draft, draft model, drafter, assistant, assistant model"),
    _known("target", "text", "target, target model, model, base model, main model"),
    _known("text", "text", "dataset, task, data, text, benchmark, workload, domain, data set"),
    _known(
        "label",
        "text",
        "label, method, config, configuration, name, setting, run, mode, variant,"
        "algorithm, arm, approach, system",
    ),
)
_BY_SPELLING = {each: one for one in QUANTITIES for each in one.spellings}
_SIGNS = {
    "\N{GREEK SMALL LETTER ALPHA}": " alpha ",
    "\N{GREEK SMALL LETTER TAU}": " tau ",
    "\N{GREEK SMALL LETTER GAMMA}": " gamma ",
    "#": " num ",
    "speed-up": "speedup",
}
_NOISE = {"avg", "average", "mean", "the", "of", "total", "overall", "observed", "measured"}
_BY_UNIT = {("accepted", "share"): "accept frac", ("cache", "bytes"): "kv memory"}
"""What a heading means whose unit is no unit of what it seems to mean."""
BESIDE_COUNTS = {"num draft tokens": "drafted"}
"""What a heading means beside a count of accepted tokens: to vLLM all drafts, to SGLang a tree."""
_TOLD_BY_UNIT: dict[str, str] = {"speed": "throughput"}


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading, as far as it's understood."""

    text: str
    quantity: Quantity | None
    unit: str | None
    at: tuple[str, int] | None
    """As `position` returns it."""


def read_headings(texts: Sequence[str]) -> list[Heading]:
    """Understand a table's headings, each in the others' company."""
    found = [read_heading(text) for text in texts]
    if not any(each.quantity and each.quantity.name == "accepted" for each in found):
        return found
    company = [" ".join(_words(bare_heading(each.text[:LONGEST_HEADING]))) for each in found]
    return [
        replace(each, quantity=_BY_SPELLING[BESIDE_COUNTS[told]]) if told in BESIDE_COUNTS else each
        for each, told in zip(found, company, strict=True)
    ]


def heading_by_cells(heading: Heading, units: Sequence[str | None]) -> Heading:
    """Return what a heading means whose cells give units: a `Speed` of 2.1x is a speed-up."""
    times = bool(units) and all(each and UNITS.get(each, ("",))[0] == "times" for each in units)
    if times and heading.quantity and heading.quantity.kind == "speed":
        return replace(heading, quantity=_BY_SPELLING["speedup"])
    return heading


def read_heading(text: str) -> Heading:
    """Understand a heading."""
    quantity, unit = recognised(text)
    return Heading(text, quantity, unit, None if quantity else position(text))


@lru_cache(MOST_KEPT)
def recognised(heading: str) -> tuple[Quantity | None, str | None]:
    """Return the quantity a heading names, and the unit it gives; None for either it doesn't."""
    if len(heading) > LONGEST_HEADING:
        return None, None
    whole = _BY_SPELLING.get(" ".join(_words(bare_heading(heading))))
    if whole and whole.kind == "speed":  # `tokens_s` is no time of tokens
        return whole, None
    told, unit = _split_unit(bare_heading(heading))
    for words in (_words(told), [word for word in _words(told) if word not in _NOISE]):
        found = _BY_SPELLING.get(" ".join(words))
        if found:
            measured = UNITS[unit][0] if unit else ""
            return _BY_SPELLING.get(_BY_UNIT.get((found.name, measured), ""), found), unit
    if unit and not _words(told):
        found = _BY_SPELLING.get(_TOLD_BY_UNIT.get(UNITS[unit][0], ""))
        return found, unit
    return None, unit


def bare_heading(heading: str) -> str:
    """Return a heading's text in lower case, without emphasis; underscores are spaces."""
    return bare(heading.replace("_", " ")).lower()


def _split_unit(told: str) -> tuple[str, str | None]:
    """Take a unit off a heading: `latency (ms)`, `TPOT [ms/token]`, `accept %`, `latency ms`."""
    bracketed = re.search(r"[(\[]\s*([^)\]]+?)\s*[)\]]", told)
    if bracketed and (unit := _unit(bracketed[1])):
        return told[: bracketed.start()] + told[bracketed.end() :], unit
    if told.endswith("%"):
        return told[:-1], "%"
    if unit := _unit(told):
        return told if told not in UNITS else "", unit
    head, _, last = told.replace(",", " ").rpartition(" ")
    if head and last != "b" and last in UNITS and UNITS[last][0] in ("time", "bytes", "share"):
        return head, last
    return told, None


def _unit(told: str) -> str | None:
    """Return the unit written here, a time per token being a time."""
    each = re.sub(r"\s*(/|per )\s*tok(en)?$", "", told)
    if each != told and UNITS.get(each, ("", 0))[0] == "time":
        return each
    return told if told in UNITS else None


def _words(told: str) -> list[str]:
    for sign, word in _SIGNS.items():
        told = told.replace(sign, word)
    return re.sub(r"[^a-z0-9]+", " ", told).split()


@lru_cache(MOST_KEPT)
def position(heading: str) -> tuple[str, int] | None:
    """Return what a heading says of one draft index: which rate, and the number it gives.

    `survival` where it says so, `conditional` likewise, `position` where it may be either.
    """
    if len(heading) > LONGEST_HEADING:
        return None
    told = " ".join(_words(bare_heading(heading).rstrip("%")))
    if chain := re.fullmatch(r"(\d) alpha", told):  # n self-fed features, so draft index n + 1
        return "conditional", int(chain[1]) + 1
    for kind, spelt in (
        ("survival", r"(?:s|survival|marginal|unconditional)"),
        ("conditional", r"(?:c|conditional|cond)"),
        (
            "position",
            r"(?:pos|position|accept(?:ance)?(?: rate)?(?: at)?(?: pos(?:ition)?| token)?|index)",
        ),
    ):
        found = re.fullmatch(rf"{spelt} ?(\d\d?)", told)
        if found:
            return kind, int(found[1])
    return None
