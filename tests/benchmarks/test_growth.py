"""Least work against hand counts and torch's own, growth against sums, and a reduced run."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

import proofs
import tiny
from specprof import registry
from specprof.engine.decoder import CausalModel
from specprof.engine.flat import read
from specprof.engine.flat.proof import choose_path
from specprof.engine.replay.model import ReplayedModel
from specprof.engine.setup import loading
from specprof.engine.stores.window import Window
from specprof.extend import Cache
from specprof.settings import Settings

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
sys.path.append(str(BENCHMARKS))

import growth  # noqa: E402 - scripts, found where the line above says
from on_cpu import due, grown, turns  # noqa: E402

CPU = torch.device("cpu")
MULTIPLIED = 3 * (32 * 32 + 2 * 32 * 16 + 32 * 32 + 3 * 32 * 64) + 96 * 32
"""Of the tiny llama: layers of queries, keys and values, what follows them, the MLP; the head."""
LOOK = 3 * 4 * (4 * 8)
"""Its flops for one token and one row: layers, twice a product of two, heads x size."""
ROW = 3 * 2 * (2 * 8) * 4
"""Its bytes of a stored token: layers, key and value, heads x size, float32."""


def loaded(folder, kind="llama", **changed):
    return loading.load(str(tiny.checkpoint(folder, kind, **changed)), Settings(), CPU)


def test_a_pass_multiplies_every_weight_and_looks_at_every_row_before(tmp_path):
    """By hand: three tokens that follow ten see eleven rows, twelve and thirteen."""
    told = due.least_work(loaded(tmp_path), 10, 3)
    assert told.weight_flops == 2 * MULTIPLIED * 3
    assert told.attention_flops == LOOK * (11 + 12 + 13)
    assert told.row_bytes == ROW * 10
    assert told.flops == told.weight_flops + told.attention_flops
    assert told.read_bytes == told.weight_bytes + told.row_bytes


@pytest.mark.parametrize(
    ("window", "each", "stored"),
    [(Window(2, 5), (8, 8), 7), (Window(2, 5, 3), (9, 10), 8), (Window(2, 50), (21, 22), 20)],
)
def test_a_window_is_read_as_far_as_it_goes(tmp_path, window, each, stored):
    """Sinks, recent ones, and what a block of evictions leaves; stored rows are read once."""
    told = due.least_work(loaded(tmp_path), 20, 2, window)
    assert told.attention_flops == LOOK * sum(each)
    assert told.row_bytes == ROW * stored


def test_a_layer_that_slides_sees_its_own_window(tmp_path):
    """Mistral's, 24 tokens of them with its own."""
    told = due.least_work(loaded(tmp_path, "mistral"), 40, 2)
    assert told.attention_flops == LOOK * 2 * 24
    assert told.row_bytes == ROW * 23


@pytest.mark.parametrize("block", [1, 3])
def test_rows_counted_are_those_the_cache_shows(tmp_path, block):
    """Before anything is evicted and after, for every token of a pass."""
    settings = Settings(window=12, sinks=2, block=block, context=40)
    held = loaded(tmp_path)
    store = registry.get(Cache, "sink-window")(settings).open(held.model, 48)
    decoder = CausalModel(held.model, store, CPU)
    first = read.parts(held.model).blocks[0]
    window = Window(2, 12, block)
    for length in (3, 13, 14, 15, 29, 40):
        decoder.prefill([1] * (length - decoder.length))
        place = store.place(5, CPU)
        shown = (
            torch.arange(length + 1, length + 6)
            if place.visible is None
            else place.visible[0].sum(-1)
        )
        assert shown.tolist() == [
            due.count_seen_rows(first, length + each, window) for each in range(5)
        ]


@pytest.mark.parametrize("kind", ["llama", "gpt_neox", "qwen3", "gemma"])
@pytest.mark.parametrize("width", [1, 5])
def test_flops_are_those_torch_counts(tmp_path, kind, width):
    """Which multiplies what the mask then hides too: a token with those fed after it."""
    held = loaded(tmp_path, kind)
    store = registry.get(Cache, "dense")(Settings()).open(held.model, 64)
    decoder = CausalModel(held.model, store, CPU, forwards=choose_path(held.model, "flat"))
    decoder.prefill([1] * 20)
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        decoder.feed(torch.ones(width, dtype=torch.int64))
    told = due.least_work(held, 20, width)
    heads = read.parts(held.model).blocks[0].heads
    hidden = 3 * 4 * heads.queries * heads.size * width * (width - 1) // 2
    assert counter.get_total_flops() == told.flops + hidden


