"""A contest: who plays, in which order, and whose tokens are right."""

import pytest
import torch

import runs
import tiny
from specprof.bench import contest
from specprof.bench.contest import DETAIL_LEVELS, Entry, Standing, Strayed, cache_law, entries, play
from specprof.engine.instruments.bout import Bout
from specprof.errors import EnvironmentMissing, UsageError

NEW = 10
NAMES = [
    "generate",
    "assisted K=3",
    *(f"{path} {rest}" for path in ("modules", "flat")
      for rest in ("plain off", "plain rounds", "K=3 off", "K=3 rounds", "K=3 evidence")),
    "modules K=3 eager",
    "flat K=3 eager",
]  # fmt: skip


def asked(pair, **changed):
    return entries(runs.settings(pair, **({"max_new_tokens": NEW, "context": 60} | changed)))


def some(pair, *names, **changed):
    return [each for each in asked(pair, **changed) if each.name in names]


def played(pair, folder, wanted=None, seconds=0.0, report=lambda _: None, **changed):
    return play(wanted or asked(pair, **changed), folder, seconds=seconds, report=report)


FEW = ("generate", "assisted K=3", "modules K=3 off", "flat plain off", "flat K=3 off")


@pytest.fixture(scope="module")
def greedy(pair, tmp_path_factory):
    """The target drafts for itself: all drafts stand."""
    return played(pair, tmp_path_factory.mktemp("contest"), draft=str(pair / "target"))


def by_name(found):
    return {each.entry.name: each for each in found.standings}


def test_everybody_is_asked_by_path_and_detail(pair):
    """Peers first; plain decoding has no evidence to gather."""
    found = asked(pair)
    assert [each.name for each in found] == NAMES
    assert {each.settings.detail for each in found} == set(DETAIL_LEVELS)
    assert {(each.settings.temperature, each.settings.ignore_eos) for each in found} == {(0, True)}


def test_greedy_entries_give_the_same_tokens(greedy):
    """In every play, peers and ours, by both paths and at every level of detail."""
    assert [each.trouble for each in greedy.standings] == [None] * len(NAMES)
    assert [each.strayed for each in greedy.standings] == [None] * len(NAMES)
    (tokens,) = {tuple(bout.emitted) for each in greedy.standings for bout in each.bouts}
    assert len(tokens) == NEW


def test_two_plays_a_repetition_two_repetitions_at_least(greedy):
    """However short the time."""
    assert greedy.repetitions == 2
    assert (greedy.settings.max_new_tokens, greedy.settings.depth) == (NEW, 3)
    assert {len(each.bouts) for each in greedy.standings} == {4}
    assert all(bout.wall_ns > 0 for each in greedy.standings for bout in each.bouts)


def test_as_many_repetitions_as_are_needed_are_played(pair, tmp_path):
    """However short the time: an interval needs some."""
    found = play(some(pair, "generate"), tmp_path, seconds=0, report=lambda _: None, least=3)
    assert found.repetitions == 3
    assert [len(each.bouts) for each in found.standings] == [6]


def test_rounds_are_counted_alike(greedy):
    """Plain decoding takes one a token; where all drafts stand, a round emits K + 1."""
    rounds = {name: {bout.rounds for bout in each.bouts} for name, each in by_name(greedy).items()}
    assert rounds["generate"] == rounds["modules plain off"] == rounds["flat plain rounds"] == {NEW}
    assert rounds["flat K=3 off"] == rounds["modules K=3 evidence"] == {3}  # 4 + 4 + 2
    assert rounds["assisted K=3"] == {3}


