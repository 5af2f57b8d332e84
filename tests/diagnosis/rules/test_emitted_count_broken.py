"""Rounds that commit nothing: undone ones are sound, lost ones are not."""

import msgspec
import pytest

import captures
from specprof import registry
from specprof.analysis.columns import Columns
from specprof.analysis.evidence import Evidence
from specprof.extend import Rule
from specprof.findings import Clear, Found
from specprof.records import Round

replace = msgspec.structs.replace


def judged(events, *, live=False):
    columns = Columns()
    columns.feed(events)
    rule = registry.load(Rule, registry.members("rule")["emitted-count-broken"])()
    return rule.judge(Evidence(columns, live=live))


def made(count=40):
    """Return the events of a healthy run up to its first rounds, still being written."""
    rounds, events = 0, []
    for event in captures.events(temperature=0.0, stops=1, max_new_tokens=160):
        rounds += isinstance(event, Round)
        if rounds > count:
            return events
        events.append(event)
    return events


@pytest.mark.parametrize(("live", "outcome"), [(True, Clear), (False, Found)])
def test_the_last_round_may_be_undone_while_a_capture_grows(live, outcome):
    """Its replay is yet to come. Once the run has ended, none will."""
    *before, last = made()
    last = replace(last, emitted=[])
    assert isinstance(judged([*before, last], live=live), outcome)


def test_a_loop_of_the_users_own_may_drop_its_last_words():
    """A stop word may take all that a burst's last round has. The engine drops no words."""
    *before, last = made()
    cut = [*before, replace(last, emitted=[])]
    header = cut[0]
    spec = replace(header.spec, settings=replace(header.spec.settings, backend="recorded"))
    assert isinstance(judged([replace(header, spec=spec), *cut[1:]]), Clear)
    assert isinstance(judged(cut), Found)


def test_a_round_that_loses_its_tokens_is_named():
    """The next round goes on from the same place, with other drafts."""
    events = made()
    rows = [place for place, one in enumerate(events) if isinstance(one, Round) and one.accepted]
    lost, after = events[rows[-2]], events[rows[-2] + 1]
    events = [*events[: rows[-2]], replace(lost, emitted=[]), replace(after, context=lost.context)]
    outcome = judged(events)
    assert isinstance(outcome, Found)
    assert outcome.finding.rounds == (lost.index,)
