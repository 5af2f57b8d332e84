"""Captures are grouped into cells; repeats are one sample of the text, several of the clock."""

import gc
import weakref

import msgspec
import numpy as np
import pytest

import captures
from specprof import sweep
from specprof.analysis import sweep_cells
from specprof.analysis.columns import Columns
from specprof.analysis.summaries import steps
from specprof.analysis.sweep_cells import read_cells
from specprof.errors import CaptureUnreadable, EnvironmentMissing
from specprof.plan import expand
from specprof.records import Header, Round
from specprof.settings import Profile, RunSpec, Settings

PROFILE = Profile(name="k", sweep={"depth": [2, 4]}, repeats=2)


def respecced(events, spec):
    header, *rest = events
    assert isinstance(header, Header)
    return [msgspec.structs.replace(header, spec=spec), *rest]


def fed(events):
    columns = Columns()
    columns.feed(events)
    return columns


def slower(events, factor):
    replace = msgspec.structs.replace
    return [
        replace(each, wall_ns=int(each.wall_ns * factor)) if isinstance(each, Round) else each
        for each in events
    ]


@pytest.fixture
def swept(tmp_path):
    """A sweep whose second repeats took twice as long."""
    folder = tmp_path / "swept"

    def play(spec, path):
        made = captures.events(depth=spec.settings.depth)
        captures.write(path, respecced(slower(made, 1 + spec.repeat), spec))
        return "complete"

    index = sweep.begin(folder, PROFILE, expand(PROFILE), force=False)
    sweep.play_all(folder, index, play, sweep.Listener())
    return folder


def test_a_sweep_is_its_cells_with_their_repeats(swept):
    """In the order written, each with the label the plan gave it."""
    cells = read_cells([swept])
    assert [cell.label for cell in cells] == ["K=2", "K=4"]
    assert [len(cell.captures) for cell in cells] == [2, 2]
    assert {cell.state for cell in cells} == {"complete"}


def test_repeats_that_decoded_alike_are_averaged_round_by_round(swept):
    """No interval may shrink because the same text was decoded twice."""
    cell = read_cells([swept])[0]
    once = cell.per_repeat[0]
    assert len(cell.steps.wall_ns) == len(once.wall_ns)
    np.testing.assert_allclose(cell.steps.wall_ns, 1.5 * once.wall_ns, rtol=1e-6)


def test_repeats_that_differ_are_laid_end_to_end(tmp_path):
    """Other tokens are another sample."""
    spec = RunSpec(id="same", profile="k", settings=Settings(backend="synthetic"))
    paths = [
        captures.write(tmp_path / f"{seed}.jsonl", respecced(captures.events(seed=seed), spec))
        for seed in (1, 2)
    ]
    (cell,) = read_cells(paths)
    assert len(cell.steps.wall_ns) == sum(len(each.wall_ns) for each in cell.per_repeat)


def test_a_batch_shares_its_steps(tmp_path):
    """Rounds that began together are one step: one wall time, everybody's tokens."""
    header, *rest = captures.events()
    replace, twice = msgspec.structs.replace, []
    for each in rest:
        if isinstance(each, Round):
            twice += [replace(each, sequence=s, shared=2) for s in (0, 1)]
    found, alone = (steps(fed([header, *each])) for each in (twice, rest))
    np.testing.assert_array_equal(found.wall_ns, alone.wall_ns)
    np.testing.assert_array_equal(found.emitted, 2 * alone.emitted)
    np.testing.assert_array_equal(found.target_forwards, alone.target_forwards)


def test_a_run_that_left_no_capture_is_told_with_its_reason(tmp_path):
    """It has a row, a state and no figures."""
    folder = tmp_path / "swept"

    def play(spec, path):
        raise EnvironmentMissing("no such model", "give another")

    index = sweep.begin(folder, PROFILE, expand(PROFILE), force=False)
    sweep.play_all(folder, index, play, sweep.Listener())
    cells = read_cells([folder])
    assert [(cell.state, cell.trouble) for cell in cells] == [("failed", "no such model")] * 2
    assert all(not len(cell.steps.wall_ns) for cell in cells)


def test_captures_of_one_label_are_told_apart(tmp_path):
    """The profile's name and the cell's number are added."""
    paths = []
    for number in ("one", "two"):
        spec = RunSpec(id=number, profile="k", settings=Settings(), label="same")
        made = respecced(captures.events(), spec)
        paths.append(captures.write(tmp_path / f"{number}.jsonl", made))
    assert [cell.label for cell in read_cells(paths)] == ["k same one", "k same two"]


def test_a_folder_of_captures_is_as_good_as_a_sweep(swept):
    """Without its index the captures speak for themselves."""
    (swept / sweep.INDEX).unlink()
    assert [len(cell.captures) for cell in read_cells([swept])] == [2, 2]


def test_an_empty_folder_is_refused(tmp_path):
    """There is nothing to compare."""
    with pytest.raises(CaptureUnreadable, match="no captures"):
        read_cells([tmp_path])


def test_only_complete_repeats_are_laid_out_where_there_is_one(swept):
    """A repeat that was stopped would count its first rounds twice as much as its last."""
    run = sweep.read_index(swept).runs[0]
    whole = (swept / run.file).read_bytes()
    (swept / run.file).write_bytes(whole[: len(whole) // 2])
    cell = read_cells([swept])[0]
    assert cell.state == "INCOMPLETE"
    assert len(cell.captures) == 1


def test_one_capture_is_held_at_a_time(swept, monkeypatch):
    """A sweep has thousands; what was read of one is let go before the next."""
    read, held = sweep_cells.read_columns, list[weakref.ref]()

    def watched(path):
        gc.collect()
        assert not [each for each in held if each() is not None]
        found = read(path)
        held.append(weakref.ref(found.columns))
        return found

    monkeypatch.setattr(sweep_cells, "read_columns", watched)
    found = read_cells([swept])
    gc.collect()
    assert len(held) == 4
    assert not [each for each in held if each() is not None]
    first, second = found[0].per_repeat
    assert second.context is first.context  # alike: only the times are each repeat's own


def test_damage_to_a_repeat_that_is_not_shown_is_told(swept):
    """The row is the whole repeat's, and says that there was another."""
    path = swept / sweep.read_index(swept).runs[0].file
    path.write_bytes(path.read_bytes() + b"{half\n")
    cell = read_cells([swept])[0]
    assert (cell.state, len(cell.captures)) == ("DAMAGED", 1)
    assert "could not be read" in cell.damage[0]
