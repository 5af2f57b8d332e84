"""A draft compared with drafts that know no context: the commonest token, and a table of tokens.

Both are computed only from the tokens committed before a place. So if the draft is nowhere worse in
the mean, no bet on the constant can win in the mean.
"""

from dataclasses import dataclass

import numpy as np

from specprof.analysis.evidence import Evidence
from specprof.analysis.stats import Trial, fair_bets
from specprof.analysis.tables import Floats, Ints, among
from specprof.errors import MissingEvidence

MAX_TEMPERATURE = 1.0
"""At a higher temperature even a good model can't predict the text."""


@dataclass(frozen=True, slots=True)
class Contest:
    """A draft against a constant, place by place."""

    draft: float
    """Mean over the places: the share of accepted drafts, or nats."""
    constant: float
    """The constant's mean over the same places."""
    trial: Trial
    """Tests that the draft is nowhere worse in the mean; bets on the constant only."""

    def loses(self, alpha: float) -> bool:
        """Whether the draft loses, at error rate `alpha`, however often it is asked."""
        return self.trial.p_value <= alpha


def against_commonest(evidence: Evidence) -> Contest:
    """Compare the first level of each round's drafts with the token committed most often so far.

    Raises MissingEvidence where no token was committed.
    """
    reached, emitted = evidence.reached, evidence.columns.emitted
    if not len(emitted):
        raise MissingEvidence("no round committed a token", "record a longer run")
    first = reached.where((reached.index == 0) & (reached.elder == 0))
    commonest = _commonest(emitted.token)
    row = np.searchsorted(emitted.round, first.round).clip(max=max(len(emitted) - 1, 0))
    passed = reached.round[(reached.index == 0) & reached.accepted]
    stood = among(first.round, passed).astype(np.float64)
    hits = (emitted.token[row] == commonest[row]) & (emitted.round[row] == first.round)
    return _contest(stood, hits.astype(np.float64), hits - stood)


def against_table(evidence: Evidence) -> Contest | None:
    """Compare the draft's nats of every committed token with a table's; None where not known."""
    scored, header = evidence.rescored, evidence.header
    known = scored.where(~np.isnan(scored.draft_nll))
    if not len(known) or evidence.settings.temperature > MAX_TEMPERATURE or header.draft is None:
        return None
    emitted, vocabulary = evidence.columns.emitted, max(header.draft.vocabulary, 2)
    start = np.searchsorted(emitted.round, known.round)
    row = (start + known.slot).clip(max=len(emitted) - 1)
    table = _table_nll(emitted.token, vocabulary)[row]
    ahead = (known.draft_nll - table) / np.log(vocabulary)
    return _contest(known.draft_nll, table, ahead)


def _contest(draft: Floats, constant: Floats, ahead: Floats) -> Contest:
    if not len(draft):
        return Contest(0.0, 0.0, fair_bets(ahead, both=False))
    return Contest(float(draft.mean()), float(constant.mean()), fair_bets(ahead, both=False))


def _commonest(tokens: Ints) -> Ints:
    """Return the token that came most often before each, [n]; -1 before the first."""
    counts, n = _came_before(tokens) + 1, len(tokens)
    leads = np.diff(np.maximum.accumulate(counts), prepend=0) > 0
    leader = np.maximum.accumulate(np.where(leads, np.arange(n), -1))
    return np.append(-1, tokens[leader])[:n]


def _table_nll(tokens: Ints, vocabulary: int) -> Floats:
    """Return the nats of each token, [n]: half by its share of the tokens before, half uniform."""
    share = _came_before(tokens) / np.maximum(np.arange(len(tokens)), 1)
    return np.asarray(-np.log(0.5 * share + 0.5 / vocabulary))


def _came_before(tokens: Ints) -> Ints:
    """Return how often each token came before, [n]."""
    order = np.argsort(tokens, kind="stable")
    ordered, place = tokens[order], np.arange(len(tokens))
    begins = np.diff(ordered, prepend=ordered[:1] - 1) != 0
    found = np.empty(len(tokens), np.int64)
    found[order] = place - np.maximum.accumulate(np.where(begins, place, 0))
    return found
