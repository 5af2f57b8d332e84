"""The GPU's script in its reduced form on a CPU, so that it can't rot; no figure is looked at."""

import json
import math
import sys
import time
from pathlib import Path

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

import proofs
import tiny
from specprof import registry
from specprof.engine.instruments.stopwatch import HostClock
from specprof.engine.setup import loading
from specprof.settings import Settings

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
sys.path.append(str(BENCHMARKS))

import gpu  # noqa: E402 - scripts, found where the line above says
from on_gpu import grid, memory, pairs, passes, rows, timing  # noqa: E402

CPU = torch.device("cpu")
PUBLISHED = {
    "pythia-2.8b": 2_775_208_960,
    "pythia-410m": 405_334_016,
    "pythia-160m": 162_322_944,
    "pythia-70m": 70_426_624,
    "llama-8b": 8_030_261_248,
    "llama-1b": 1_235_814_400,
}
"""Parameters, as the models' cards have them."""


@pytest.fixture(scope="module")
def family(tmp_path_factory):
    return proofs.family(tmp_path_factory.mktemp("gpu"))


@pytest.fixture
def ask(family, tmp_path):
    return rows.Ask(
        device=CPU,
        reduced=True,
        folder=tmp_path,
        target=str(family / "target"),
        draft=str(family / "draft"),
        head=str(family / "head"),
        text=str(family / "text"),
        until=math.inf,
    )


def rehearse(family, into, *parts):
    """Run parts, and return the exit code and what they wrote."""
    named = [f"--{each}={family / each}" for each in ("target", "draft", "head", "text")]
    given = [*parts, "--reduced", "--device=cpu", f"--into={into}", "--commit=abc", *named]
    code = gpu.main(given)
    wrote = {each.stem.removeprefix("gpu-"): each for each in into.glob("gpu-*.json")}
    return code, {part: json.loads(place.read_text()) for part, place in wrote.items()}


@pytest.fixture(scope="module")
def whole(family, tmp_path_factory):
    return rehearse(family, tmp_path_factory.mktemp("results"), "all")


def figures(found):
    return {row["what"]: row["figure"] for row in found["rows"]}


def test_the_reduced_form_runs_to_its_end(whole):
    """Every part, and each says where its figures come from."""
    code, found = whole
    assert {part: told["failed"] for part, told in found.items()} == dict.fromkeys(gpu.PARTS)
    assert code == 0
    for told in found.values():
        assert told["rehearsal"]
        assert told["stamp"]["commit"] == "abc"
        assert told["stamp"]["gpu"]["driver"] is None
        assert "torch" in told["stamp"]["versions"]


@pytest.mark.parametrize("part", gpu.PARTS)
def test_a_part_judges_here_what_holds_anywhere(whole, part):
    """Those goals are met; a GPU's are left open and said to be, and no row passes silently."""
    rows_ = whole[1][part]["rows"]
    assert rows_
    for row in rows_:
        assert row["goal"] is None or row["anywhere"], row
        assert row["met"] is not False, row
        if row["figure"] is None:
            assert "needs CUDA" in row["note"] or row["what"].endswith("widest near tie"), row
    told = any("needs CUDA" in row["note"] for row in rows_)
    assert told or part == "grid"
    names = [row["what"] for row in rows_]
    assert len(set(names)) == len(names)


def test_a_round_waits_once_in_the_loop(whole):
    """Whoever reads a tensor a second time, or elsewhere, is found by this."""
    found = whole[1]["syncs"]
    for path in ("modules", "flat"):
        (place,) = found["details"][f"{path} off: tensors read, by place"]
        assert place.startswith("engine/loop.py:")
        assert figures(found)[f"{path} off: tensors read"] == 1.0


def test_rows_of_a_cache_are_those_of_the_formula(whole):
    """A dense one to the byte; the eight-bit one is smaller."""
    told = figures(whole[1]["memory"])
    assert {told[name] for name in told if ": dense, " in name and "formula" in name} == {1.0}
    eight = {told[name] for name in told if ": quantised, " in name and "formula" in name}
    assert all(each < 0.5 for each in eight)


def test_the_grid_holds_every_member_that_can_be_lossless(ask):
    """None is left out of the full form, nor of the few cells of the reduced one."""
    cells = grid.list_cells(ask)
    for kind in ("drafter", "shape", "cache"):
        assert {cell[kind] for cell in cells} == set(registry.members(kind))
    assert {cell["acceptance"] for cell in cells} == set(proofs.lossless())
    every = {pair for cell in cells for pair in cell.items()}
    few = grid.choose_covering(cells)
    assert {pair for cell in few for pair in cell.items()} == every
    assert len(few) < len(cells) / 4


