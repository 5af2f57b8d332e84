"""What a run could gain: each remedy's tokens per second, the break-even, the distance to the roof.

These are bounds, not promises: each remedy removes one part of the round and leaves the rest as it
was. Remedies don't add up. The roof is the speed at which a step takes only the time to read the
weights and the cache once (theory 6.2).
"""

from dataclasses import dataclass

from specprof.analysis import cost_model
from specprof.analysis.cost_model import Costs
from specprof.analysis.evidence import Evidence
from specprof.analysis.verify_cost import VerifyCost, verify_cost
from specprof.errors import MissingEvidence

BANDWIDTH_FACT = "bandwidth_bytes_per_s"
"""Key of the machine's bandwidth in a capture's header."""


@dataclass(frozen=True, slots=True)
class Remedy:
    """One change to the run, and the speed it would allow."""

    name: str
    tokens_per_second: float
    gain: float
    """This speed / the speed as it ran."""


@dataclass(frozen=True, slots=True)
class Roof:
    """A plain step's time against the least time in which its bytes can be read."""

    bytes_per_step: float
    bandwidth: float
    """Bytes per second of a memory copy on the machine of the run."""
    floor_ns: float
    distance: float
    """Plain step / floor. 1 is the roof. Less than 1 means a mistimed step, or weights and cache
    that fit in the processor's cache."""


@dataclass(frozen=True, slots=True)
class Prospects:
    """What a run could gain, given its costs."""

    remedies: list[Remedy]
    """The first is the run as it was."""
    break_even: float | None
    """Acceptance per reached draft, equal at every index, from which this depth pays. None where no
    acceptance does, or where plain decoding was not timed."""
    best_depth: int | None
    """None for trees."""
    verify: VerifyCost | None
    roof: Roof | None
    unknown: list[str]
    """What could not be computed, and what to record for it."""


def prospects(evidence: Evidence) -> Prospects:
    """Return what each remedy would gain. Raises MissingEvidence where no times were recorded."""
    cost = evidence.ask(cost_model.costs)
    unknown = list[str]()
    verify = roof = None
    try:
        verify = evidence.ask(verify_cost)
    except MissingEvidence as missing:
        unknown.append(f"the verify pass' cost by width: {missing.title}; {missing.hint}")
    try:
        roof = evidence.ask(roofline)
    except MissingEvidence as missing:
        unknown.append(f"the distance from the roofline: {missing.title}; {missing.hint}")
    best = None if evidence.columns.trees else evidence.ask(cost_model.best_depth).best
    alpha = cost_model.break_even(cost) if cost.has_baseline else None
    return Prospects(_remedies(evidence, cost), alpha, best, verify, roof, unknown)


def _remedies(evidence: Evidence, cost: Costs) -> list[Remedy]:
    whole, drafting = cost.round_ns, cost.depth * cost.draft_step_ns
    saved = max(cost.verify_ns - cost.plain_step_ns, 0.0)
    named = [
        ("as it ran", cost.tau / whole),
        ("a draft that costs nothing", cost.tau / _time_left(whole, drafting)),
        ("no host gap", cost.tau / _time_left(whole, max(cost.gap_ns, 0.0))),
        ("one target forward a round", cost.tau / _time_left(whole, cost.extra_ns)),
        ("every draft accepted", (cost.depth + 1) / whole),
    ]
    if cost.has_baseline:
        named.insert(
            2, ("a verify pass at the price of a plain step", cost.tau / _time_left(whole, saved))
        )
        named.append(("plain decoding", 1 / (cost.plain_round_ns * cost.mix)))
    if not evidence.columns.trees:
        choice = evidence.ask(cost_model.best_depth)
        if choice.best:  # K = 0 is plain decoding, which was timed, not predicted
            named.insert(
                1, (f"K = {choice.best}, the best up to here", choice.gain.value * named[0][1])
            )
    return [Remedy(name, 1e9 * speed, speed / named[0][1]) for name, speed in named]


def _time_left(whole_ns: float, less_ns: float) -> float:
    """Return what is left of a round's time; at least 1 ns, because clocks may overlap."""
    return max(whole_ns - less_ns, 1.0)


def roofline(evidence: Evidence) -> Roof:
    """Return how far a plain step is from the memory floor; a batch reads the weights once."""
    header, cost = evidence.header, evidence.ask(cost_model.costs)
    bandwidth = header.machine.get(BANDWIDTH_FACT)
    if not isinstance(bandwidth, int) or bandwidth <= 0:
        hint = "record again: this version measures it"
        raise MissingEvidence("the machine's bandwidth wasn't recorded", hint)
    if not header.target or not header.target.weight_bytes or not cost.has_baseline:
        raise MissingEvidence("no plain step over weights of known size", "record with plain steps")
    rounds = evidence.speculative
    held = float(rounds.target_kv_bytes.mean())
    cached = held if held == held else rounds.context.mean() * header.target.kv_bytes_per_token  # noqa: PLR0124 - nan
    weights = header.target.weight_bytes / evidence.settings.batch
    floor = 1e9 * (weights + cached) / bandwidth
    return Roof(weights + cached, float(bandwidth), floor, cost.plain_step_ns / floor)
