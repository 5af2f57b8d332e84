"""Seeded rounds from random table models: no torch, no weights, every number computable.

Acceptance is the real rejection rule (or the greedy one at temperature 0), and the mismatch grows
past a trained context. A named fault breaks one thing, the way a real engine would break it, so
that whatever reads captures can be tried on known causes. Times are made up.
"""

from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from specprof import __version__
from specprof.backends._tables import FAULTS, Place, Tables, observed, rechecked, short
from specprof.errors import UnknownName
from specprof.extend import Backend
from specprof.plan import acceptance_in_force, stops
from specprof.records import (
    Burst,
    ClockFacts,
    Drafted,
    Event,
    Header,
    ModelFacts,
    Plain,
    Prefill,
    Recheck,
    Rechecked,
    Round,
    RunSpec,
    Sample,
    Span,
)

DRAFT_STEP_NS, VERIFY_NS, VERIFY_TOKEN_NS = 400_000, 4_000_000, 60_000
ACCEPT_NS, ROLLBACK_NS, GAP_NS, PREFILL_NS = 90_000, 10_000, 60_000, 2_000_000
DRAFT_PREFILL_NS = 300_000
KV_BYTES = {"target": 24_576, "draft": 3_072}
FIRST_STOP = 128
"""The shallowest context of a walk."""
ASTRAY = 1.5
"""Noise on the logits of a model whose state is wrong."""


@dataclass
class _Caches:
    """How far the two caches are from what they should hold; a prefill makes them right."""

    draft_short: int = 0
    target_over: int = 0


@dataclass
class _Played:
    """A round as it is being played."""

    drafted: list[Drafted] = field(default_factory=list)
    rechecked: list[Rechecked] = field(default_factory=list)
    accepted: int = 0