@pytest.mark.parametrize(("logit", "tie"), [(0.98, True), (0.5, False)])
def test_a_near_tie_is_told_from_a_real_difference(logit, tie):
    """By the two tokens' logits where the texts first part, not by how much parts after."""
    row = torch.tensor([[1.0, 0.0, 0.0, 0.0]])
    parted = torch.tensor([[1.0, logit, 0.0, 0.0]])
    plain = grid.Plain([0, 0, 0], torch.cat([row, parted, row]))
    tally = grid.Tally()
    grid._compare(tally, "method", plain, [0, 1, 3])
    gap = (1 - logit) / parted.std().item()
    assert (tally.ties if tie else tally.other) == {"method": pytest.approx(gap, rel=1e-5)}
    assert not (tally.other if tie else tally.ties)
    grid._compare(tally, "same", plain, [0, 0, 0])
    assert tally.same == 1


def test_other_tokens_are_a_goal_missed(ask):
    """A method that parts by more than a tie is named, on any device."""
    tally = grid.Tally(same=3, other={"self chain": 1.5})
    told = rows.drop_foreign_goals(
        list(grid._tally_rows(tally, "float16", 1.0)), cuda=False, reduced=False
    )
    missed = [row for row in told if row.met is False]
    assert [(row.figure, row.unit) for row in missed] == [(1.0, "of 4 methods")]
    assert "self chain: 1.5 deviations" in missed[0].note


def test_nothing_played_meets_nothing(ask):
    """No method's tokens were wrong where none was played."""
    told = rows.drop_foreign_goals(
        list(grid._tally_rows(grid.Tally(unplayed=9), "x", 1.0)), cuda=True, reduced=False
    )
    assert [row.met for row in told] == [None] * 6


def test_methods_there_was_no_time_for_are_counted(ask):
    """What was left out is said."""
    late = rows.replace(ask, until=-math.inf)
    tally = grid._play_cells(
        late, grid.choose_covering(grid.list_cells(ask)), path="flat", dtype="float16"
    )
    assert tally.unplayed > 5
    assert f"{tally.unplayed} not played" in next(grid._tally_rows(tally, "float16", 1.0)).note


def test_shapes_are_those_published():
    """By their number of parameters, made of nothing."""
    found = {}
    for name, config in pairs.SHAPES.items():
        rest = {key: value for key, value in config.items() if key != "model_type"}
        with torch.device("meta"):
            made = AutoModelForCausalLM.from_config(
                AutoConfig.for_model(config["model_type"], **rest)
            )
        found[name] = sum(weight.numel() for weight in made.parameters())
    assert found == PUBLISHED


@pytest.mark.parametrize("tied", [True, False])
def test_a_pass_reads_its_weights_once_and_the_keys_it_sees(tmp_path, tied):
    """Of a table only looked up in, next to nothing."""
    place = tiny.checkpoint(tmp_path, tie_word_embeddings=tied)
    loaded = loading.load(str(place), Settings(), CPU)
    table = tiny.VOCABULARY * tiny.SHAPE["hidden_size"] * 4
    keys = 2 * 3 * 2 * 8 * 4  # and values: layers, heads, size, bytes
    wanted = loaded.facts.weight_bytes - (0 if tied else table)
    assert passes.count_bytes_read(loaded, 0) == wanted
    assert passes.count_bytes_read(loaded, 10) == wanted + 10 * keys


class Fast:
    """A clock whose marks lie too close together, as events would that a device ran past."""

    kind = "fast"
    late = False

    def mark(self):
        return time.perf_counter_ns()

    def between(self, start, end):
        return round((end - start) * 0.9)


@pytest.mark.parametrize(("clock", "figure"), [(HostClock, 1.0), (Fast, 0.9)])
def test_a_clock_that_runs_wrong_is_found_by_the_same_marks(ask, monkeypatch, clock, figure):
    """However unquiet the machine: both lengths are of one and the same span."""
    monkeypatch.setattr(timing, "clock_for", lambda device: clock())
    pair = pairs.named_pair(ask)
    told = {row.what: row for row in timing._clock_rows(ask, pair)}
    for span in timing.JUDGED_SPANS:
        row = told[f"{pair.name}: {span}, events over synchronised"]
        assert row.figure == pytest.approx(figure, abs=0.015)
        assert (row.at_least, row.at_most) == timing.AGREEMENT_BOUNDS


