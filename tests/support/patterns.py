"""Hand-made bursts of rounds with chosen outcomes, and wrong laws laid on chosen places."""

from dataclasses import dataclass

import numpy as np

import captures
from astray import replace
from specprof.analysis.columns import Columns
from specprof.analysis.evidence import Evidence
from specprof.recheck_records import Rechecked, Rescored
from specprof.records import Drafted, Observed, Recheck, Round

DEPTH = 4
SEEN = Observed(0.5, 0.5, 0.8, 0.8)


@dataclass
class Played:
    """What a pattern may look at."""

    burst: int
    number: int
    """Of the round in its burst."""
    context: int
    drafted: int
    accepted: int
    emitted: int
    sequence: int
    batch: int
    before: "Played | None" = None
    """The round before it in its burst."""
    row: int = 0

    @property
    def rejected(self):
        return self.accepted < self.drafted

    @property
    def history(self):
        """The rounds before it in its burst, the last one first."""
        one = self.before
        while one is not None:
            yield one
            one = one.before


def played(seed=0, bursts=12, rounds=30, *, idle=False, undo=False, batch=1, fixed=False):
    """Return bursts of rounds of random outcomes, at random contexts.

    idle: some rounds draft nothing. undo: some rounds commit nothing. batch: sequences, of which
    some end early. fixed: all bursts begin at one context.
    """
    random = np.random.default_rng(seed)
    found = []
    for burst in range(bursts):
        context = 600 if fixed else int(random.integers(100, 2000))
        before = None
        for number in range(rounds):
            drafted = 0 if idle and random.random() < 0.25 else DEPTH
            stood = random.random(drafted) < 0.75
            accepted = int(stood.cumprod().sum())
            undone = undo and 0 < accepted < drafted and not (before and not before.emitted)
            emitted = 0 if undone else accepted + 1
            size = int(random.integers(1, batch + 1))
            place = (burst, number, context, drafted, accepted, emitted, burst % batch, size)
            before = Played(*place, before)
            context += emitted
            found.append(before)
    return found


def evidence(rounds, is_astray, side="target", gap=0.4, draft_length=None, **settings):
    """Return evidence on these rounds, with `is_astray(round)` asked for each row of each.

    draft_length: a function of a round, for the length recorded after it.
    """
    header = captures.events(temperature=1.0, context=4000)[0]
    chosen = replace(header.spec.settings, recheck_context=8192, depth=DEPTH, **settings)
    columns = Columns()
    columns.feed([replace(header, spec=replace(header.spec, settings=chosen))])
    checks = {}
    for index, one in enumerate(rounds):
        drafts = [
            Drafted(
                7,
                at - 1,
                at <= one.accepted,
                at < one.accepted,
                SEEN if at <= one.accepted else None,
            )
            for at in range(one.drafted)
        ]
        length = draft_length(one) if draft_length else None
        columns.feed([replace(_round(index, one, drafts), draft_length=length)])
        places, emitted = checks.setdefault(one.burst, ([], []))
        for row in range(min(one.accepted + 1, one.drafted)):
            gaps = {"target_gap": 1e-6, "draft_gap": 1e-6}
            if is_astray(replace_row(one, row)):
                gaps[f"{side}_gap"] = gap
            places.append(Rechecked(index, row, 0.5, 0.5, 0.8, 3.0, **gaps))
        for row in range(one.emitted):
            wrong = side == "target" and is_astray(replace_row(one, row))
            emitted.append(Rescored(index, row, 0.5, 1.0, 1.0, 0.0, gap if wrong else 1e-6))
    for burst, (places, emitted) in checks.items():
        columns.feed([Recheck(burst=burst, places=places, emitted=emitted)])
    return Evidence(columns)


def replace_row(one, row):
    """Return the round with a row of its verify pass."""
    fields = {name: getattr(one, name) for name in one.__dataclass_fields__}
    return Played(**(fields | {"row": row}))


def _round(index, one, drafts):
    return Round(
        index=index,
        burst=one.burst,
        context=one.context,
        depth_asked=DEPTH,
        drafted=drafts,
        accepted=one.accepted,
        emitted=[7] * one.emitted,
        start_ns=index * 1000,
        wall_ns=900,
        sequence=one.sequence,
        shared=one.batch,
    )
