"""Rounds drawn from known laws, by a step whose parts can be broken.

`Sound` is correct speculative sampling; a test overrides one of its methods. A round's record is
computed from the laws alone, never from what the step did.
"""

from dataclasses import dataclass

import msgspec
import numpy as np

import captures
from specprof.recheck_records import OtherLaws, Rescored
from specprof.records import Burst, Drafted, End, Observed, Recheck, Round

VOCABULARY = 40


@dataclass
class Row:
    """The laws at one place, each [vocabulary]."""

    target: np.ndarray
    draft: np.ndarray
    raw: np.ndarray
    unfiltered: np.ndarray
    twice: np.ndarray


class Sound:
    """Draws from the draft, accepts by the ratio, corrects from the residual, adds a bonus."""

    def __init__(self, seed=0):
        self.random = np.random.default_rng(seed)
        self.rows = []
        """A `Row` of each place of the round, set before each round."""

    def draw(self, weights):
        """Draw one token by weights [vocabulary] that need not sum to 1."""
        at = self.random.random() * weights.sum()
        return int(np.searchsorted(weights.cumsum(), at, side="right").clip(max=len(weights) - 1))

    def draft(self, target, draft):
        return self.draw(draft)

    def stands(self, target, draft, token, index, coin):
        return coin * draft[token] < target[token]

    def correction(self, target, draft, token, coin):
        return self.draw(residual(target, draft))

    def bonus(self, target, draft):
        return self.draw(target)


def events(step=None, *, rounds=300, depth=4, mismatch=1.0, keep=VOCABULARY, **settings):
    """Return a run's events; `keep` is the top-k of both laws and the run's setting."""
    step = step or Sound()
    changed = {"depth": depth, "temperature": 1.0, "max_new_tokens": 10_000} | settings
    changed |= {"top_k": 0 if keep == VOCABULARY else keep}
    header, *_, end = captures.events(temperature=changed["temperature"], stops=1, context=64)
    spec, facts = header.spec, header.target
    chosen = msgspec.structs.replace(spec.settings, **changed)
    header = msgspec.structs.replace(
        header,
        spec=msgspec.structs.replace(spec, settings=chosen),
        target=msgspec.structs.replace(facts, vocabulary=VOCABULARY),
    )
    laws = np.random.default_rng(step.random.integers(2**31))
    context, played, scored, others = 64, [], [], []
    for index in range(rounds):
        step.rows = [_row(laws, mismatch, keep, changed["temperature"]) for _ in range(depth + 1)]
        one, rescored = _round(step, index, context, depth, changed["temperature"] == 0)
        context += len(one.emitted)
        played.append(one)
        scored += rescored
        others += _others(step.rows, one) if changed["temperature"] else []
    emitted = context - 64
    return [
        header,
        *played,
        Recheck(burst=0, places=[], emitted=scored, others=others),
        Burst(burst=0, start_ns=0, wall_ns=1, rounds=rounds, emitted=emitted, finish="length"),
        End(status="complete", wall_ns=end.wall_ns, rounds=rounds, emitted=emitted, write_ns=1),
    ]


def residual(target, draft):
    """Return max(target - draft, 0), or the target if that is all 0."""
    left = np.maximum(target - draft, 0)
    return left if left.sum() > 1e-12 else target


def _round(step, index, context, depth, greedy):
    pairs = [(row.target, row.draft) for row in step.rows]
    drafted, emitted, open_, final = [], [], True, None
    for level, (target, draft) in enumerate(pairs[:-1]):
        token, coin = step.draft(target, draft), step.random.random()
        stands = open_ and bool(step.stands(target, draft, token, level, coin))
        seen = _observed(target, draft, token, greedy) if open_ else None
        drafted.append(Drafted(token, level - 1, open_, stands, seen))
        if stands:
            emitted.append(token)
        elif open_:
            final = step.correction(target, draft, token, coin)
            due, row, open_ = residual(target, draft), level, False
    if final is None:
        final, due, row = step.bonus(*pairs[-1]), pairs[-1][0], depth
    bonus, accepted = row == depth, len(emitted)
    emitted.append(final)
    target, draft = pairs[row]
    due = due / due.sum()
    one = Round(
        index=index,
        context=context,
        depth_asked=depth,
        drafted=drafted,
        accepted=accepted,
        emitted=emitted,
        final_target_prob=float(target[final]),
        final_draft_prob=None if bonus else float(draft[final]),
        final_rank=None if greedy else _rank(due, final),
        final_order=None if greedy else float(due[:final].sum() + due[final] / 2),
        start_ns=index,
        wall_ns=1,
        target_length=context + accepted,
    )
    return one, [_rescored(index, slot, token, *pairs[slot]) for slot, token in enumerate(emitted)]


def _row(laws, mismatch, keep, temperature):
    target = laws.uniform(1, 3) * laws.standard_normal(VOCABULARY)
    draft = target + mismatch * laws.standard_normal(VOCABULARY)
    keep, heat = (keep, temperature) if temperature else (1, 1.0)
    return Row(
        target=_law(target / heat, keep),
        draft=_law(draft / heat, keep),
        raw=_law(target, VOCABULARY),
        unfiltered=_law(target / heat, VOCABULARY),
        twice=_law(target / heat**2, keep),
    )


def _law(logits, keep):
    weights = np.exp(logits - logits.max())
    weights[logits < np.sort(logits)[-keep]] = 0
    return weights / weights.sum()


def _others(rows, one):
    """Return an `OtherLaws` of each reached draft, as the recheck writes them."""
    found, last = [], len(rows) - 2
    for index, each in enumerate(one.drafted):
        row, token = rows[index], each.token
        steps = {"first": 0, "before": index - 1, "after": index + 1, "last": last}
        probs = {
            f"draft_{name}": rows[at].draft[token]
            for name, at in steps.items()
            if 0 <= at <= last and at != index
        }
        probs |= {"target_after": rows[index + 1].target[token]}
        probs |= {"target_before": rows[index - 1].target[token]} if index else {}
        if not np.array_equal(row.raw, row.target):
            probs |= {"target_raw": row.raw[token], "target_twice": row.twice[token]}
            probs |= {"target_unfiltered": row.unfiltered[token]}
        if each.reached:
            found.append(
                OtherLaws(one.index, index, **{name: float(prob) for name, prob in probs.items()})
            )
    return found


def _observed(target, draft, token, greedy):
    owed = min(1.0, target[token] / draft[token]) if draft[token] else float(target[token] > 0)
    return Observed(
        target_prob=float(target[token]),
        draft_prob=float(draft[token]),
        overlap=float(np.minimum(target, draft).sum()),
        accept_owed=float(owed),
        draft_rank=None if greedy else _rank(draft, token),
    )


def _rank(law, token):
    return float(law[law > law[token]].sum() + law[law == law[token]].sum() / 2)


def _rescored(index, slot, token, target, draft):
    logs = np.log(np.where(target > 0, target, 1.0))
    entropy = -float((target * logs).sum())
    return Rescored(
        round=index,
        slot=slot,
        target_prob=float(target[token]),
        entropy=entropy,
        spread=float((target * logs**2).sum()) - entropy**2,
        shortfall=float(np.log(target.max() / max(target[token], 1e-9))),
        target_gap=0.0,
        draft_nll=-float(np.log(max(draft[token], 1e-9))),
    )
