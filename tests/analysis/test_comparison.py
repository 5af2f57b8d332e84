"""Cells side by side: exact figures from known times, and no comparison of unlike things."""

import math
from dataclasses import replace

import msgspec
import numpy as np
import pytest

import captures
from specprof.analysis import comparison, summaries
from specprof.analysis.columns import Columns
from specprof.analysis.comparison import compare
from specprof.analysis.recorded import lay_out_capture
from specprof.analysis.summaries import summarise
from specprof.analysis.sweep_cells import Cell
from specprof.records import Drafted, Plain, Prefill, Round, Scored
from specprof.settings import RunSpec, Settings

MS = 1_000_000
SOME = {"context": 400, "stops": 4, "max_new_tokens": 40}


def cell(label, made, state="complete", **settings):
    header, *rest = made
    spec = RunSpec(id=label, profile="t", settings=Settings(**settings), label=label)
    header = msgspec.structs.replace(header, spec=spec)
    capture = lay_out_capture(captures.in_memory([header, *rest]))
    return Cell(spec=spec, label=label, captures=[summarise(capture)], states=[state])


def with_header(one, **changed):
    """Return a cell whose capture has these fields of its header changed."""
    header, *rest = captures.events()
    header = msgspec.structs.replace(one.header, **changed)
    return replace(one, captures=[summarise(lay_out_capture(captures.in_memory([header, *rest])))])


def played(emitted, wall_ms, *, drafted=4, context=200, at=0):
    """One round that accepts all but its last token."""
    chain = [Drafted(7, i - 1, i < emitted, i < emitted - 1) for i in range(drafted)]
    return Round(
        index=at,
        context=context,
        depth_asked=drafted,
        drafted=chain,
        accepted=emitted - 1,
        emitted=[7] * emitted,
        start_ns=at * 100 * MS,
        wall_ns=int(wall_ms * MS),
    )


def run_of(rounds, *others, **settings):
    header, *_ = captures.events()
    fed = Prefill(burst=0, context=200, fed=200, start_ns=0, wall_ns=30 * MS)
    return cell(settings.pop("label", "cell"), [header, fed, *rounds, *others], **(SOME | settings))


def plain_cell(wall_ms=10, **settings):
    rounds = [played(1, wall_ms, drafted=0, context=200 + i, at=i) for i in range(40)]
    return run_of(rounds, drafter="none", **({"label": "plain"} | settings))


def fast_cell(wall_ms=12, **settings):
    rounds = [played(3, wall_ms, context=200 + 3 * i, at=i) for i in range(40)]
    return run_of(rounds, **({"label": "fast"} | settings))


def figures(row):
    return {name: figure.value for name, figure in row.figures.items()}


def test_the_figures_of_known_times_are_exact():
    """Three tokens in 12 ms against one in 10 ms: 250 tokens a second, 2.5 times as many."""
    plain, fast = compare([plain_cell(), fast_cell()]).rows
    found = figures(fast)
    assert found["emitted_per_second"] == pytest.approx(250)
    assert found["speedup"] == pytest.approx(2.5)
    assert found["ms_per_emitted"] == pytest.approx(4)
    assert found["ttft_ms"] == pytest.approx(42)
    assert found["tau"] == 3
    assert found["alpha_cond"] == pytest.approx(2 / 3)
    assert found["accept_frac"] == 0.5
    assert found["tokens_per_target_forward"] == 3
    assert [round(each.value, 2) for each in fast.survival] == [1, 1, 0, 0]
    assert figures(plain)["speedup"] == 1
    assert "alpha_cond" not in plain.figures


def test_the_interval_of_a_speed_up_covers_the_truth_as_often_as_it_says():
    """Of 60 noisy pairs at least 51 intervals hold 2.5: fewer comes by chance once in 900."""
    rng, held = np.random.default_rng(3), 0
    for _ in range(60):
        plain, fast = plain_cell(), fast_cell()
        for one, mean in ((plain, 10), (fast, 12)):
            one.steps.wall_ns[:] = rng.gamma(20, mean * MS / 20, len(one.steps.wall_ns))
        figure = compare([plain, fast]).rows[1].figures["speedup"]
        held += figure.low <= 2.5 <= figure.high
    assert held >= 51


