"""What captures can answer: one capture under examination, others beside it.

Works each answer out once. Knows which records answer which question, and says so when they are
missing. Draws no conclusion: the rules do that. Reads only columns, so it serves a growing capture
as well as a whole one.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import numpy as np

from specprof.analysis.columns import Columns
from specprof.analysis.contradictions import contradictions, rows_of_rounds
from specprof.analysis.doubts import Contradiction
from specprof.analysis.outcomes import FIRST, MISSING, code_outcomes
from specprof.analysis.replays import Replays, find_replays
from specprof.analysis.stats import Estimate, ratio
from specprof.analysis.tables import (
    Bools,
    Floats,
    Ints,
    Places,
    RecheckedPlaces,
    RescoredTokens,
    Rounds,
)
from specprof.capabilities import has_distribution
from specprof.errors import MissingEvidence
from specprof.records import Header
from specprof.settings import Settings

Answer = TypeVar("Answer")
FAMILY_ERROR = 0.01
"""Largest probability that any of the statistical tests accuses a healthy run of a bug or of an
unfit draft."""
TEST_COUNT = 8
"""The tests: the accept rule, the draft's law, the target's state, the draft's state, the step at a
trained context, the finals' law, the text's law, the draft against a constant."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """Places that were judged during the run and again by the cache-free recheck.

    Every property is an array, [pairs], in the order of the recheck. It is looked up when read.
    """

    used: Places
    """All places as the run judged them."""
    clean: RecheckedPlaces
    """The places of the pairs, as rechecked."""
    row: Ints
    """The row of each pair in `used`."""

    @property
    def round(self) -> Ints:
        """The round's index."""
        return self.used.round[self.row]

    @property
    def index(self) -> Ints:
        """Draft index: the level in a tree."""
        return self.used.index[self.row]

    @property
    def context(self) -> Ints:
        """The place's context."""
        return self.used.context[self.row]

    @property
    def overlap_used(self) -> Floats:
        """Acceptance owed before the draw, as used."""
        return self.used.overlap[self.row]

    @property
    def overlap_clean(self) -> Floats:
        """Acceptance owed before the draw, as rechecked; nan where it can't be recomputed."""
        return self.clean.overlap

    @property
    def target_used(self) -> Floats:
        """Target probability of the token as used."""
        return self.used.target_prob[self.row]

    @property
    def draft_used(self) -> Floats:
        """Draft probability of the token as used."""
        return self.used.draft_prob[self.row]

    @property
    def target_shift(self) -> Floats:
        """Target probability as used, less as rechecked."""
        return self.target_used - self.clean.target_prob

    @property
    def draft_shift(self) -> Floats:
        """Draft probability as used, less as rechecked."""
        return self.draft_used - self.clean.draft_prob

    @property
    def margin(self) -> Floats:
        """Gap between the target's two largest logits, as rechecked."""
        return self.clean.margin

    @property
    def target_gap(self) -> Floats:
        """Total variation of the target's raw laws, used and recomputed; nan: not recorded."""
        return self.clean.target_gap

    @property
    def draft_gap(self) -> Floats:
        """Total variation of the draft's raw laws, used and recomputed; nan: not recorded."""
        return self.clean.draft_gap


