"""Seeded rounds from random table models: no torch, no weights, every number computable.

Acceptance is the real rejection rule (or the greedy one at temperature 0), and the mismatch grows
past a trained context. A named fault breaks one thing, as it would be broken in a real engine, so
that readers of captures can be tried on known causes. Times are made up.
"""

from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

import msgspec

from specprof import limits
from specprof.backends._tables import FAULTS, Place, Tables, observe, rank_final, recheck, short
from specprof.errors import UnknownName
from specprof.extend import Backend
from specprof.plan import acceptance_in_force, stops
from specprof.recheck_records import Rechecked, Rescored
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
    Round,
    Sample,
    Scored,
    Span,
)
from specprof.settings import EVIDENCE_DETAILS, RunSpec
from specprof.version import __version__

DRAFT_STEP_NS, VERIFY_NS, VERIFY_TOKEN_NS = 400_000, 4_000_000, 60_000
ACCEPT_NS, ROLLBACK_NS, GAP_NS, PREFILL_NS = 90_000, 10_000, 60_000, 2_000_000
DRAFT_PREFILL_NS = 300_000
KV_BYTES = {"target": 24_576, "draft": 3_072}
WRONG_STATE_NOISE = 1.5
"""Noise on the logits of a model whose state is wrong."""


@dataclass
class _Caches:
    """Tokens by which the two caches differ from what they should hold; a prefill corrects them."""

    draft_short: int = 0
    target_over: int = 0


@dataclass
class _Sequence:
    """One sequence decoded from one stop of the walk."""

    number: int
    burst: int
    context: int
    """Committed tokens."""
    room: int
    """Tokens yet to be emitted."""
    caches: _Caches = field(default_factory=_Caches)
    rounds: int = 0
    rechecked: list[Rechecked] = field(default_factory=list)
    rescored: list[Rescored] = field(default_factory=list)


@dataclass
class _Played:
    """A round as it is being played."""

    index: int
    final: Place
    """Where the correction or the bonus is drawn."""
    drafted: list[Drafted] = field(default_factory=list)
    path: list[int] = field(default_factory=list)
    """The accepted tokens."""
    places: list[Place] = field(default_factory=list)
    """Where each accepted token was judged."""
    rejected: bool = False
    emitted: list[int] = field(default_factory=list)


