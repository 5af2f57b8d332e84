"""The emitted tokens: from which law each was drawn, and whether that is the target's law.

There are two views of one stream. The first is what the run acted on: the correction or bonus of
each round, and its rank in the law it should be drawn from (theory 3, T3; 4.2). The second is the
bare text: every committed token under the target's clean law, drafted or not. Under a lossless rule
each committed token is the target's own draw, given that its round reached that slot. So each slot
is a test by itself.

Knows the tests and the laws that tokens may really come from, not the rules that report them.
"""

from dataclasses import dataclass

import numpy as np

from specprof.analysis import likelihood
from specprof.analysis.evidence import Evidence
from specprof.analysis.likelihood import Best
from specprof.analysis.rounding import MAX_CLEAN_GAP, MAX_RATIO_ERROR
from specprof.analysis.stats import Trial, fair_bets, fair_draws, fair_sums, fair_tails
from specprof.analysis.tables import Bools, Floats, Ints, Places, Rounds
from specprof.errors import MissingEvidence


@dataclass(frozen=True, slots=True)
class Finals:
    """The last emitted token, the final, of every whole round, in order.

    Every property and every field but the tables is an array, [finals]. A property is looked up
    when read.
    """

    rounds: Rounds
    """All rounds."""
    row: Ints
    """The row of the final's round in `rounds`."""
    fallen: Places
    """The last rejected draft of each level that rejected all its drafts."""
    seat: Ints
    """The row in `fallen` of the draft rejected right before the final; -1 where no draft was, or
    where it had elder siblings."""
    correction: Bools
    """Whether the final follows a rejection; else it is a bonus."""
    again: Bools
    """Whether the final is a draft that its own level rejected."""
    clean_draft_prob: Floats
    """The token's probability under the draft's raw law, recomputed; nan where it was not."""

    @property
    def round(self) -> Ints:
        """The round's index."""
        return self.rounds.index[self.row]

    @property
    def context(self) -> Ints:
        """Committed tokens before the final."""
        return (self.rounds.context + self.rounds.emitted - 1)[self.row]

    @property
    def target_prob(self) -> Floats:
        """The final's probability under the target's law."""
        return self.rounds.final_target_prob[self.row]

    @property
    def draft_prob(self) -> Floats:
        """The final's probability under the draft's law; nan for a bonus."""
        return self.rounds.final_draft_prob[self.row]

    @property
    def rank(self) -> Floats:
        """As `records.Round.final_rank`."""
        return self.rounds.final_rank[self.row]

    @property
    def order(self) -> Floats:
        """As `records.Round.final_order`."""
        return self.rounds.final_order[self.row]

    @property
    def fallen_target(self) -> Floats:
        """The rejected draft's target probability; nan where `seat` is -1."""
        return self._of_fallen(self.fallen.target_prob)

    @property
    def fallen_draft(self) -> Floats:
        """The rejected draft's draft probability; nan where `seat` is -1."""
        return self._of_fallen(self.fallen.draft_prob)

    @property
    def overlap(self) -> Floats:
        """Acceptance owed before the draw at the rejected draft's place; nan where `seat` is -1."""
        return self._of_fallen(self.fallen.overlap)

    def _of_fallen(self, values: Floats) -> Floats:
        return np.append(values, np.nan)[self.seat]  # -1 looks up the nan


@dataclass(frozen=True, slots=True)
class Draw:
    """Whether one kind of final token comes from the law it should be drawn from."""

    rank: Trial
    order: Trial
    tail: Trial
    """Of unlikely draws; bonuses only: a correction's mass in its law is not recorded."""
    mixed: Trial
    """Of draws from the recomputed law of the draft; bonuses only."""

    @property
    def p_value(self) -> float:
        """Four times the smallest of the four trials' p-values."""
        each = (self.rank, self.order, self.tail, self.mixed)
        return min(len(each) * min(trial.p_value for trial in each), 1.0)


@dataclass(frozen=True, slots=True)
class Text:
    """The committed tokens under the target's clean law, as a whole and by kind of slot."""

    likelihood: Trial
    """log-probability + entropy per committed token, in nats; the mean over true draws is 0."""
    impossible: Ints
    """Rounds with a token outside the law's support, at rows whose state is clean."""
    context: int
    """Committed tokens before the first such token; 0 where there is none."""
    slots: tuple[float, ...]
    """The mean log-probability + entropy at each slot, from 0."""
    counts: tuple[int, ...]
    """How many committed tokens each slot had."""


def finals(evidence: Evidence) -> Finals:
    """Return the corrections and bonuses whose probabilities were recorded."""
    rounds, reached = evidence.rounds, evidence.reached
    if np.isnan(rounds.final_target_prob).all():
        hint = "record with --backend native and --detail evidence"
        raise MissingEvidence("no correction's probabilities were recorded", hint)
    whole = (rounds.emitted == rounds.accepted + 1) & ~np.isnan(rounds.final_target_prob)
    whole &= rounds.drafted > 0
    # What a round that was undone took or drew is no choice of the replay.
    whole &= rounds.accepted >= evidence.replays.settled
    again = _repeats_rejected(reached, rounds.index, last_tokens(evidence))
    fallen = reached.where(reached.settles() & ~reached.accepted)
    seat = np.full(len(rounds), -1, np.int64)
    seat[evidence.row(fallen.round)] = np.where(fallen.elder == 0, np.arange(len(fallen)), -1)
    row = np.flatnonzero(whole)

    return Finals(
        rounds=rounds,
        row=row,
        fallen=fallen,
        seat=seat[row],
        correction=evidence.rejected[row],
        again=again[row],
        clean_draft_prob=_clean_draft_prob(evidence, row),
    )