def made(context, rows, *, took, kernel=2.0, reads=1.0, slower=(1.0,) * 6):
    """Make a place's passes; every repetition as much slower as is said, whoever plays."""
    slow = np.array(slower)[:, None]
    parts = np.array([[1.0, 2.0, 6.0]])
    step = due.LeastWork(100, rows, 30, rows)
    verify = due.LeastWork(300, 3 * rows, 900, 3 * rows)
    times = {
        "took": took * parts * slow,
        "kernel": kernel * parts * slow,
        "reads": reads * parts * slow,
        "ms_per_flop": 0.002 * slow[:, 0],
    }
    return grown.make_passes("flat", grown.Place("dense", context), (step, verify), 4, times)


def test_the_least_is_the_longer_of_reading_and_computing():
    """Of a round that of its passes together: it can't compute one while it reads the next."""
    step, verify, whole = made(10, 100, took=10.0)
    assert step.least == pytest.approx([1.0] * 6)  # reads 1 ms, computes 130 x 0.002
    assert step.bound_by == "bytes"
    assert step.least_attention == pytest.approx([0.5] * 6)  # half the bytes are rows
    assert verify.least == pytest.approx([1200 * 0.002] * 6)  # reads 2 ms
    assert verify.bound_by == "flops"
    assert verify.least_attention == pytest.approx([1.0] * 6)  # half of 2 ms; computes 0.6
    assert whole.least == pytest.approx([4 * 1.0 + 2.4] * 6)
    assert whole.least_attention == pytest.approx([4 * 0.5 + 1.0] * 6)
    assert whole.due == due.LeastWork(4 * 100 + 300, 4 * 100 + 300, 4 * 30 + 900, 4 * 100 + 300)


def test_growth_is_held_against_the_growth_of_attention():
    """From the shortest context; the machine's pace, other in every repetition, falls out."""
    pace = (1.0, 2.0, 1.0, 5.0, 1.0, 2.0)
    short = made(10, 100, took=10.0, slower=pace)[0]
    long = made(40, 300, took=16.0, kernel=5.0, reads=2.0, slower=pace)[0]
    told = grown.summarise_pass(long, short)
    assert told["growth_ms"].value == pytest.approx(6 * 1.5)
    assert told["least_growth_ms"].value == pytest.approx(1.5 * (2 * 300 / 400 - 100 / 200))
    for name, ratio in (
        ("growth_over_least_growth", 6.0),
        ("growth_over_kernels_growth", 6 / 3),
        ("time_over_least_time", 8.0),
    ):
        assert (told[name].value, told[name].low, told[name].high) == pytest.approx((ratio,) * 3)


def test_nothing_is_divided_by_a_growth_that_is_none():
    """A window that shows a few rows more; and the shortest context itself has no growth."""
    short, near = made(10, 100, took=10.0)[0], made(40, 104, took=12.0)[0]
    told = grown.summarise_pass(near, short)
    assert told["growth_ms"].value == pytest.approx(2.0)
    assert {told[name] for name in grown.RATIO_NAMES} == {None}
    assert {
        grown.summarise_pass(short, short)[name] for name in grown.GROWTH_NAMES + grown.RATIO_NAMES
    } == {None}


def test_a_repetition_without_growth_is_left_out():
    """A clock that read the same twice; of none that grew there is no ratio."""
    over, under = np.array([6.0, 1.0, 6.0]), np.array([2.0, 0.0, 2.0])
    told = grown._ratio(over, under)
    assert (told.value, told.n) == (3.0, 2)
    assert grown._ratio(over, 0 * under) is None


def test_turns_are_taken_there_and_back():
    """From the one whose turn it is; the first play of a turn warms up and isn't told."""
    order, left = [], {name: iter(range(100)) for name in "abc"}

    def player(name):
        def play():
            order.append(name)
            return [float(next(left[name])), 7.0]

        return play

    told = turns.play_repetition([player(name) for name in "abc"], 1, 3)
    assert "".join(order) == "bbbbccccaaaaaaaaccccbbbb"
    for each in told:  # plays 1 to 3, then 5 to 7
        assert each.tolist() == [[2.0, 7.0], [6.0, 7.0]]


@pytest.fixture(scope="module")
def rehearsed(tmp_path_factory):
    family, into = tmp_path_factory.mktemp("family"), tmp_path_factory.mktemp("into")
    proofs.family(family)
    named = [f"--{each}={family / each}" for each in ("target", "draft", "text")]
    growth.main(["--reduced", "--seconds=0", "--takes=1", f"--into={into}", *named])
    told = json.loads((into / "growth.json").read_text(encoding="utf-8"))
    return told, (into / "growth.txt").read_text(encoding="utf-8")