class Synthetic(Backend):
    """Rounds from table models: chains, static trees, several sequences at once, scored text."""

    def __init__(
        self, fault: str = "none", noise: float = 0.7, strength: float | None = None
    ) -> None:
        """Break rounds by `fault`; `strength` says how much, for too-strict and draft-state."""
        if fault not in FAULTS:
            raise UnknownName("synthetic fault", fault, FAULTS)
        self.fault = fault
        self.noise = noise
        self.strength = strength
        self.astray = WRONG_STATE_NOISE if strength is None else strength

    def run(self, spec: RunSpec, command: list[str]) -> Generator[Event]:
        """Yield a header, then for each stop of the walk a prefill, its rounds and its end.

        With the workload `ppl`, a header and the scored text.
        """
        settings = self._settings = spec.settings
        self._depth = 0 if settings.drafter == "none" else settings.depth
        scores = settings.workload == "ppl"
        temperature = 1.0 if scores else settings.temperature
        self._tables = Tables(self.fault, self.noise, temperature, settings.seed, self.strength)
        self._now = self._index = 0
        yield self._header(spec, command)
        if scores:
            yield from self._score_text()
            return
        for stop, context in enumerate(stops(settings)):
            yield from self._decode_stop(stop, context)

    def _decode_stop(self, stop: int, context: int) -> Iterator[Event]:
        """Decode every sequence of the batch from `context`, a round of all of them at a time."""
        settings, started = self._settings, self._now
        sequences = [
            _Sequence(number, stop * settings.batch + number, context, settings.max_new_tokens)
            for number in range(settings.batch)
        ]
        for each in sequences:
            yield self._prefill(each.burst, context)
        while live := [each for each in sequences if each.room > 0]:
            rounds = self._step(live)
            if settings.detail != "off":
                yield from rounds
        plain = self._plain_steps() if self._depth and settings.plain_steps else None
        if plain:  # one record for the whole batch
            yield Plain(burst=sequences[0].burst, context=sequences[0].context, steps_ns=plain)
        for each in sequences:
            deep = context > settings.recheck_context
            if not deep and settings.detail in EVIDENCE_DETAILS:
                yield Recheck(burst=each.burst, places=each.rechecked, emitted=each.rescored)
        yield Sample(at_ns=self._now, rss_bytes=600_000_000 + context * 30_000)
        for each in sequences:
            yield Burst(
                burst=each.burst,
                start_ns=started,
                wall_ns=self._now - started,
                rounds=each.rounds,
                emitted=settings.max_new_tokens,
                finish="length",
                sequence=each.number,
            )

    def _plain_steps(self) -> list[int]:
        jitter = 1 + 0.1 * self._tables.random.random(self._settings.plain_steps)
        rest = ACCEPT_NS + ROLLBACK_NS + GAP_NS
        verify = VERIFY_NS + (self._settings.batch - 1) * VERIFY_TOKEN_NS
        return [int(verify * each) + rest for each in jitter]

    def _score_text(self) -> Iterator[Scored]:
        """Score a text that is drawn from the target's law, a few tokens a pass."""
        step, context = self._settings.score_step, 1
        while context < self._settings.context:
            end = min(context + step, self._settings.context)
            wall = VERIFY_NS + (end - context) * VERIFY_TOKEN_NS
            held, evicted = self._held_tokens(end - 1)
            yield Scored(
                context=context,
                nll=[self._tables.nll(at) for at in range(context, end)],
                start_ns=self._now,
                wall_ns=wall,
                target_length=end - 1,
                target_kv_bytes=held * KV_BYTES["target"],
                target_evicted=evicted,
            )
            self._now, context = self._now + wall, end

    def _held_tokens(self, length: int) -> tuple[int, int | None]:
        """Return the tokens a cache of that length still holds, and how many it dropped."""
        if self._settings.cache == "dense":
            return length, None
        settings = self._settings
        beyond = max(length - settings.sinks - settings.window, 0)
        evicted = beyond // settings.block * settings.block
        return length - evicted, evicted

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

    def _step(self, live: list[_Sequence]) -> list[Round]:
        """Play a round of each sequence; all take as long as they take together."""
        played = [self._play(each) for each in live]
        drafted = sum(len(one.drafted) for one in played)
        spans, wall = self._spans(drafted, len(live))
        started, self._now = self._now, self._now + wall + GAP_NS // 2
        return [
            self._record(each, one, started, (spans, wall), len(live))
            for each, one in zip(live, played, strict=True)
        ]

    def _play(self, each: _Sequence) -> _Played:
        """Draft, judge, and draw the token after those that stood."""
        chained = self._settings.shape == "chain" or not self._depth
        played = self._chain(each) if chained else self._tree(each)
        draw = self._tables.draw_correction if played.rejected else self._tables.draw_bonus
        played.emitted = [*played.path, draw(played.final)]
        lost = "correction-lost" if played.rejected else "no-bonus"
        if self.fault == lost and played.path:  # a round that commits nothing would never end
            played.emitted.pop()
        self._index += 1
        return played

    def _chain(self, each: _Sequence) -> _Played:
        places = [self._place(each, i) for i in range(self._depth + 1)]
        played = _Played(self._index, places[0])
        judged = [] if self.fault == "nothing-proposed" else places[:-1]
        for index, place in enumerate(judged):
            reached = not played.rejected
            token = self._tables.draw_draft(place)
            accepted = reached and self._tables.stands(place, token)
            self._note_judged(each, played, place, Drafted(token, index - 1, reached, accepted))
            if accepted:
                played.path.append(token)
                played.places.append(place)
                played.final = places[index + 1]
            played.rejected = not (reached and accepted)
        return played

    def _tree(self, each: _Sequence) -> _Played:
        """Draft a whole tree without replacement, then judge siblings in turn (theory 2.9)."""
        widths = limits.read_widths(self._settings)
        tips = {-1: self._place(each, 0)}
        nodes, at = list[tuple[int, int, Place]](), list(tips)
        for level in range(self._depth):
            width, parents, at = widths[level] if level < len(widths) else 1, at, []
            for parent in parents:
                place = tips[parent]
                for _ in range(width):
                    token = self._tables.draw_draft(place)
                    at.append(len(nodes))
                    nodes.append((token, parent, place))
                    place = self._tables.left(place, token)
            for node in at:
                tips[node] = self._place(each, level + 1)
        return self._judge_tree(each, nodes, tips)

    def _judge_tree(
        self, each: _Sequence, nodes: list[tuple[int, int, Place]], tips: dict[int, Place]
    ) -> _Played:
        played, tip = _Played(self._index, tips[-1]), -1
        for node, (token, parent, place) in enumerate(nodes):
            reached = parent == tip  # once a sibling stood, the tip has moved on
            accepted = reached and self._tables.stands(place, token)
            self._note_judged(each, played, place, Drafted(token, parent, reached, accepted))
            if reached:
                played.rejected, played.final = not accepted, place
            if accepted:
                played.path.append(token)
                played.places.append(place)
                tip, played.final = node, tips[node]
        return played

    def _note_judged(self, each: _Sequence, played: _Played, place: Place, one: Drafted) -> None:
        """Add a judged token to its round, with its observed and its rechecked numbers."""
        if one.reached:
            node = len(played.drafted)
            each.rechecked.append(recheck(place, one.token, played.index, node))
            if self._settings.detail in EVIDENCE_DETAILS:
                one = msgspec.structs.replace(one, seen=observe(place, one.token))
        played.drafted.append(one)

    def _place(self, each: _Sequence, index: int) -> Place:
        astray = self.fault == "draft-state" or each.caches.draft_short > 0
        return self._tables.place(
            each.context + index,
            draft_astray=self.astray if astray else 0.0,
            target_astray=WRONG_STATE_NOISE if each.caches.target_over else 0.0,
            index=index,
        )

    @property
    def _forwards(self) -> int:
        return 2 if self.fault == "two-target-forwards" and self._depth else 1

    def _record(
        self,
        each: _Sequence,
        played: _Played,
        at_ns: int,
        times: tuple[list[Span], int],
        shared: int,
    ) -> Round:
        """Commit a round, move its sequence on, and return the round's record."""
        self._break_caches(each.caches, rejected=played.rejected)
        context, emitted, final = each.context, played.emitted[: each.room], played.final
        each.context, each.room = context + len(emitted), each.room - len(emitted)
        each.rounds += 1
        whole = len(emitted) == len(played.path) + 1  # neither limit nor fault cut off the final
        for slot, at in enumerate([*played.places, final][: len(emitted)]):
            scored = self._tables.rescore(at, emitted[slot], played.index, slot)
            if not self._depth:
                scored = msgspec.structs.replace(scored, draft_nll=None)
            each.rescored.append(scored)
        target_length = each.context - 1 + each.caches.target_over
        # A tree is rolled back whole; a chain's accepted drafts stay in the draft's cache.
        fed = context + (self._depth - 1 if self._settings.shape == "chain" else 0)
        draft_length = max(min(fed, each.context - 1) - each.caches.draft_short, 0)
        target_held, target_evicted = self._held_tokens(target_length)
        draft_held, draft_evicted = self._held_tokens(draft_length)
        final_known, drafts = whole and self._settings.detail in EVIDENCE_DETAILS, self._depth > 0
        ranked: tuple[float | None, float | None] = None, None
        if final_known and played.drafted and self._settings.temperature:
            ranked = rank_final(final, emitted[-1], corrected=played.rejected)
        draft_prob = short(final.draft[emitted[-1]]) if final_known and played.rejected else None
        return Round(
            index=played.index,
            burst=each.burst,
            context=context,
            depth_asked=self._depth,
            drafted=played.drafted,
            accepted=len(played.path),
            emitted=emitted,
            final_target_prob=short(final.target[emitted[-1]]) if final_known else None,
            final_draft_prob=draft_prob,
            final_rank=ranked[0],
            final_order=ranked[1],
            start_ns=at_ns,
            wall_ns=times[1],
            spans=times[0],
            target_forwards=self._forwards,
            draft_forwards=self._depth,
            target_length=target_length,
            draft_length=draft_length if drafts else None,
            target_kv_bytes=target_held * KV_BYTES["target"],
            draft_kv_bytes=draft_held * KV_BYTES["draft"] if drafts else None,
            target_evicted=target_evicted,
            draft_evicted=draft_evicted if drafts else None,
            sequence=each.number,
            shared=shared,
        )

    def _break_caches(self, caches: _Caches, *, rejected: bool) -> None:
        if self.fault == "draft-cache-short" and rejected:
            caches.draft_short += 2
        if self.fault == "draft-last-missing" and not rejected:
            caches.draft_short += 1
        if self.fault == "target-keeps-rejected" and rejected:
            caches.target_over += 1

    def _spans(self, drafted: int, sequences: int) -> tuple[list[Span], int]:
        """Return a step's spans and wall time: its tokens beyond a plain step's cost extra."""
        depth, jitter = self._depth, 1 + 0.1 * self._tables.random.random()
        extra = drafted + sequences - 1
        step = int(DRAFT_STEP_NS * jitter) * (20 if self.fault == "slow-draft" else 1)
        verify = int((VERIFY_NS + extra * VERIFY_TOKEN_NS) * jitter) * self._forwards
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
            lossless=True,
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