def test_plain_steps_beside_the_bursts_serve_where_no_plain_cell_does():
    """The note says which was used."""
    beside = Plain(burst=0, context=240, steps_ns=[9 * MS, 10 * MS, 11 * MS])
    rounds = [played(3, 12, context=200 + 3 * i, at=i) for i in range(40)]
    found = compare([run_of(rounds, beside)])
    assert found.rows[0].figures["speedup"].value == pytest.approx(2.5)
    assert "plain steps beside each burst: 'cell'" in found.notes[0]


def test_both_baselines_are_told_where_both_are_there():
    """The whole cell for all methods alike; the plain steps for the cell's own cache."""
    beside = Plain(burst=0, context=240, steps_ns=[6 * MS])
    rounds = [played(3, 12, context=200 + 3 * i, at=i) for i in range(40)]
    found = compare([plain_cell(), run_of(rounds, beside)])
    row = figures(found.rows[1])
    assert row["speedup"] == pytest.approx(2.5)
    assert row["speedup_over_plain_steps"] == pytest.approx(1.5)
    assert "over 'plain'" in found.notes[0]


@pytest.mark.parametrize(
    "unlike",
    [{"context": 500}, {"max_new_tokens": 8}, {"temperature": 1.0}, {"target": "x"}, {"batch": 2}],
)
def test_unlike_cells_are_not_set_against_each_other(unlike):
    """Other contexts, another model, another law: no speed-up rather than a wrong one."""
    found = compare([plain_cell(), fast_cell(**unlike)])
    assert "speedup" not in found.rows[1].figures


def test_the_first_plain_cell_is_the_baseline_of_all():
    """Streaming is set against plain dense decoding, as the profile lists it first."""
    dense, streaming = plain_cell(10), plain_cell(5, label="stream", cache="sink-window")
    rows = compare([dense, streaming, fast_cell(cache="sink-window")]).rows
    assert [figures(row)["speedup"] for row in rows] == pytest.approx([1, 2, 2.5])


def test_a_plain_token_costs_what_it_cost_at_that_depth():
    """Fast where plain decoding is slow: each token against plain time at its own place."""
    near = [played(1, 10, drafted=0, context=128, at=i) for i in range(10)]
    far = [played(1, 30, drafted=0, context=400, at=10 + i) for i in range(10)]
    deep = [played(3, 45, context=400, at=i) for i in range(10)]
    plain, fast = run_of([*near, *far], drafter="none", label="plain"), run_of(deep)
    assert compare([plain, fast]).rows[1].figures["speedup"].value == pytest.approx(2)


def test_a_sequence_of_a_batch_waits_for_the_whole_step():
    """Two sequences: twice the tokens a second, the same time per token of each."""
    rounds = [
        msgspec.structs.replace(one, index=2 * one.index + s, sequence=s, shared=2)
        for one in (played(3, 12, context=200 + 3 * i, at=i) for i in range(40))
        for s in (0, 1)
    ]
    together = Plain(burst=0, context=240, steps_ns=[10 * MS])
    found = figures(compare([run_of(rounds, together, batch=2)]).rows[0])
    assert found["speedup"] == pytest.approx(2.5)
    assert found["emitted_per_second"] == pytest.approx(500)
    assert found["ms_per_emitted"] == pytest.approx(4)
    assert found["tokens_per_target_forward"] == pytest.approx(6)


def test_survival_counts_levels_of_a_tree_and_not_its_nodes():
    """Four siblings are one level."""
    tree = [Drafted(1, -1, True, i == 2) for i in range(4)] + [Drafted(2, 2, True, False)]
    one = msgspec.structs.replace(played(2, 10), drafted=tree, accepted=1)
    columns = Columns()
    columns.feed([one, msgspec.structs.replace(one, index=1)])
    assert columns.rounds.levels.tolist() == [2, 2]
    assert [each.value for each in summaries.survival(columns.rounds)] == [1, 0]