class Evidence:
    """Answers about one capture. Raises MissingEvidence where the capture holds no answer."""

    def __init__(
        self,
        columns: Columns,
        *,
        name: str = "",
        beside: Sequence[Columns] = (),
        live: bool = False,
        alpha: float = FAMILY_ERROR / TEST_COUNT,
    ) -> None:
        self.columns = columns
        self.name = name
        self.beside = beside
        self.live = live
        """Whether the capture is still being written: then a missing end is no defect."""
        self.alpha = alpha
        """The error rate of one statistical test: the family's, divided among its tests."""
        self._answers: dict[Callable[[Evidence], Any], Any] = {}

    def ask(self, question: Callable[["Evidence"], Answer]) -> Answer:
        """Return a question's answer, which is worked out when first asked for."""
        if question not in self._answers:
            self._answers[question] = question(self)
        answer: Answer = self._answers[question]
        return answer

    @cached_property
    def header(self) -> Header:
        """What ran, and on which machine."""
        if self.columns.header is None:
            raise MissingEvidence("the capture's header was not read", "read it from its start")
        return self.columns.header

    @property
    def settings(self) -> Settings:
        """The run's settings."""
        return self.header.spec.settings

    @cached_property
    def has_distribution(self) -> bool | None:
        """Whether drafts are drawn from a distribution, as the drafter declares.

        None: the drafter is not installed here, and the capture names no draft model.
        """
        known = has_distribution(self.settings.drafter)
        return True if known is None and self.header.draft else known

    @property
    def greedy(self) -> bool:
        """Whether a draft is accepted if it equals the target's first choice."""
        return self.header.acceptance == "greedy"

    @cached_property
    def rounds(self) -> Rounds:
        """Every round."""
        if not len(self.columns.rounds):
            if len(self.columns.scored):
                hint = "record a run of the workload `walk` or `generate` instead"
                raise MissingEvidence("known text was scored, no round was decoded", hint)
            if damage := self.columns.unreadable:
                hint = "record again, or copy the file again"
                raise MissingEvidence(f"no round could be read: {damage}", hint)
            hint = "record with --detail rounds or evidence"
            raise MissingEvidence("the capture holds no rounds", hint)
        self._refuse_contradictions("counts")
        return self.columns.rounds

    @cached_property
    def contradictions(self) -> list[Contradiction]:
        """Statements of the capture that can't all be true."""
        return contradictions(self.columns)

    @cached_property
    def timed(self) -> Rounds:
        """Every round, where no times contradict each other."""
        self._refuse_contradictions("times")
        return self.rounds

    @cached_property
    def speculative(self) -> Rounds:
        """The rounds that drafted something."""
        drafting = self.rounds.where(self.rounds.drafted > 0)
        if not len(drafting):
            hint = "this is a baseline; diagnose a run that drafts, with this one beside it"
            raise MissingEvidence("nothing was drafted", hint)
        return drafting

    @cached_property
    def reached(self) -> Places:
        """Every reached drafted token, once: a replay decides nothing anew."""
        places = self.columns.places
        if len(self.rounds) and not len(places):
            hint = "record a run that drafts, with --detail rounds or evidence"
            raise MissingEvidence("no drafted token was reached", hint)
        if not self.replays.undone.any():
            return places
        return places.where(self.replays.decided_once(places, self.row(places.round)))

    @cached_property
    def replays(self) -> Replays:
        """The rounds that were undone, and verified again by the next."""
        columns = self.columns
        return find_replays(self.rounds, columns.places, columns.emitted, self.next_row)

    @cached_property
    def places(self) -> Places:
        """The reached drafted tokens whose two probabilities were recorded."""
        seen = self.reached.where(~np.isnan(self.reached.overlap))
        if not len(seen):
            hint = "record with --backend native and --detail evidence"
            raise MissingEvidence("no probabilities were recorded", hint)
        return seen

    @cached_property
    def pairs(self) -> Pairs:
        """The places that were also rechecked without a cache."""
        used, clean = self.places, self.columns.rechecked
        keys, wanted = _key(used.round, used.node), _key(clean.round, clean.node)
        order = np.argsort(keys, kind="stable")  # a tree's places go by level, not as drafted
        row = order[np.searchsorted(keys, wanted, sorter=order).clip(max=len(keys) - 1)]
        both = keys[row] == wanted
        if not both.any():
            raise MissingEvidence("no draft was rechecked without a cache", self._recheck_hint)
        return Pairs(used, clean.where(both), row[both])

    @cached_property
    def rescored(self) -> RescoredTokens:
        """The committed tokens of recorded rounds that were scored anew."""
        row, known = rows_of_rounds(self.columns, self.columns.rescored.round)
        found = self.columns.rescored.where(known)
        return found.where(found.slot < self.rounds.emitted[row[known]])

    @cached_property
    def baseline(self) -> Columns:
        """The first capture beside this one that decoded the same target without drafting."""
        for other in self.beside:
            plain = len(other.rounds) and not other.rounds.drafted.any()
            if plain and self._same_target(other) and not contradictions(other):
                return other
        hint = "record one with --drafter none and the same target, and name it beside this one"
        raise MissingEvidence("no baseline capture was given", hint)

    @cached_property
    def next_row(self) -> Ints:
        """The row of the round that follows each round in its burst, [rounds].

        -1 for a burst's last round, and where the following round may be missing.
        """
        burst, order = self.rounds.burst, self.columns.burst_order
        goes_on = (burst[order][1:] == burst[order][:-1]) & ~self.gap_before[order[1:]]
        found = np.full(len(burst), -1, np.int64)
        found[order[:-1][goes_on]] = order[1:][goes_on]
        return found

    @cached_property
    def gap_before(self) -> Bools:
        """Whether rounds of the same burst may be missing right before each round, [rounds].

        Rounds are numbered over the run. The sequences of a batch take turns, so a missing number
        may belong to any burst that was being decoded at that time.
        """
        lost, order = self.rounds.index - np.arange(len(self.rounds)), self.columns.burst_order
        if not lost.any():
            return lost > 0
        first = np.append(True, np.diff(self.rounds.burst[order]) != 0)
        before = np.full(len(order), -1, np.int64)
        before[order[1:]] = order[:-1]
        closing = np.sort(order[np.append(first[1:], True)])
        at = np.searchsorted(closing, order[first]) - 1
        before[order[first]] = np.where(at < 0, -1, closing[at])
        return np.asarray(lost > np.where(before < 0, 0, lost[before]))

    @property
    def closes_burst(self) -> Bools:
        """Whether a round is the last known round of its burst, [rounds].

        A stop may have cut such a round short.
        """
        return self.next_row < 0

    @property
    def rejected(self) -> Bools:
        """Whether a round reached a level at which it accepted no token, [rounds]."""
        return self.rounds.accepted < self.rounds.reached_levels

    @cached_property
    def after(self) -> Ints:
        """What came before each round, [rounds]: a code of `outcomes.EVENTS_BEFORE`."""
        found, goes_on = np.where(self.gap_before, MISSING, FIRST), ~self.closes_burst
        found[self.next_row[goes_on]] = code_outcomes(self.rounds, self.rejected)[goes_on]
        return found

    @property
    def place(self) -> str:
        """The unit in which rejections are counted: `reached token`; in a tree `reached level`."""
        return "reached level" if self.columns.trees else "reached token"

    def row(self, index: Ints) -> Ints:
        """Return the rows of the rounds with these indices."""
        rounds = self.rounds
        first, last = rounds.index[0], rounds.index[-1]
        if last - first == len(rounds) - 1:  # no round is missing, so its index gives its row
            return np.asarray(np.clip(index - first, 0, len(rounds)), np.int64)
        return np.asarray(np.searchsorted(rounds.index, index), np.int64)

    def per_round(self, rounds: Ints, values: Floats) -> Floats:
        """Return the sums of per-place values by round, [rounds]."""
        sums = np.bincount(self.row(rounds), weights=values, minlength=len(self.rounds))
        return np.asarray(sums, np.float64)

    def over_rounds(self, numerators: Floats, denominators: Floats) -> Estimate:
        """Return sum / sum of values by round, [rounds], with a 95% block-bootstrap interval."""
        order = self.columns.burst_order
        return ratio(numerators[order], denominators[order])

    def _refuse_contradictions(self, of: str) -> None:
        found = [each.told for each in self.contradictions if each.of == of]
        if found:
            title = f"the capture contradicts itself: {'; '.join(found)}"
            raise MissingEvidence(title, "record again: an edited or damaged file is no evidence")

    @property
    def _recheck_hint(self) -> str:
        """How to record a run whose drafts are rechecked; some drafters' drafts never are."""
        if int(self.rounds.context.min()) > self.settings.recheck_context:
            return "record with --recheck-context N: bursts up to N tokens deep are recomputed"
        if self.columns.end is None:
            return "a burst is rechecked once it has ended"
        return f"the drafter {self.settings.drafter!r} has no plain forward to recompute its law"

    def _same_target(self, other: Columns) -> bool:
        if other.header is None:
            return False
        ours, theirs = self.settings, other.header.spec.settings
        return all(
            getattr(ours, field) == getattr(theirs, field)
            for field in ("target", "backend", "cache", "dtype", "device", "batch")
        )


def _key(rounds: Ints, node: Ints) -> Ints:
    """Return one sortable number per place; no round drafts 2**16 tokens."""
    return rounds * 65_536 + node