def test_the_order_is_mirrored_and_turned(pair, tmp_path, monkeypatch):
    """A B C C B A, then B C A A C B; both plays of an entry in a way have the seed of that way."""
    said = []

    def player(self, entry):
        return 1, lambda seed: said.append((entry.name[-1], seed)) or Bout(1, 1, 1, [0])

    monkeypatch.setattr(contest._Players, "_player", player)
    three = [Entry(name=name, loop="plain", settings=each.settings)
             for name, each in zip("ABC", asked(pair, seed=7), strict=False)]  # fmt: skip
    found = played(pair, tmp_path, three)
    assert found.repetitions == 2
    first = [(name, 7) for name in "ABC"]  # not counted
    assert said[:3] == first
    ways = [("ABC", 8), ("CBA", 9), ("BCA", 10), ("ACB", 11)]
    order = [(name, seed) for names, seed in ways for name in names]
    assert said[3:] == order


def test_sampled_plays_differ_by_seed_and_repeat_by_it(pair, tmp_path):
    """Each way of each repetition has draws of its own, the same for a level with and without."""
    names = (*FEW, "modules K=3 evidence")
    found = by_name(played(pair, tmp_path, some(pair, *names, temperature=1.0)))
    emitted = {name: [bout.emitted for bout in each.bouts] for name, each in found.items()}
    assert emitted["modules K=3 off"] == emitted["modules K=3 evidence"]
    assert len({tuple(each) for each in emitted["modules K=3 off"]}) > 1
    assert len({tuple(each) for each in emitted["assisted K=3"]}) > 1
    assert {each.strayed for each in found.values()} == {None}


def test_a_peer_without_such_caches_says_so(pair, tmp_path):
    """Ours play on, held against their own first; generate has nothing to do with the draft's."""
    window = {"draft_cache": "sink-window", "window": 16}
    found = by_name(played(pair, tmp_path, some(pair, *FEW, **window)))
    assert "draft_cache" in found["assisted K=3"].trouble.replace("-", "_")
    assert not found["assisted K=3"].bouts
    assert found["generate"].trouble is None
    assert found["flat K=3 off"].strayed is None
    window = {"cache": "sink-window", "window": 16}
    streaming = by_name(played(pair, tmp_path, some(pair, *FEW, **window)))
    assert "cache" in streaming["generate"].trouble
    assert streaming["flat K=3 off"].trouble is None
    assert streaming["flat K=3 off"].strayed is None


def test_a_path_that_is_refused_says_so(pair, tmp_path, monkeypatch):
    """The rest play on."""

    def refused(model, path):
        if path == "flat":
            raise UsageError("no flat path for this", "use modules")
        return choose_path(model, path)

    from specprof.engine.flat.proof import choose_path
    from specprof.engine.replay import decision

    monkeypatch.setattr(decision, "choose_path", refused)
    found = by_name(played(pair, tmp_path, some(pair, *FEW)))
    assert {each.trouble for name, each in found.items() if name.startswith("flat")} == {
        "no flat path for this; use modules"
    }
    assert found["modules K=3 off"].bouts


def test_whatever_transformers_raises_is_a_reason(pair, tmp_path, monkeypatch):
    """One line of it; ours must not be forgiven as much."""

    def broken(self, *_, **__):
        raise ValueError("no such thing\nand more")

    monkeypatch.setattr(contest.HfAssisted, "play_unwatched", broken)
    found = by_name(played(pair, tmp_path, some(pair, *FEW[:3])))
    assert found["assisted K=3"].trouble == "ValueError: no such thing"
    assert found["generate"].bouts
    monkeypatch.setattr(contest.Repeated, "play", broken)
    with pytest.raises(ValueError, match="no such thing"):
        played(pair, tmp_path, some(pair, *FEW[:3]))


def test_other_vocabularies_leave_plain_decoding(pair, tmp_path):
    """A draft nobody can use takes the speculative rows, not the rest."""
    tiny.model("llama", 1, vocab_size=80).save_pretrained(tmp_path / "other")
    tiny.tokenizer("@").save_pretrained(tmp_path / "other")
    found = by_name(played(pair, tmp_path, some(pair, *FEW, draft=str(tmp_path / "other"))))
    assert "different vocabularies" in found["flat K=3 off"].trouble
    assert found["assisted K=3"].trouble
    assert found["generate"].bouts[0].emitted == found["flat plain off"].bouts[0].emitted