class Synthetic(Backend):
    """Rounds from table models."""

    def __init__(self, fault: str = "none", noise: float = 0.7) -> None:
        if fault not in FAULTS:
            raise UnknownName("synthetic fault", fault, FAULTS)
        self.fault = fault
        self.noise = noise

    def run(self, spec: RunSpec, command: list[str]) -> Generator[Event]:
        """Yield a header, then for each stop of the walk a prefill, its rounds and its end."""
        settings = self._settings = spec.settings
        self._depth = 0 if settings.drafter == "none" else settings.depth
        self._tables = Tables(self.fault, self.noise, settings.temperature, settings.seed)
        self._now = self._index = 0
        yield self._header(spec, command)
        for burst, context in enumerate(stops(settings)):
            yield from self._burst(burst, context)

    def _burst(self, burst: int, context: int) -> Iterator[Event]:
        settings, started, index = self._settings, self._now, self._index
        self._caches = _Caches()
        yield self._prefill(burst, context)
        room, places = settings.max_new_tokens, list[Rechecked]()
        while room > 0:
            played, one = self._round(burst, context + settings.max_new_tokens - room, room)
            places += played.rechecked
            room -= len(one.emitted)
            if settings.detail != "off":
                yield one
        if self._depth and settings.plain_steps:
            yield self._plain(burst, context + settings.max_new_tokens)
        if places and context <= settings.recheck_context and settings.detail == "evidence":
            yield Recheck(burst=burst, places=places)
        yield Sample(at_ns=self._now, rss_bytes=600_000_000 + context * 30_000)
        yield Burst(
            burst=burst,
            start_ns=started,
            wall_ns=self._now - started,
            rounds=self._index - index,
            emitted=settings.max_new_tokens,
            finish="length",
        )

    def _plain(self, burst: int, context: int) -> Plain:
        jitter = 1 + 0.1 * self._tables.random.random(self._settings.plain_steps)
        rest = ACCEPT_NS + ROLLBACK_NS + GAP_NS
        steps = [int(VERIFY_NS * each) + rest for each in jitter]
        return Plain(burst=burst, context=context, steps_ns=steps)

    def _prefill(self, burst: int, context: int) -> Prefill:
        spans = [Span("prefill-target", None, 0, PREFILL_NS)]
        if self._depth:
            spans.append(Span("prefill-draft", None, PREFILL_NS, DRAFT_PREFILL_NS))
        wall = sum(span.ns for span in spans)
        self._now += wall
        return Prefill(
            burst=burst,
            context=context,
            fed=500,
            start_ns=self._now - wall,
            wall_ns=wall,
            spans=spans,
        )

    def _round(self, burst: int, context: int, room: int) -> tuple[_Played, Round]:
        places = [self._place(context + i) for i in range(self._depth + 1)]
        played = _Played()
        for place in places[:-1]:
            self._judge(played, place)
        final = places[played.accepted]
        rejected = played.accepted < self._depth
        token = self._tables.correction(final) if rejected else self._tables.bonus(final)
        emitted = [one.token for one in played.drafted[: played.accepted]] + [token]
        if self.fault == "no-bonus" and self._depth and not rejected:
            emitted.pop()
        return played, self._record(burst, context, played, emitted[:room], final)

    def _place(self, context: int) -> Place:
        astray = self.fault == "draft-state" or self._caches.draft_short > 0
        return self._tables.place(
            context,
            draft_astray=ASTRAY if astray else 0.0,
            target_astray=ASTRAY if self._caches.target_over else 0.0,
        )

    def _judge(self, played: _Played, place: Place) -> None:
        index = len(played.drafted)
        reached = played.accepted == index
        token = self._tables.drafted(place)
        accepted = reached and self._tables.stands(place, token)
        evidence = reached and self._settings.detail == "evidence"
        played.drafted.append(
            Drafted(
                token=token,
                parent=index - 1,
                reached=reached,
                accepted=accepted,
                seen=observed(place, token) if evidence else None,
            )
        )
        if reached:
            played.rechecked.append(rechecked(place, token, self._index, index))
        played.accepted += accepted

    def _record(
        self, burst: int, context: int, played: _Played, emitted: list[int], final: Place
    ) -> Round:
        rejected = played.accepted < self._depth
        self._break_caches(rejected=rejected)
        committed = context + len(emitted)
        target_length = committed - 1 + self._caches.target_over
        fed = min(context + self._depth - 1, committed - 1)
        draft_length = max(fed - self._caches.draft_short, 0)
        spans, wall = self._spans()
        started, self._now = self._now, self._now + wall + GAP_NS // 2
        self._index += 1
        evidence = self._settings.detail == "evidence"
        return Round(
            index=self._index - 1,
            burst=burst,
            context=context,
            depth_asked=self._depth,
            drafted=played.drafted,
            accepted=played.accepted,
            emitted=emitted,
            final_target_prob=short(final.target[emitted[-1]]) if evidence else None,
            final_draft_prob=short(final.draft[emitted[-1]]) if evidence and rejected else None,
            start_ns=started,
            wall_ns=wall,
            spans=spans,
            target_forwards=self._forwards,
            draft_forwards=self._depth,
            target_length=target_length,
            draft_length=draft_length if self._depth else None,
            target_kv_bytes=target_length * KV_BYTES["target"],
            draft_kv_bytes=draft_length * KV_BYTES["draft"] if self._depth else None,
        )

    @property
    def _forwards(self) -> int:
        return 2 if self.fault == "two-target-forwards" and self._depth else 1

    def _break_caches(self, *, rejected: bool) -> None:
        if self.fault == "draft-cache-short" and rejected:
            self._caches.draft_short += 2
        if self.fault == "draft-last-missing" and not rejected:
            self._caches.draft_short += 1
        if self.fault == "target-keeps-rejected" and rejected:
            self._caches.target_over += 1

    def _spans(self) -> tuple[list[Span], int]:
        depth, jitter = self._depth, 1 + 0.1 * self._tables.random.random()
        step = int(DRAFT_STEP_NS * jitter) * (20 if self.fault == "slow-draft" else 1)
        verify = int((VERIFY_NS + depth * VERIFY_TOKEN_NS) * jitter) * self._forwards
        spans = [Span("draft", None, 0, step * depth)]
        spans += [Span("step", "draft", i * step, step) for i in range(depth)]
        at = step * depth
        for name, ns in (("verify", verify), ("accept", ACCEPT_NS), ("rollback", ROLLBACK_NS)):
            spans.append(Span(name, None, at, ns))
            at += ns
        return spans, at + GAP_NS * (60 if self.fault == "host-gap" else 1)

    def _header(self, spec: RunSpec, command: list[str]) -> Header:
        return Header(
            specprof=__version__,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            spec=spec,
            command=command,
            target=_facts("target", 12, None),
            draft=_facts("draft", 2, Tables.trained_context) if self._depth else None,
            acceptance=acceptance_in_force(spec.settings),
            clock=ClockFacts(kind="synthetic", read_ns=0.0),
            device="none",
            text="synthetic tables",
        )


def _facts(role: str, layers: int, trained_context: int | None) -> ModelFacts:
    return ModelFacts(
        name=f"synthetic/{role}",
        architecture="table",
        parameters=0,
        layers=layers,
        vocabulary=Tables.vocabulary,
        dtype="float64",
        weight_bytes=0,
        kv_bytes_per_token=KV_BYTES[role],
        trained_context=trained_context,
    )