def corrections(evidence: Evidence) -> Draw:
    """Judge the corrections by their ranks in the residual law."""
    found = evidence.ask(finals)
    return _judge_draws(found, found.correction)


def bonuses(evidence: Evidence) -> Draw:
    """Judge the bonuses by their ranks in the target's law."""
    found = evidence.ask(finals)
    return _judge_draws(found, ~found.correction)


def _judge_draws(found: Finals, wanted: Bools) -> Draw:
    known = wanted & ~np.isnan(found.rank)
    rank, order = found.rank[known], found.order[known]
    # A bonus' rank covers all likelier mass. Take off half its own mass, and the rounding error.
    above = (rank - found.target_prob[known] / 2 - 1e-4)[~found.correction[known]]
    free = wanted & ~found.correction & (found.target_prob > 0) & ~np.isnan(found.clean_draft_prob)
    return Draw(
        rank=fair_bets(2 * rank - 1),
        order=fair_bets(2 * order[~np.isnan(order)] - 1),
        tail=fair_tails(above),
        mixed=fair_draws(found.clean_draft_prob[free] / found.target_prob[free]),
    )


def correction_law(evidence: Evidence) -> Best | None:
    """Return the law that explains the corrections best; the residual is the declared law.

    Uses corrections after a rejected draft without elder siblings. None where there are none.
    """
    found = evidence.ask(finals)
    use = found.correction & ~np.isnan(found.fallen_draft) & ~np.isnan(found.draft_prob)
    if not use.any() or evidence.header.target is None:
        return None
    target, draft = found.target_prob[use], found.draft_prob[use]
    left, vocabulary = np.maximum(target - draft, 0), evidence.header.target.vocabulary
    spare = np.maximum(1 - found.overlap[use], MAX_RATIO_ERROR)
    other = np.maximum(1 - found.fallen_target[use], MAX_RATIO_ERROR)
    return likelihood.best_of_draws(
        {
            "residual": left / spare,
            "target": target,
            "draft": draft,
            "softmax of the residual": np.exp(left) / (vocabulary + spare),
            "target but the rejected": np.where(found.again[use], 0.0, target / other),
        },
        vocabulary,
    )


def text(evidence: Evidence) -> Text:
    """Judge every committed token that was scored anew, in order."""
    tokens = evidence.rescored
    if not len(tokens):
        hint = "record a new run, with --recheck-context at least its context"
        raise MissingEvidence("no committed token was scored without a cache", hint)
    row = evidence.row(tokens.round)
    possible = tokens.target_prob > 0
    gain = np.log(np.where(possible, tokens.target_prob, 1.0)) + tokens.entropy
    # Where the state is off only a little, a token can fall over the edge of a filter.
    clean = tokens.target_gap < MAX_CLEAN_GAP
    counts = np.bincount(tokens.slot, minlength=1)
    due = np.bincount(tokens.slot[possible], minlength=len(counts))
    means = np.bincount(tokens.slot[possible], weights=gain[possible], minlength=len(counts))
    means = np.where(due > 0, means / np.maximum(due, 1), np.nan)
    sure = tokens.where(~possible & clean)
    context = evidence.rounds.context[row] + tokens.slot
    return Text(
        likelihood=fair_sums(gain[possible], tokens.spread[possible]),
        impossible=np.unique(sure.round),
        context=int(context[~possible & clean][0]) if len(sure) else 0,
        slots=tuple(means.tolist()),
        counts=tuple(counts.tolist()),
    )


def last_tokens(evidence: Evidence) -> Ints:
    """Return the last token each round emitted, [rounds]; -1 where it emitted none."""
    tokens, counts = evidence.columns.emitted.token, evidence.rounds.emitted
    last = tokens[(counts.cumsum() - 1).clip(min=0)] if len(tokens) else -np.ones_like(counts)
    return np.where(counts > 0, last, -1)


def _clean_draft_prob(evidence: Evidence, row: Ints) -> Floats:
    """Return the recheck's draft probability of the last token of each of these rounds, [row]."""
    tokens, rounds = evidence.rescored, evidence.rounds
    at = evidence.row(tokens.round)
    final = tokens.slot == rounds.emitted[at] - 1
    found = np.full(len(rounds), np.nan)
    found[at[final]] = np.exp(-tokens.draft_nll[final])
    return found[row]


def _repeats_rejected(places: Places, rounds: Ints, last: Ints) -> Bools:
    """Return whether a round's last token is a draft that its last level rejected, [rounds]."""
    failed = places.where(places.settles() & ~places.accepted)
    final = np.full(len(rounds), -1)
    final[np.searchsorted(rounds, failed.round)] = failed.index
    row = np.searchsorted(rounds, places.round)
    same = (places.index == final[row]) & (places.token == last[row])
    return np.asarray(np.bincount(row[same], minlength=len(rounds)) > 0)