def test_sliding_windows_are_refilled(pair, tmp_path):
    """A peer's cache that can't be rolled back is filled anew, outside what is timed."""
    for name, layers in (("target", 3), ("draft", 2)):
        tiny.checkpoint(tmp_path / name, "mistral", seed=1, num_hidden_layers=layers)
    names = {name: str(tmp_path / name) for name in ("target", "draft")}
    found = played(pair, tmp_path, some(pair, *FEW, **names))
    assert [each.trouble for each in found.standings] == [None] * len(FEW)
    assert [each.strayed for each in found.standings] == [None] * len(FEW)


def test_what_cannot_be_contested_is_refused(pair, tmp_path):
    """Nothing to draft with, a batch, a model that isn't there."""
    for changed in ({"depth": 0}, {"draft": None}, {"batch": 2}, {"temperature": -1.0}):
        with pytest.raises(UsageError):
            asked(pair, **changed)
    with pytest.raises(EnvironmentMissing, match="nowhere"):
        played(pair, tmp_path, target=str(tmp_path / "nowhere"))
    with pytest.raises(EnvironmentMissing, match="no_draft"):  # not ten rows without a figure
        played(pair, tmp_path, draft=str(tmp_path / "no_draft"))
    with pytest.raises(UsageError, match=r"no entry can play: .*context of 99999"):
        played(pair, tmp_path, context=99999)


def test_a_stray_is_found_and_weighed(pair, tmp_path):
    """The first place, by what the target thinks of both tokens there."""
    whole = played(pair, tmp_path, asked(pair)[2:3])
    right = whole.standings[0].bouts[0].emitted
    from contextlib import ExitStack

    with ExitStack() as undo:
        players = contest._Players(asked(pair)[0].settings, tmp_path, undo)
        entry = asked(pair)[2]
        players._player(entry)
        other = (right[4] + 1) % tiny.VOCABULARY
        wrong = [*right[:4], other, *right[5:]]
        standings = [
            Standing(entry=entry, bouts=[Bout(1, 1, 1, right)]),
            Standing(entry=asked(pair)[7], bouts=[Bout(1, 1, 1, right), Bout(1, 1, 1, wrong)]),
        ]
        players.compare(standings)
        strayed = standings[1].strayed
        assert standings[0].strayed is None
        assert (strayed.at, strayed.of, strayed.tie) == (4, "modules plain off", False)
        loop = players.engines[entry.settings]
        tokens = torch.tensor([loop.prompt + right[:4]])
        with torch.inference_mode():
            row = loop.run.target.model(tokens).logits[0, -1].float()
        assert row.argmax() == right[4]
        expected = float((row[right[4]] - row[other]) / row.std())
        assert strayed.gap == pytest.approx(expected, rel=1e-4)
        assert loop.gap(right[:5], right[4]) == 0.0
        assert loop.run.loop.target.length == len(loop.prompt) - 1


def test_only_the_targets_cache_makes_another_law(pair):
    """What the draft keeps changes no greedy token."""
    dense, draft, both = (
        cache_law(runs.settings(pair, **given))
        for given in ({}, {"draft_cache": "sink-window"}, {"cache": "sink-window"})
    )
    assert dense == draft != both


def test_ctrl_c_keeps_whole_repetitions(pair, tmp_path):
    """What was half played is left out; before the first whole one there is nothing to keep."""
    said = []

    def interrupted(line):
        said.append(line)
        if line.startswith("repetition 1,"):
            raise KeyboardInterrupt

    found = played(pair, tmp_path, asked(pair)[:1], seconds=60, report=interrupted)
    assert (found.repetitions, found.stopped) == (1, True)
    assert len(found.standings[0].bouts) == 2
    assert torch.get_num_threads() >= 1


def test_a_stray_without_an_engine_has_no_gap():
    """It is told without one, and is no tie."""
    assert Strayed(3, "generate", None, tie=False).gap is None
