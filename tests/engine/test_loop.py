"""The loop on table models: greedy equality, bookkeeping, stopping, NaN."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from engines import decode
from engines import loop as wired_loop
from specprof.errors import NOT_FINITE, SpecprofError
from tables import TableDecoder

VOCABULARY = 7


def table(seed):
    return torch.randn(VOCABULARY, VOCABULARY, generator=torch.Generator().manual_seed(seed))


def loop(target, draft=None, **given):
    return wired_loop(TableDecoder(target), None if draft is None else TableDecoder(draft), **given)


def plain_greedy(target, new_tokens, stop=frozenset(), prompt=(1, 2)):
    tokens = list(prompt)
    for _ in range(new_tokens):
        tokens.append(int(target[tokens[-1]].argmax()))
        if tokens[-1] in stop:
            break
    return tokens


@given(
    seeds=st.tuples(st.integers(0, 10**6), st.integers(0, 10**6)),
    depth=st.integers(0, 6),
    new_tokens=st.integers(1, 25),
    stop=st.frozensets(st.integers(0, VOCABULARY - 1), max_size=2),
    alike=st.booleans(),
)
def test_greedy_speculation_is_plain_greedy(seeds, depth, new_tokens, stop, alike):
    """Whatever the draft, depth, length limit and stop tokens, not one token differs."""
    target = table(seeds[0])
    draft = target if alike else table(seeds[1])
    committed, _ = decode(loop(target, draft, depth=depth), new_tokens=new_tokens, stop=stop)
    assert committed == plain_greedy(target, new_tokens, stop)


@given(
    seed=st.integers(0, 10**6),
    depth=st.integers(0, 5),
    temperature=st.sampled_from([0.0, 0.5, 1.0]),
    alike=st.booleans(),
)
def test_bookkeeping_identities_hold_every_round(seed, depth, temperature, alike):
    """Emitted = accepted + 1, one target forward, and both caches hold just what was committed."""
    target = table(seed)
    draft = target if alike else table(seed + 1)
    run = loop(target, draft, temperature=temperature, seed=seed, depth=depth)
    committed, played = decode(run, new_tokens=40)
    length = 2
    for before, after in pairwise([*played, None]):
        length += len(before.emitted)
        last = after is None
        assert last or len(before.emitted) == before.accepted + 1
        assert before.target_forwards == 1
        assert before.draft_forwards == depth
        assert before.target_length == length - 1
        unfed = 2 if before.accepted == depth > 0 and not last else 1
        assert last or before.draft_length == length - (unfed if depth else 1) or depth == 0
    assert run.target.fed == committed[:-1]
    assert run.drafter.draft.fed == committed[: run.drafter.draft.length]


def test_a_draft_equal_to_its_target_is_always_accepted():
    """Draft = target accepts every token at any temperature: min(1, 1) = 1."""
    target = table(3)
    for temperature in (0.0, 1.0):
        _, played = decode(loop(target, target, temperature=temperature), new_tokens=30)
        assert all(one.accepted == 4 for one in played)
        assert len(played) == 6


def test_the_token_drafted_last_is_fed_after_an_all_accepted_round():
    """After an all-accepted round the draft lacks two tokens and is fed both."""
    target = table(5)
    run = loop(target, target, depth=3)
    decode(run, new_tokens=8)
    assert run.drafter.draft.fed == plain_greedy(target, 8)[: len(run.drafter.draft.fed)]


def test_the_baseline_drafts_nothing_and_emits_one_token_a_round():
    """The drafter `none` is the same loop with nothing drafted."""
    target = table(7)
    committed, played = decode(loop(target), new_tokens=9)
    assert committed == plain_greedy(target, 9)
    assert [len(one.emitted) for one in played] == [1] * 9
    assert {one.draft_length for one in played} == {None}


@pytest.mark.parametrize("broken", [torch.nan, torch.inf])
@pytest.mark.parametrize("side", ["target", "draft"])
def test_broken_logits_are_told_and_not_decoded(broken, side):
    """A broken model ends the run with its name for it, rather than with tokens."""
    target, draft = table(1), table(2)
    (target if side == "target" else draft)[2, 3] = broken
    with pytest.raises(SpecprofError, match=f"the {side}'s {NOT_FINITE}"):
        decode(loop(target, draft, depth=2), new_tokens=4)


def test_spans_cover_the_round_in_order():
    """draft holds its steps, and draft, verify, accept, rollback follow one another."""
    _, played = decode(loop(table(1), table(2), depth=3), new_tokens=5)
    spans = played[0].lap.spans()
    top = [span for span in spans if span.parent is None]
    assert [span.name for span in top] == ["draft", "verify", "accept", "rollback"]
    assert [span.name for span in spans if span.parent == "draft"] == ["step"] * 3
    assert all(a.start_ns + a.ns <= b.start_ns for a, b in pairwise(top))
    assert sum(span.ns for span in top) <= played[0].lap.wall_ns()
