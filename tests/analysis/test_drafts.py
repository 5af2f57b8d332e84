"""Rounds laid end to end say of every drafted token what its own round says of it."""

from hypothesis import given
from hypothesis import strategies as st

from specprof.analysis.drafts import Drafts, levels
from specprof.records import Drafted, Round


@st.composite
def lists(draw):
    """Return a round's drafted tokens: a chain, a tree, or what a damaged file may hold."""
    size = draw(st.integers(0, 6))
    chain = draw(st.booleans())
    parents = [place - 1 if chain else draw(st.integers(-1, size)) for place in range(size)]
    return [
        Drafted(token=place, parent=parent, reached=draw(st.booleans()), accepted=False)
        for place, parent in enumerate(parents)
    ]


def played(index, drafted):
    return Round(
        index=index, context=9, depth_asked=6, drafted=drafted, accepted=0, emitted=[1],
        start_ns=0, wall_ns=1,
    )  # fmt: skip


def reached_places(drafted):
    """Return node, level and elder siblings of a round's reached tokens, by levels in a tree."""
    level, family, found = levels(drafted), {}, []
    for node, each in enumerate(drafted):
        elder = family.get(each.parent, 0)
        family[each.parent] = elder + 1
        if each.reached:
            found.append((node, level[node], elder))
    return sorted(found, key=lambda one: one[1]) if len(family) < len(drafted) else found


@given(st.lists(lists(), max_size=5))
def test_all_rounds_at_once_are_each_round_alone(every):
    """Counts and levels by round, and the reached tokens in the order they are judged in."""
    drafts = Drafts([played(index, drafted) for index, drafted in enumerate(every)])
    assert drafts.counts.tolist() == [len(drafted) for drafted in every]
    assert drafts.levels.tolist() == [max(levels(drafted), default=-1) + 1 for drafted in every]
    reached = [reached_places(drafted) for drafted in every]
    assert drafts.reached_counts.tolist() == [len(each) for each in reached]
    assert drafts.reached_levels.tolist() == [len({at for _, at, _ in each}) for each in reached]
    places = drafts.places()
    told = zip(
        drafts.row[places], drafts.node[places], drafts.level[places], drafts.elder[places],
        strict=True,
    )  # fmt: skip
    alone = [(row, *each) for row, places in enumerate(reached) for each in places]
    assert list(told) == alone
    tokens = drafts.reached_tokens(places)
    assert [each.token for each in tokens] == [node for _, node, _, _ in alone]