def test_perplexity_is_that_of_the_scored_tokens():
    """exp of the mean nats, overall and by depth; nothing decoded, no speed."""
    deep = Scored(context=300, nll=[2.0] * 50, start_ns=MS, wall_ns=MS)
    near = Scored(context=1, nll=[1.0] * 50, start_ns=0, wall_ns=MS, target_kv_bytes=5)
    (row,) = compare([run_of([], near, deep, workload="ppl")]).rows
    found = figures(row)
    assert found["perplexity"] == pytest.approx(math.exp(1.5))
    assert found["scored_per_second"] == pytest.approx(50_000)
    assert "emitted_per_second" not in found
    by_depth = {one.high: one.perplexity.value for one in row.by_depth if one.perplexity}
    assert by_depth == pytest.approx({128: math.exp(1), 512: math.exp(2)})


def test_perplexities_of_one_text_are_told_token_by_token():
    """A run half a nat better at every token is e^-0.5 of the other, however the text varies."""
    nll = np.random.default_rng(3).uniform(0.5, 4, 200)
    one = Scored(context=1, nll=nll.tolist(), start_ns=0, wall_ns=MS)
    better = Scored(context=1, nll=(nll - 0.5).tolist(), start_ns=0, wall_ns=MS)
    cells = [
        replace(run_of([], each, workload="ppl"), label=label)
        for each, label in ((one, "dense"), (better, "window"))
    ]
    assert "perplexity token by token: 'window' has 0.61 [0.61 0.61] of 'dense'" in (
        compare(cells).notes
    )
    assert not [note for note in compare(cells[:1]).notes if "token by token" in note]


def test_a_plain_cell_that_broke_off_is_no_baseline_where_a_whole_one_is():
    """The first whole one is."""
    made = captures.events()
    broken = cell("broken", made, state="interrupted", drafter="none", **SOME)
    whole = cell("whole", made, drafter="none", **SOME)
    drafted = cell("drafted", made, **SOME)
    assert comparison.baseline(drafted, [broken, whole, drafted]) is whole
    assert comparison.baseline(drafted, [broken, drafted]) is broken


def test_compressions_are_evictions_by_the_block():
    """At the deepest round; a cache that never drops any has none."""
    rounds = [
        msgspec.structs.replace(
            played(3, 12, context=200 + i, at=i), target_evicted=8 * i, target_kv_bytes=100 + i
        )
        for i in range(40)
    ]
    found = figures(compare([run_of(rounds, cache="sink-window", block=4)]).rows[0])
    assert found["target_compressions"] == 78
    assert found["target_kv_bytes"] == 139
    assert "draft_compressions" not in found
    assert "draft_kv_bytes" not in found


def test_what_would_mislead_is_noted():
    """Few rounds, a lossy rule, unfinished cells, unlike contexts."""
    few = run_of([played(3, 12, context=200 + 3 * i, at=i) for i in range(5)], label="few")
    lossy = with_header(fast_cell(label="lossy", context=300), lossless=False)
    lossy = replace(lossy, states=["interrupted"])
    notes = "\n".join(compare([few, lossy]).notes)
    assert "too few rounds to estimate anything: 'few'" in notes
    assert "law is not kept: 'lossy'" in notes
    assert "not complete: 'lossy'" in notes
    assert "different contexts" in notes


@pytest.mark.parametrize(
    ("differs", "note"),
    [
        ({"torch_threads": 2}, "thread counts differ"),
        ({"processor": "another"}, "different machines"),
    ],
)
def test_only_what_is_another_machine_is_called_so(differs, note):
    """The thread count is each cell's own choice; it is told, and compared all the same."""
    one, other = (cell(label, captures.events()) for label in "ab")
    other = with_header(other, machine=other.header.machine | differs)
    told = compare([one, other]).notes
    assert [each for each in told if note in each]
    assert sum("machine" in each or "threads" in each for each in told) == 1


@pytest.mark.parametrize("make", captures.ODD.values(), ids=captures.ODD)
def test_no_capture_breaks_the_table(tmp_path, make):
    """Cut short, hostile, empty: a row, its state, and figures only where they are known."""
    from specprof.analysis.sweep_cells import read_cells

    found = compare(read_cells([make(tmp_path / "a.jsonl")]))
    values = [figure.value for row in found.rows for figure in row.figures.values()]
    assert not any(math.isnan(value) for value in values)
