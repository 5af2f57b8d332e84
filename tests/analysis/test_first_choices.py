"""Where greedy texts first leave the target's first choices."""

import msgspec
import pytest

import captures
from specprof.analysis import first_choices
from specprof.analysis.columns import Columns
from specprof.analysis.evidence import Evidence
from specprof.records import Recheck

replace = msgspec.structs.replace


def evidence(short):
    """Return the evidence of a run whose tokens fall short: {burst: {place in it: logits}}."""
    columns = Columns()
    events = captures.events(temperature=0.0, stops=3, max_new_tokens=40, context=500)
    columns.feed([_fall_short(each, short) for each in events])
    return Evidence(columns)


def _fall_short(event, short):
    if not isinstance(event, Recheck):
        return event
    own = short.get(event.burst, {})
    emitted = [
        replace(one, shortfall=own.get(place, 0.0)) for place, one in enumerate(event.emitted)
    ]
    return replace(event, emitted=emitted)


def test_each_text_diverges_once():
    """What comes behind the first difference has another prefix, so it does not count."""
    made = evidence({0: {7: 0.25, 9: 5.0}, 2: {3: 0.5}})
    found = first_choices.divergences(made, made.ask(first_choices.choices))
    assert found.tokens.tolist() == [7, 3]
    assert found.shortfall == pytest.approx([0.25, 0.5])
    assert found.bursts == 3


def test_equal_texts_do_not_diverge():
    """Nor do they have a place where they would."""
    made = evidence({})
    found = first_choices.divergences(made, made.ask(first_choices.choices))
    assert (len(found.tokens), found.bursts) == (0, 3)
