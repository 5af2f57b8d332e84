"""transformers' schedule: two up, one down, within bounds."""

import pytest
import torch

import engines
import tiny
from specprof.backends.native import Native
from specprof.depths.hf_heuristic import HfHeuristic
from specprof.records import Round
from specprof.settings import RunSpec, Settings
from tables import TableDecoder


def asked(rounds, depth=4):
    """K of each round, and of the one after, where (drafted, accepted) are given the policy."""
    policy = HfHeuristic(Settings(depth=depth))
    found = [policy.ask()]
    for drafted, accepted in rounds:
        policy.learn(drafted, accepted)
        found.append(policy.ask())
    return found


@pytest.mark.parametrize(
    ("rounds", "expected"),
    [
        ([(4, 4), (6, 6), (8, 7), (7, 0)], [4, 6, 8, 7, 6]),
        ([(4, 0), (3, 0), (2, 1), (1, 0), (1, 0)], [4, 3, 2, 1, 1, 1]),
        ([(1, 1)], [4, 6]),  # fewer drafted than asked, all accepted
        ([(0, 0), (0, 0)], [4, 4, 4]),  # nothing drafted, nothing learnt
        ([(20, 4), (20, 3)], [4, 6, 5]),  # a tree: all levels, then not
    ],
)
def test_it_follows_the_schedule(rounds, expected):
    """+2 after a round accepted whole, else -1, never below 1."""
    assert asked(rounds) == expected


@pytest.mark.parametrize(("depth", "bound"), [(4, 20), (19, 20), (30, 30)])
def test_it_stops_at_its_bound(depth, bound):
    """The bound is what its caches are given room for."""
    policy = HfHeuristic(Settings(depth=depth))
    for _ in range(20):
        assert policy.ask() <= policy.bound
        policy.learn(policy.ask(), policy.ask())
    assert policy.ask() == policy.bound == bound


def test_a_draft_equal_to_its_target_is_drafted_to_the_bound():
    """In the loop: 4, 6, 8 and so on, every round accepted whole."""
    table = torch.randn(5, 5, generator=torch.Generator().manual_seed(0))
    run = engines.loop(TableDecoder(table), TableDecoder(table), depth_policy="hf-heuristic")
    _, played = engines.decode(run, new_tokens=200)
    depths = [len(one.drafted) for one in played]
    assert depths[:10] == [4, 6, 8, 10, 12, 14, 16, 18, 20, 20]


def test_a_run_starts_where_it_was_told_whatever_its_warm_up_learnt(tmp_path):
    """The first round that counts asks for `depth`, and the same seed asks the same again."""
    (tmp_path / "text.txt").write_text("the quick brown fox jumps over the lazy dog; " * 5)
    settings = Settings(
        target=str(tiny.checkpoint(tmp_path)),
        drafter="perturbed-self",
        noise=0.5,
        depth_policy="hf-heuristic",
        device="cpu",
        text=str(tmp_path / "text.txt"),
        context=50,
        stops=1,
        ignore_eos=True,
        temperature=1.0,
        plain_steps=0,
    )
    spec = RunSpec(id="x", profile="test", settings=settings)
    first, second = (
        [(one.depth_asked, one.emitted) for one in Native().run(spec, []) if isinstance(one, Round)]
        for _ in "ab"
    )
    assert first[0][0] == settings.depth
    assert first == second
