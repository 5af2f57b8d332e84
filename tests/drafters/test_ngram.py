"""Prompt lookup: what is copied, incremental reading, rollback, losslessness."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import engines
from specprof.drafters.ngram import Ngram
from tables import TableDecoder

TEXTS = st.lists(st.integers(0, 3), min_size=1, max_size=40)


def drafter(**given):
    return Ngram(engines.parts(TableDecoder(torch.zeros(8, 8)), drafter="ngram", **given))


def propose(text, depth=3, **given):
    return drafter(**given).propose(list(text), depth).tokens.tolist()


def searched(text, depth, longest):
    """The same by searching the text anew."""
    for count in range(min(longest, len(text)), 0, -1):
        for place in range(len(text) - 1, count - 1, -1):
            if text[place - count : place] == text[-count:]:
                copied = list(text)
                for offset in range(depth):
                    copied.append(copied[place + offset])
                return copied[len(text) :]
    return []


@pytest.mark.parametrize(
    ("text", "drafted"),
    [
        ([1, 2, 3, 9, 8, 7, 1, 2, 3], [9, 8, 7]),
        ([1, 2, 5, 1, 2, 6, 0, 1, 2], [6, 0, 1]),  # the most recent of two
        ([4, 1, 2, 5, 5, 7, 2, 6, 1, 2], [5, 5, 7]),  # the longer ending before the nearer
        ([1, 2, 3], []),
        ([5], []),
        ([3, 1, 2, 1, 2], [1, 2, 1]),  # a copy that runs into its own draft
        ([6, 6], [6, 6, 6]),
    ],
)
def test_it_copies_what_followed_the_longest_ending_that_occurred_before(text, drafted):
    """Longest first, of those the most recent; nothing where nothing matches."""
    assert propose(text) == drafted


def test_longer_endings_are_tried_only_as_asked():
    """With endings of one token the nearer occurrence wins."""
    text = [4, 1, 2, 5, 5, 7, 2, 6, 1, 2]
    assert propose(text, ngram=1) == [6, 1, 2]
    assert propose(text, ngram=2) == [5, 5, 7]


def test_a_draft_has_no_law_but_its_own_certainty():
    """Neither logits nor probabilities; nothing at depth 0; no model, no cache."""
    made = drafter()
    proposal = made.propose([1, 1, 1], 2)
    assert (proposal.logits, proposal.draft_probs, proposal.parents) == (None, None, None)
    assert made.propose([1, 1, 1], 0).tokens.tolist() == []
    assert made.draft is None


@given(text=TEXTS, cuts=st.lists(st.integers(1, 12), max_size=8), longest=st.integers(1, 4))
def test_reading_a_little_at_a_time_finds_what_searching_anew_finds(text, cuts, longest):
    """However the text grew, the index answers like a search of the whole."""
    made, end = drafter(ngram=longest), 0
    for cut in [*cuts, len(text)]:
        end = min(end + cut, len(text))
        drafted = made.propose(text[:end], 5).tokens.tolist()
        assert drafted == searched(text[:end], 5, longest)


@given(text=TEXTS, other=TEXTS, kept=st.integers(1, 40), longest=st.integers(1, 4))
def test_forgotten_text_leaves_no_trace(text, other, kept, longest):
    """After a rollback it drafts what one drafts that never saw the forgotten tokens."""
    made = drafter(ngram=longest)
    made.prefill(text)
    made.rollback(kept)
    made.rollback(kept)
    again = text[:kept] + other
    fresh = drafter(ngram=longest)
    assert made.propose(again, 4).tokens.tolist() == fresh.propose(again, 4).tokens.tolist()
    assert dict(made.places) == dict(fresh.places)


def test_a_round_reads_only_what_is_new():
    """The work of a round doesn't grow with the context."""

    class Counting(list):
        touched = 0

        def __getitem__(self, place):
            found = super().__getitem__(place)
            Counting.touched += len(found) if isinstance(place, slice) else 1
            return found

    made = drafter()
    text = Counting(i % 97 for i in range(5000))
    made.prefill(text)
    Counting.touched = 0
    text += [1, 2, 3]
    assert len(made.propose(text, 4).tokens) == 4
    made.rollback(len(text))
    assert Counting.touched == 3


@given(
    seed=st.integers(0, 10**6),
    depth=st.integers(0, 6),
    new_tokens=st.integers(1, 40),
    stop=st.frozensets(st.integers(0, 6), max_size=2),
)
def test_greedy_speculation_is_plain_greedy(seed, depth, new_tokens, stop):
    """A loop of a greedy table is soon drafted in full; not one token differs."""
    table = torch.randn(7, 7, generator=torch.Generator().manual_seed(seed))
    run = engines.loop(TableDecoder(table), drafter=Ngram, depth=depth)
    plain = engines.loop(TableDecoder(table), depth=0)
    committed, _ = engines.decode(run, new_tokens=new_tokens, stop=stop)
    assert committed == engines.decode(plain, new_tokens=new_tokens, stop=stop)[0]


def test_sampled_tokens_follow_the_targets_law():
    """Pair counts of 6000 sampled tokens against the table: chi-square, seed fixed, 1 in 1000."""
    table = torch.randn(4, 4, generator=torch.Generator().manual_seed(5))
    run = engines.loop(TableDecoder(table), drafter=Ngram, depth=4, temperature=1.0, seed=7)
    committed, played = engines.decode(run, new_tokens=6000)
    counts = torch.zeros(4, 4)
    for before, after in pairwise(committed[1:]):
        counts[before, after] += 1
    expected = counts.sum(1, keepdim=True) * table.softmax(-1)
    assert ((counts - expected) ** 2 / expected).sum() < 32.9  # 12 degrees of freedom
    assert 0 < sum(one.accepted for one in played) < sum(len(one.drafted) for one in played)