def test_bytes_of_a_store_are_its_layers_and_its_own(ask):
    """Its positions too: of a short window they are more than the allocator is held to."""
    pair = pairs.named_pair(ask)
    loaded = pairs.load_pair(pair.settings)
    store = memory._open_store(ask, pair, loaded, "dense", 64)
    one = store.layers[0]
    assert memory.count_layer_bytes(store) == len(store.layers) * (
        one.keys.nbytes + one.values.nbytes
    )
    assert memory.count_own_bytes(store) == 64 * 8


def test_a_part_that_fails_costs_the_others_nothing(family, tmp_path, monkeypatch, capsys):
    """What it had made is kept, why it failed is said, and the exit code tells."""

    def failing(ask):
        yield rows.Row(what="before", unit="u", figure=1.0)
        raise TypeError("not on this device")

    def sound(ask):
        yield rows.Row(what="after", unit="u", figure=2.0)

    monkeypatch.setattr(gpu, "PARTS", {"timing": failing, "cost": sound})
    code, found = rehearse(family, tmp_path, "timing", "cost")
    assert code == 1
    assert found["timing"]["failed"] == "TypeError: not on this device"
    assert figures(found["timing"]) == {"before": 1.0}
    assert figures(found["cost"]) == {"after": 2.0}
    assert "FAILED" in capsys.readouterr().out


def test_rows_that_fail_cost_the_others_nothing(family, tmp_path, monkeypatch, capsys):
    """A pair that the device has no memory for is told, and the part's next pair is played."""

    def full(ask):
        yield rows.Row(what="weights", unit="u", figure=1.0)
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB.\nMore")

    def part(ask):
        yield from rows.guard_rows(ask, "large", full(ask))
        yield from rows.guard_rows(
            ask, "small", iter([rows.Row(what="after", unit="u", figure=2.0)])
        )
        late = rows.replace(ask, until=-math.inf)
        yield from rows.guard_rows(late, "late", full(ask))

    monkeypatch.setattr(gpu, "PARTS", {"shapes": part})
    code, found = rehearse(family, tmp_path, "shapes")
    assert code == 1
    assert figures(found["shapes"]) == {"weights": 1.0, "after": 2.0, "late: not played": None}
    why = "large: OutOfMemoryError: CUDA out of memory. Tried to allocate 9 GiB."
    assert found["shapes"]["failed"] == why
    assert why in capsys.readouterr().out


def test_what_was_measured_is_on_disk_at_once(family, tmp_path, monkeypatch):
    """Who is killed loses the row being made, who is stopped no more than that; nothing follows."""
    seen = {}

    def stopped(ask):
        yield rows.Row(what="before", unit="u", figure=1.0)
        seen.update(json.loads((tmp_path / "gpu-timing.json").read_text()))
        raise KeyboardInterrupt

    monkeypatch.setattr(gpu, "PARTS", {"timing": stopped, "cost": lambda ask: iter(())})
    code, found = rehearse(family, tmp_path, "all")
    assert (seen["failed"], figures(seen)) == ("not finished", {"before": 1.0})
    assert code == 130
    assert found.keys() == {"timing"}
    assert (found["timing"]["failed"], figures(found["timing"])) == (
        "stopped by Ctrl-C",
        {"before": 1.0},
    )


def test_a_folder_that_cant_be_written_to_is_refused_first(tmp_path, monkeypatch, capsys):
    """Not when minutes of a GPU have gone into what it should hold."""
    monkeypatch.setattr(gpu, "PARTS", {"timing": lambda ask: pytest.fail("measured")})
    (tmp_path / "file").touch()
    into = tmp_path / "file" / "folder"
    assert gpu.main(["all", "--device=cpu", f"--into={into}"]) == 2
    assert str(into) in capsys.readouterr().err


def test_a_device_without_memory_says_so(monkeypatch, capsys):
    """Its own speed can't be measured, so nothing else is."""

    def full(device):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 256 MiB.")

    monkeypatch.setattr(gpu, "stamp", full)
    assert gpu.main(["all", "--device=cpu"]) == 3
    assert "no memory left: CUDA out of memory" in capsys.readouterr().err


def test_a_rehearsal_leaves_no_results(monkeypatch, tmp_path):
    """A figure of a CPU must not lie where a GPU's are looked for."""
    monkeypatch.setattr(gpu, "RESULTS", tmp_path)
    monkeypatch.setattr(gpu, "PARTS", {"timing": lambda ask: iter(())})
    assert gpu.main(["all", "--device=cpu", "--reduced"]) == 0
    assert gpu.main(["all", "--device=cpu"]) == 0
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_without_a_gpu_it_says_so(capsys):
    """And plays nothing on another device in its place."""
    assert gpu.main(["timing"]) == 3
    assert "use --device cpu" in capsys.readouterr().err
