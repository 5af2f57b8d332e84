"""Seeded rounds from random table models: no torch, no weights, every number computable.

The draft's logits are the target's plus noise that grows past a trained context; acceptance is the
real rejection rule (or the greedy one at temperature 0). A named fault breaks one thing, the way a
real engine would break it, so that whatever reads captures can be tried on known causes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from specprof import __version__
from specprof.extend import Backend
from specprof.records import (
    Burst,
    ClockFacts,
    Drafted,
    Event,
    Header,
    ModelFacts,
    Observed,
    Prefill,
    Recheck,
    Rechecked,
    Round,
    RunSpec,
    Sample,
    Span,
)

Floats = NDArray[np.float64]
Fault = Literal[
    "none",
    "always-accept",
    "greedy-draft-soft-law",
    "residual-not-subtracted",
    "draft-cache-short",
    "draft-state",
    "two-target-forwards",
    "no-bonus",
]
DRAFT_STEP_NS, VERIFY_NS, ACCEPT_NS, ROLLBACK_NS, GAP_NS = (
    400_000,
    4_000_000,
    90_000,
    10_000,
    60_000,
)
KV_BYTES = {"target": 24_576, "draft": 3_072}


@dataclass(frozen=True, slots=True)
class Place:
    """The two laws at one place, as used, and the draft's as a clean recompute sees it."""

    target: Floats  # [vocab]
    draft: Floats  # [vocab]
    clean: Floats  # [vocab]
    margin: float