def test_the_reduced_form_tells_every_pass(rehearsed):
    """By path, caches and context, each with its limits; the counts are those of the model."""
    told, _ = rehearsed
    assert told["reduced"]
    keys = [(row["path"], row["caches"], row["context"], row["what"]) for row in told["passes"]]
    paths, caches, contexts = len(growth.PATHS), len(growth.CACHES), len(growth.REDUCED_CONTEXTS)
    assert len(set(keys)) == len(keys) == paths * caches * contexts * len(turns.PASSES)
    assert all(each["value"] > 0 for each in told["limits"].values())
    for row in told["passes"]:
        assert row["ms"]["value"] > 0
        assert row["time_over_least_time"]["value"] > 0
        assert (row["growth_ms"] is None) == (row["context"] == growth.REDUCED_CONTEXTS[0])
        if row["what"] == "verify pass":
            dense = growth.CACHES[row["caches"]][0] == growth.DENSE
            most = row["context"] if dense else min(row["context"], growth.REDUCED_CONTEXTS[0] + 4)
            assert row["least_row_bytes"] == ROW * most
            assert row["least_weight_flops"] == 2 * MULTIPLIED * 5


def test_passes_are_replayed_where_a_run_would_replay_them(rehearsed):
    """Over whole stores and over windows, by both paths."""
    told, _ = rehearsed
    keys = {tuple(key.rsplit(", ", 2)[1:]) for key in told["replayed"]}
    caches = (growth.DENSE, growth.WINDOW)
    assert keys == {(cache, path) for cache in caches for path in growth.PATHS}
    assert set(told["replayed"].values()) == {None}


@pytest.mark.parametrize("graphs", ["auto", "off"])
def test_a_timed_pass_is_a_replay_unless_they_are_off(tmp_path, graphs):
    """Nothing runs eagerly that was recorded, and nothing is recorded in what is timed."""
    proofs.family(tmp_path)
    pair = {name: str(tmp_path / name) for name in ("target", "draft", "text")}
    settings = Settings(**pair, device="cpu", context=24, window=8, graphs=graphs)
    bench = growth.Bench(settings, [24], reduced=True)
    rounds = [each for each in bench.make_plays().values() if isinstance(each, turns.Round)]
    assert len(rounds) == len(growth.CACHES) * len(growth.PATHS)
    for each in rounds:
        each()
        for decoder in (each.draft, each.target):
            assert isinstance(decoder, ReplayedModel) == (graphs == "auto")
            assert not getattr(decoder, "missed", None)
    reasons = {None} if graphs == "auto" else {"they were turned off"}
    assert set(bench.explain_replays().values()) == reasons


def test_growth_is_told_over_what_attention_grew_by(rehearsed):
    """Where it grew: not with a window, but in a round whose target has none."""
    told, _ = rehearsed
    deep = [row for row in told["passes"] if row["context"] == growth.REDUCED_CONTEXTS[-1]]
    ratio = {
        (row["caches"], row["what"]): row["growth_over_least_growth"] is not None for row in deep
    }
    assert all(ratio["dense", what] for what in turns.PASSES)
    assert ratio["window draft", "verify pass"]
    assert not ratio["window draft", "draft step"]
    assert not any(ratio["windows", what] for what in turns.PASSES)


def test_the_tables_fit_a_screen(rehearsed):
    """What isn't known is a dash."""
    _, text = rehearsed
    assert max(map(len, text.splitlines())) <= 100
    assert "–" in text


def test_a_round_leaves_everything_where_it_was(tmp_path):
    """Both decoders stand where they stood, and K draft steps and one verify were made."""
    held = loaded(tmp_path)
    decoders = []
    for _ in range(2):
        store = registry.get(Cache, "dense")(Settings()).open(held.model, 32)
        decoders.append(CausalModel(held.model, store, CPU))
        decoders[-1].prefill([1] * 9)
    draft, target = decoders
    before = [each.forwards for each in decoders]
    step, verify, whole = turns.Round(draft, target, 4)()
    assert [each.length for each in decoders] == [9, 9]
    assert [each.forwards - was for each, was in zip(decoders, before, strict=True)] == [4, 1]
    assert whole == 4 * step + verify


def test_a_rehearsal_leaves_no_results(tmp_path, monkeypatch):
    """Its figures must not lie where real ones are looked for."""
    monkeypatch.setattr(growth, "RESULTS", tmp_path)
    monkeypatch.setattr(growth, "Bench", lambda *_, **__: type("Bench", (), {"make_plays": dict})())
    monkeypatch.setattr(growth, "play", lambda plays, **_: {})
    monkeypatch.setattr(growth, "summarise", lambda *_: {"limits": {}, "passes": []})
    monkeypatch.setattr(growth, "table", lambda _: [])
    growth.main(["--reduced", f"--into={tmp_path}"])
    assert not list(tmp_path.iterdir())
