"""Turn players' replies into figures: rates of decoding alone, and ratios between arms.

A repeat is one block, in which every arm plays every prompt, minutes apart at most. Ratios are
taken within blocks; the median and its interval are taken over the blocks.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from specprof.analysis.paired_timing import median

SETTLED_TOKENS = 8
"""New tokens before decoding is timed: by then both models of every engine have read the text."""
REFERENCE_ARMS = (
    "transformers assisted",
    "transformers generate",
    "openvino speculative",
    "openvino plain",
)
"""The arms that all others are compared with."""
HEADS = ("emitted", "8th out", "accepted")
SUBHEADS = ("/second", "ms", "/round")
NARROW_COLUMN, WIDE_COLUMN = 9, 16

Play = dict[str, Any]
Plays = dict[str, list[list[Play]]]
"""Arm -> repeat -> prompt -> the player's reply."""


def measure_decoding(stamps: Sequence[tuple[float, int]]) -> tuple[int, float, int]:
    """Return the tokens, seconds and rounds after the round that emits the eighth token.

    `stamps` holds for each round the time at which its tokens were out, in seconds, and their
    number. Raises ValueError if no round comes after that round.
    """
    out = 0
    for place, (begun, count) in enumerate(stamps[:-1]):
        out += count
        if out >= SETTLED_TOKENS:
            rest = stamps[place + 1 :]
            return sum(count for _, count in rest), stamps[-1][0] - begun, len(rest)
    raise ValueError(f"{out} tokens were out before the last round: ask for more new tokens")


def compare_arms(told: Plays, depth: int) -> dict[str, dict[str, Any]]:
    """Return every arm's figures; `depth` is the K of the speculative arms."""
    pace = {arm: np.array([_pace(plays) for plays in repeats]) for arm, repeats in told.items()}
    return {arm: _figures(repeats, pace, arm, depth) for arm, repeats in told.items()}


def _pace(plays: list[Play]) -> float:
    """Return the seconds per token of one block's decoding."""
    found = [measure_decoding(play["stamps"]) for play in plays]
    return sum(seconds for _, seconds, _ in found) / sum(tokens for tokens, _, _ in found)


def _figures(
    repeats: list[list[Play]], pace: dict[str, np.ndarray], arm: str, depth: int
) -> dict[str, Any]:
    plays = [play for block in repeats for play in block]
    before = [play["wall_s"] - measure_decoding(play["stamps"])[1] for play in plays]
    first = [play["stamps"] for play in repeats[0]]
    found = [measure_decoding(stamps) for stamps in first]
    tokens, rounds = sum(each[0] for each in found), sum(each[2] for each in found)
    busy = [play["process_s"] / play["wall_s"] for play in plays]
    tells = [play["engine_tells"] for play in repeats[0] if "engine_tells" in play]
    return {
        "emitted_per_decoding_second": round(1 / float(np.median(pace[arm])), 1),
        "eighth_token_ms": round(float(np.median(before)) * 1e3, 1),
        "accepted_per_round": round(tokens / rounds - 1, 3) if tokens > rounds else None,
        "depth": depth if tokens > rounds else 0,
        "busy_cores": round(float(np.median(busy)), 2),
        "speed_over": {
            other: ratio(pace[other] / pace[arm]) for other in REFERENCE_ARMS if other in pace
        },
        "engine_tells": {
            name: sum(each[name] for each in tells) for name in ("drafted", "accepted")
        }
        if tells
        else None,
    }


def ratio(blocks: np.ndarray) -> dict[str, Any]:
    """Return the median of the blocks' ratios, and its interval: None with too few blocks."""
    found = median(blocks)
    if found is None:
        raise ValueError("no block was played: ask for at least one repeat")
    bounds = [round(each, 3) for each in (found.low, found.high) if each is not None]
    return {"median": round(found.value, 3), "interval_95": bounds or None}


def table(found: dict[str, Any]) -> str:
    """Return one setting's table."""
    arms = found["arms"]
    over = [name for name in REFERENCE_ARMS if name in arms]
    width = max(map(len, arms))
    threads = f"{found['threads']} thread" + "s" * (found["threads"] != 1)
    rows = [
        ("", HEADS, ["speed over" for _ in over], ""),
        ("", SUBHEADS, [_shorten(name) for name in over], "tokens"),
        *((name, *_cells(arm, over)) for name, arm in arms.items()),
    ]
    lines = [
        f"{name:<{width}}"
        + "".join(f"{each:>{NARROW_COLUMN}}" for each in narrow)
        + "".join(f"  {each:>{WIDE_COLUMN}}" for each in wide)
        + f"  {last}"
        for name, narrow, wide, last in rows
    ]
    lines.insert(2, "─" * max(map(len, lines)))
    title = f"{threads}, context {found['context']:,}, K = {found['depth']}, greedy, float32"
    return "\n".join([title, *(line.rstrip() for line in lines), ""])


def _cells(arm: dict[str, Any], over: list[str]) -> tuple[list[str], list[str], str]:
    accepted = arm["accepted_per_round"]
    narrow = [
        f"{arm['emitted_per_decoding_second']:,.1f}",
        f"{arm['eighth_token_ms']:,.1f}",
        "–" if accepted is None else f"{accepted:.2f}",
    ]
    return (
        narrow,
        [_format_ratio(arm["speed_over"][name]) for name in over],
        _describe_tokens(arm["other_tokens"]),
    )


def _shorten(name: str) -> str:
    return name.replace("transformers", "HF").replace("openvino", "OV")


def _format_ratio(found: dict[str, Any]) -> str:
    if found["interval_95"] is None:
        return f"{found['median']:.2f}"
    low, high = found["interval_95"]
    return f"{found['median']:.2f} [{low:.2f} {high:.2f}]"


def _describe_tokens(parted: list[dict[str, Any]]) -> str:
    if not parted:
        return "same"
    if all(each["near_tie"] for each in parted):
        return "same but for near ties"
    return f"other in {len({each['prompt'] for each in parted})} prompts"