class Synthetic(Backend):
    """Rounds from table models."""

    vocabulary: ClassVar[int] = 48
    trained_context: ClassVar[int] = 2048

    def __init__(self, fault: Fault = "none", noise: float = 0.7) -> None:
        self.fault = fault
        self.noise = noise

    def run(self, spec: RunSpec, command: list[str]) -> Iterator[Event]:
        """Yield a header, then for each stop of the walk a prefill, its rounds and its end."""
        settings = spec.settings
        self._random = np.random.default_rng(settings.seed)
        self._greedy = settings.temperature == 0
        self._now = self._index = 0
        yield self._header(spec, command)
        stops = settings.stops if settings.workload == "walk" else 1
        for burst in range(stops):
            context = settings.context * (burst + 1) // stops
            yield from self._burst(burst, context, settings.max_new_tokens, settings.depth)

    def _burst(self, burst: int, context: int, tokens: int, depth: int) -> Iterator[Event]:
        started, index = self._now, self._index
        fed = 2_000_000
        spans = [
            Span("prefill-target", None, 0, fed - 300_000),
            Span("prefill-draft", None, fed - 300_000, 300_000),
        ]
        yield Prefill(
            burst=burst, context=context, fed=500, start_ns=started, wall_ns=fed, spans=spans
        )
        self._now += fed
        emitted, places = 0, list[Rechecked]()
        while emitted < tokens:
            one, seen = self._round(burst, context + emitted, depth)
            places += seen
            emitted += len(one.emitted)
            yield one
        if context <= 4096:
            yield Recheck(burst=burst, places=places)
        yield Sample(at_ns=self._now, rss_bytes=600_000_000 + context * 30_000)
        yield Burst(
            burst=burst,
            start_ns=started,
            wall_ns=self._now - started,
            rounds=self._index - index,
            emitted=emitted,
            finish="length",
        )

    def _round(self, burst: int, context: int, depth: int) -> tuple[Round, list[Rechecked]]:
        places = [self._place(context + i) for i in range(depth + 1)]
        drafted, seen, accepted = list[Drafted](), list[Rechecked](), 0
        for i, place in enumerate(places[:-1]):
            reached = accepted == i
            token = self._draw(self._drafting_law(place))
            one = self._judge(place, token, i, reached=reached)
            drafted.append(one)
            accepted += one.accepted
            if reached:
                seen.append(self._rechecked(place, token, i))
        final = places[accepted]
        token = self._final(final, rejected=accepted < depth)
        emitted = [d.token for d in drafted[:accepted]] + [token]
        if self.fault == "no-bonus" and accepted == depth > 0:
            emitted.pop()
        round_ = self._record(burst, context, depth, drafted, accepted, emitted, final, token)
        return round_, seen

    def _record(
        self, burst: int, context: int, depth: int, drafted: list[Drafted], accepted: int,
        emitted: list[int], final: Place, token: int,
    ) -> Round:  # fmt: skip
        forwards = 2 if self.fault == "two-target-forwards" else 1
        spans, wall = self._spans(depth, forwards)
        length = context + len(emitted)
        fed = length - (2 if accepted == depth > 0 else 1)
        short = 2 * self._index if self.fault == "draft-cache-short" else 0
        draft_length = max(fed - short, 0)
        rejected = accepted < depth
        self._now += wall + GAP_NS // 2
        self._index += 1
        return Round(
            index=self._index - 1,
            burst=burst,
            context=context,
            depth_asked=depth,
            drafted=drafted,
            accepted=accepted,
            emitted=emitted,
            final_target_prob=_short(final.target[token]),
            final_draft_prob=_short(final.draft[token]) if rejected else None,
            start_ns=self._now - wall - GAP_NS // 2,
            wall_ns=wall,
            spans=spans,
            target_forwards=forwards,
            draft_forwards=depth,
            target_length=length - 1,
            draft_length=draft_length,
            target_kv_bytes=(length - 1) * KV_BYTES["target"],
            draft_kv_bytes=draft_length * KV_BYTES["draft"],
        )

    def _spans(self, depth: int, forwards: int) -> tuple[list[Span], int]:
        jitter = 1 + 0.1 * self._random.random()
        step = int(DRAFT_STEP_NS * jitter)
        verify = int(VERIFY_NS * jitter) * forwards
        spans = [Span("draft", None, 0, step * depth)]
        spans += [Span("step", "draft", i * step, step) for i in range(depth)]
        at = step * depth
        for name, ns in (("verify", verify), ("accept", ACCEPT_NS), ("rollback", ROLLBACK_NS)):
            spans.append(Span(name, None, at, ns))
            at += ns
        return spans, at + GAP_NS

    def _place(self, context: int) -> Place:
        far = max(0.0, np.log2(context / self.trained_context)) if context else 0.0
        logits = 2.5 * self._random.standard_normal(self.vocabulary)
        draft = logits + self.noise * (1 + far) * self._random.standard_normal(self.vocabulary)
        used = draft
        if self.fault == "draft-state":
            used = draft + 1.5 * self._random.standard_normal(self.vocabulary)
        top = np.partition(logits, -2)[-2:]
        return Place(self._law(logits), self._law(used), self._law(draft), float(top[1] - top[0]))

    def _law(self, logits: Floats) -> Floats:
        if self._greedy:
            return np.eye(self.vocabulary)[int(logits.argmax())]
        weights = np.exp(logits - logits.max())
        return np.asarray(weights / weights.sum(), dtype=np.float64)

    def _drafting_law(self, place: Place) -> Floats:
        if self.fault == "greedy-draft-soft-law":
            return np.eye(self.vocabulary)[int(place.draft.argmax())]
        return place.draft

    def _draw(self, law: Floats) -> int:
        return int(np.searchsorted(law.cumsum(), self._random.random() * law.sum(), side="right"))

    def _judge(self, place: Place, token: int, index: int, *, reached: bool) -> Drafted:
        owed = float(min(1.0, place.target[token] / place.draft[token]))
        fair = bool(self._random.random() < owed)
        return Drafted(
            token=token,
            parent=index - 1,
            reached=reached,
            accepted=reached and (fair or self.fault == "always-accept"),
            seen=self._observed(place, token, owed) if reached else None,
        )

    def _observed(self, place: Place, token: int, owed: float) -> Observed:
        return Observed(
            target_prob=_short(place.target[token]),
            draft_prob=_short(place.draft[token]),
            overlap=_short(np.minimum(place.target, place.draft).sum()),
            accept_owed=_short(owed),
        )

    def _final(self, place: Place, *, rejected: bool) -> int:
        if not rejected or self.fault == "residual-not-subtracted":
            return self._draw(place.target)
        return self._draw(np.maximum(place.target - place.draft, 0))

    def _rechecked(self, place: Place, token: int, index: int) -> Rechecked:
        return Rechecked(
            round=self._index,
            index=index,
            target_prob=_short(place.target[token]),
            draft_prob=_short(place.clean[token]),
            overlap=_short(np.minimum(place.target, place.clean).sum()),
            margin=_short(place.margin),
        )

    def _header(self, spec: RunSpec, command: list[str]) -> Header:
        return Header(
            specprof=__version__,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            spec=spec,
            command=command,
            target=self._facts("target", 12),
            draft=self._facts("draft", 2),
            acceptance="greedy" if self._greedy else "rejection",
            clock=ClockFacts(kind="synthetic", read_ns=0.0),
            device="none",
            text="synthetic tables",
        )

    def _facts(self, role: str, layers: int) -> ModelFacts:
        return ModelFacts(
            name=f"synthetic/{role}",
            architecture="table",
            parameters=0,
            layers=layers,
            vocabulary=self.vocabulary,
            dtype="float64",
            weight_bytes=0,
            kv_bytes_per_token=KV_BYTES[role],
            trained_context=None if role == "target" else self.trained_context,
        )


def _short(value: float) -> float:
    """Five significant digits: enough for every test, half the bytes."""
    return float(f"{value:.5g}")
