"""Requests that take turns have a burst each; a declared processor makes like comparable."""

import numpy as np
import pytest

import loops
import specprof
from specprof.analysis.columns import Columns
from specprof.analysis.evidence import Evidence
from specprof.capture import read_capture
from specprof.diagnosis import diagnose
from specprof.errors import UsageError
from specprof.records import Burst, Note, Recheck, Round

PROMPT = [1, 2, 3]


def recorded(path, **settings):
    models = {"target": loops.target, "draft": loops.draft, "temperature": 1.0, "depth": 3}
    return specprof.record(path, **(models | settings))


def of_kind(path, kind):
    return [each for each in read_capture(path).events if isinstance(each, kind)]


def judged(path):
    capture, columns = read_capture(path), Columns()
    columns.feed([capture.header, *capture.events])
    return diagnose(Evidence(columns, name=str(path)))


def play_round(burst, loop, process):
    """Record a round of a burst; `process` makes the target's rows that the loop decides by."""
    with burst.round() as now:
        tokens, draft_logits = loop.propose(burst.committed)
        rows = loop.verify(burst.committed, tokens)
        texts = [[*burst.committed, *tokens[:place]] for place in range(len(rows))]
        made = [process(text, row) for text, row in zip(texts, rows, strict=True)]
        rows = np.stack(made)
        now.drafted(tokens, draft_logits=draft_logits, target_logits=rows)
        accepted, final = loop.judge(tokens, draft_logits, rows)
        now.verdict(accepted, [*tokens[:accepted], final])


def plain(_, row):
    return row


def test_rounds_of_requests_that_take_turns_belong_to_their_bursts(tmp_path):
    """Each is rechecked by its own text, whichever ends first."""
    path, mine, its = tmp_path / "run.jsonl", loops.Loop(1), loops.Loop(2)
    with recorded(path) as log:
        with log.burst(PROMPT, request="a") as one:
            with log.burst([4, 5], request=7) as other:
                for _ in range(60):
                    play_round(one, mine, plain)
                    play_round(other, its, plain)
            play_round(one, mine, plain)
    assert [each.burst for each in of_kind(path, Round)[:4]] == [0, 1, 0, 1]
    ends = {each.request: each for each in of_kind(path, Burst)}
    assert {name: each.rounds for name, each in ends.items()} == {"a": 61, "7": 60}
    checked = {each.burst: each for each in of_kind(path, Recheck)}
    assert {len(each.emitted) for each in checked.values()} == {
        each.emitted for each in ends.values()
    }
    assert max(place.target_gap for each in checked.values() for place in each.places) < 1e-4
    assert [each.rule for each in judged(path).found if each.family == "bug"] == []


def test_which_burst_a_round_is_of_must_be_said(tmp_path):
    """Where several are open; and each has its own id."""
    with recorded(tmp_path / "run.jsonl") as log:
        with log.burst(PROMPT, request="a") as one, log.burst(PROMPT, request="b"):
            with pytest.raises(UsageError, match="2 bursts are open"):
                log.round()
            with pytest.raises(UsageError, match="request 'a' is open already"):
                log.burst(PROMPT, request="a").__enter__()
            with pytest.raises(UsageError, match="open already"):
                log.burst(PROMPT).__enter__()
            with pytest.raises(UsageError, match="a request is called"):
                log.burst(PROMPT, request="x" * 1000).__enter__()
        with pytest.raises(UsageError, match="in a burst that has ended"):
            one.round()
        with log.burst(PROMPT), log.round() as now:
            now.verdict(0, [4])


def mix(ids, row):
    """A processor like no known one."""
    row = np.asarray(row)
    return (row + np.roll(row, 1) + np.roll(row, len(ids) % 5)) / 3


@pytest.mark.parametrize("temperature", [0.7, 1.0])
def test_a_declared_processor_is_applied_to_recomputed_rows(tmp_path, temperature):
    """Gaps are those of rounding; without it they would be a wrong state."""
    path, other = tmp_path / "run.jsonl", tmp_path / "undeclared.jsonl"
    for place, given in ((path, {"processor": mix}), (other, {})):
        with recorded(place, temperature=temperature, **given) as log:
            with log.burst(PROMPT) as burst:
                for _ in range(30):
                    play_round(burst, loops.Loop(1), mix)
    gaps = [
        max(each.target_gap for each in of_kind(place, Recheck)[0].places)
        for place in (path, other)
    ]
    assert gaps[0] < 1e-4
    assert gaps[1] > 0.1


def test_raw_rows_beside_a_declared_processor_are_named_and_nobody_is_accused(tmp_path):
    """The loop decides by the processed rows."""
    path = tmp_path / "run.jsonl"
    with recorded(path, processor=mix) as log, log.burst(PROMPT) as burst:
        for _ in range(80):
            with burst.round() as now:
                tokens, draft_logits = (loop := loops.Loop(len(burst.committed))).propose(
                    burst.committed
                )
                rows = loop.verify(burst.committed, tokens)
                texts = [[*burst.committed, *tokens[:place]] for place in range(len(rows))]
                made = np.stack([mix(*each) for each in zip(texts, rows, strict=True)])
                now.drafted(tokens, draft_logits=draft_logits, target_logits=rows)
                accepted, final = loop.judge(tokens, draft_logits, made)
                now.verdict(accepted, [*tokens[:accepted], final])
    found = judged(path)
    assert [each.rule for each in found.found if each.family == "bug"] == []
    assert "implementation bug lets" not in found.sentence
    (named,) = [each for each in found.found if each.rule == "rows-processed"]
    assert "without the processor that was declared" in named.finding.message


def test_an_error_of_the_processor_ends_nothing_and_a_wrong_length_is_a_slip(tmp_path):
    """The first is trouble at the recheck; the second is raised at its first call."""

    def fail(ids, row):
        raise KeyError("page 7")

    path = tmp_path / "run.jsonl"
    with recorded(path, processor=fail) as log:
        loops.play(log, loops.Loop(), PROMPT, 12)
    assert any("KeyError: 'page 7'" in each.text for each in of_kind(path, Note))

    def play():
        with recorded(path, processor=lambda ids, row: row[:3], overwrite=True) as log:
            loops.play(log, loops.Loop(), PROMPT, 12)

    with pytest.raises(UsageError, match="the processor of the target returned 3 logits"):
        play()
    with pytest.raises(UsageError, match="processor is a str, which is no function"):
        recorded(tmp_path / "other.jsonl", processor="mask")
