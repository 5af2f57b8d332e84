"""`specprof.record`: a loop of one's own is written down and judged like the engine's."""

import subprocess
import sys
import textwrap

import numpy as np
import pytest
import torch

import loops
import specprof
from specprof import recording
from specprof.analysis.columns import Columns
from specprof.analysis.evidence import Evidence
from specprof.capture import read_capture
from specprof.diagnosis import diagnose
from specprof.errors import SpecprofError, UsageError
from specprof.records import Burst, Plain, Recheck, Round

PROMPT = [1, 2, 3]


def recorded(path, **settings):
    models = {"target": loops.target, "draft": loops.draft, "temperature": 1.0, "depth": 3}
    return specprof.record(path, **(models | settings))


def judged(path):
    capture, columns = read_capture(path), Columns()
    columns.feed([capture.header, *capture.events])
    return diagnose(Evidence(columns, name=str(path)))


def of_kind(path, kind):
    return [each for each in read_capture(path).events if isinstance(each, kind)]


def snippet():
    """The example of the package's docstring, as it stands there."""
    lines = recording.__doc__.splitlines()
    start = lines.index("    import specprof")
    end = next(number for number in range(start, len(lines)) if lines[number].startswith("Here "))
    return textwrap.dedent("\n".join(lines[start:end])).strip()


def test_the_example_runs_as_it_stands(tmp_path, monkeypatch):
    """Twenty-five lines at most; what it writes is a whole, healthy capture."""
    loop = loops.Loop(depth=4)
    names = {
        "target": loops.target,
        "draft": loops.draft,
        "prompts": [PROMPT, [4, 5]],
        "propose": loop.propose,
        "verify": loop.verify,
        "judge": loop.judge,
    }
    assert len(snippet().splitlines()) <= 25
    monkeypatch.chdir(tmp_path)
    exec(snippet(), names)  # noqa: S102 - the documentation is what is tested
    capture = read_capture(tmp_path / "run.jsonl")
    assert capture.state == "complete"
    assert len(of_kind(capture.path, Burst)) == len(of_kind(capture.path, Recheck)) == 2
    assert [each for each in judged(capture.path).found if each.family == "bug"] == []


def test_specprof_has_no_other_attribute_made_up():
    """A misspelt one is told as of any module."""
    with pytest.raises(AttributeError, match="'recrod'"):
        _ = specprof.recrod


def test_the_evidence_is_the_laws_own(tmp_path):
    """Each number by hand, from the tables: probabilities, overlap, the final token's."""
    path = tmp_path / "run.jsonl"
    with recorded(path, temperature=0.5) as log, log.burst(PROMPT), log.round() as now:
        tokens = [4, 5]
        rows = {"draft_logits": loops.DRAFT[[3, 4]], "target_logits": loops.TARGET[[3, 4, 5]]}
        now.drafted(tokens, **rows)
        now.verdict(1, [4, 9])
        now.lengths(target=4, draft=4)
        now.forwards(target=1, draft=2)
    (one,) = of_kind(path, Round)
    target, draft = loops.softmax(loops.TARGET / 0.5), loops.softmax(loops.DRAFT / 0.5)
    assert [each.token for each in one.drafted] == tokens
    assert [(each.reached, each.accepted) for each in one.drafted] == [(True, True), (True, False)]
    for each, before in zip(one.drafted, [3, 4], strict=True):
        assert each.seen.target_prob == pytest.approx(target[before, each.token], rel=1e-4)
        assert each.seen.draft_prob == pytest.approx(draft[before, each.token], rel=1e-4)
        owed = np.minimum(target[before], draft[before]).sum()
        assert each.seen.overlap == pytest.approx(owed, rel=1e-4)
    assert one.final_target_prob == pytest.approx(target[4, 9], rel=1e-4)
    assert one.final_draft_prob == pytest.approx(draft[4, 9], rel=1e-4)
    assert (one.context, one.accepted, one.emitted) == (3, 1, [4, 9])
    assert (one.target_length, one.draft_length, one.draft_forwards) == (4, 4, 2)


def test_a_clean_loop_is_rechecked_and_no_bug(tmp_path):
    """Both models asked anew: gaps of rounding; 1,500 tokens, no test accuses (1% at most)."""
    path = tmp_path / "run.jsonl"
    with recorded(path) as log:
        for seed in range(3):
            loops.play(log, loops.Loop(seed), PROMPT, 500)
    diagnosis = judged(path)
    assert [each.rule for each in diagnosis.found if each.family == "bug"] == []
    told = [place for each in of_kind(path, Recheck) for place in each.places]
    assert len(told) > 1000
    assert max(place.target_gap for place in told) < 1e-4
    assert max(place.draft_gap for place in told) < 1e-4
    assert diagnosis.attribution.rechecked_frac > 0.99


def test_a_wrong_row_shows(tmp_path):
    """A loop that verifies a token too late: the rows it acts on aren't the target's."""

    class Late(loops.Loop):
        def verify(self, text, tokens):
            return loops.TARGET[[text[-2], text[-1], *tokens[:-1]]]

    path = tmp_path / "run.jsonl"
    with recorded(path) as log:
        loops.play(log, Late(1), PROMPT, 400)
    diagnosis = judged(path)
    assert diagnosis.leading.family == "bug"
    assert any("target" in each.rule and "state" in each.rule for each in diagnosis.found)


def test_probabilities_do_as_well(tmp_path):
    """After temperature and truncation: they are read as they are, and say the same."""
    by_logits, by_probs = tmp_path / "logits.jsonl", tmp_path / "probs.jsonl"
    law = {"temperature": 0.7, "top_k": 6}
    rows = loops.DRAFT[[3, 4]], loops.TARGET[[3, 4, 5]]

    def processed(logits):
        kept = np.sort(logits, -1)[:, -6:-5]
        return loops.softmax(np.where(logits >= kept, logits / 0.7, -np.inf))

    best = [int(processed(rows[0])[place].argmax()) for place in range(2)]
    with recorded(by_logits, **law) as log, log.burst(PROMPT), log.round() as now:
        now.drafted(best, draft_logits=rows[0], target_logits=rows[1])
        now.verdict(0, [9])
    with recorded(by_probs, **law) as log, log.burst(PROMPT), log.round() as now:
        now.drafted(best, draft_probs=processed(rows[0]), target_probs=processed(rows[1]))
        now.verdict(0, [9])
    (one,), (other,) = of_kind(by_logits, Round), of_kind(by_probs, Round)
    assert one.drafted[0].seen.target_prob == pytest.approx(other.drafted[0].seen.target_prob, 1e-4)
    assert one.drafted[0].seen.overlap == pytest.approx(other.drafted[0].seen.overlap, 1e-4)
    (again,) = of_kind(by_probs, Recheck)
    assert again.places[0].target_gap is None


def mixed(path):
    """Record a round by its logits, another by its probabilities."""
    with recorded(path) as log, log.burst(PROMPT):
        with log.round() as now:
            now.drafted([4], draft_logits=loops.DRAFT[[3]], target_logits=loops.TARGET[[3, 4]])
            now.verdict(1, [4, 5])
        with log.round() as now:
            draft, target = map(loops.softmax, (loops.DRAFT[[5]], loops.TARGET[[5, 4]]))
            now.drafted([4], draft_probs=draft, target_probs=target)
            now.verdict(1, [4, 5])


def test_logits_and_probabilities_do_not_mix(tmp_path):
    """One recording reads all its rounds alike."""
    with pytest.raises(UsageError, match="others with probabilities"):
        mixed(tmp_path / "run.jsonl")
    assert read_capture(tmp_path / "run.jsonl").state == "failed"


def test_a_tree_is_told_by_its_parents(tmp_path):
    """Tensors and arrays alike; the path is given by indices."""
    path, logits = tmp_path / "run.jsonl", torch.tensor(loops.TARGET)
    with recorded(path, shape="static-tree", detail="evidence") as log, log.burst(PROMPT):
        with log.round() as now:
            now.drafted(
                torch.tensor([4, 5, 6]),
                parents=[-1, -1, 1],
                draft_logits=torch.tensor(loops.DRAFT)[[3, 3, 5]],
                target_logits=logits[[3, 4, 5, 6]],
            )
            now.verdict([1, 2], [5, 6, 7])
    (one,) = of_kind(path, Round)
    assert [each.parent for each in one.drafted] == [-1, -1, 1]
    assert [each.accepted for each in one.drafted] == [False, True, True]
    assert all(each.seen for each in one.drafted)


def test_looked_up_drafts_have_no_law(tmp_path):
    """Without a draft model each is all of its mass; nothing of a draft is asked for."""
    path = tmp_path / "run.jsonl"
    with recorded(path, draft=None) as log, log.burst(PROMPT), log.round() as now:
        now.drafted([4], target_logits=loops.TARGET[[3, 4]])
        now.verdict(0, [7])
    assert of_kind(path, Round)[0].drafted[0].seen.draft_prob == 1
    assert of_kind(path, Recheck)[0].places[0].draft_prob == 1
    assert read_capture(path).header.spec.settings.drafter == "ngram"


def test_a_name_is_enough_for_a_model(tmp_path):
    """It can't be asked, so nothing is rechecked; the header tells whose loop it was."""
    path = tmp_path / "run.jsonl"
    with recorded(path, target="big", draft="small", engine="my loop", top_p=0.9) as log:
        loops.play(log, loops.Loop(), PROMPT, 20)
    header = read_capture(path).header
    assert of_kind(path, Recheck) == []
    assert (header.engine, header.spec.settings.backend) == ("my loop", "recorded")
    assert (header.spec.settings.target, header.spec.settings.top_p) == ("big", 0.9)
    assert header.target is None


def test_plain_steps_and_the_stop_token(tmp_path):
    """The baseline's steps stand beside the burst; a text that ends on a stop token ended so."""
    path = tmp_path / "run.jsonl"
    with recorded(path, stop={9}) as log, log.burst(PROMPT):
        with log.round() as now:
            with now.span("verify"):
                pass
            now.verdict(0, [9])
        for _ in range(2):
            with log.plain_step():
                pass
    assert of_kind(path, Burst)[0].finish == "eos"
    assert len(of_kind(path, Plain)[0].steps_ns) == 2
    assert of_kind(path, Round)[0].spans[0].name == "verify"


def test_a_round_that_commits_nothing_is_recorded(tmp_path):
    """A correction lost is a bug to be found, not one to stumble over."""
    path = tmp_path / "run.jsonl"
    with recorded(path) as log, log.burst(PROMPT), log.round() as now:
        now.drafted([4], draft_logits=loops.DRAFT[[3]], target_logits=loops.TARGET[[3, 4]])
        now.verdict(0, [])
    (one,) = of_kind(path, Round)
    assert one.emitted == []
    assert one.final_target_prob is None


def crashing(path):
    """Record a burst, then a round that an error cuts short."""
    with recorded(path) as log:
        loops.play(log, loops.Loop(), PROMPT, 30)
        with log.burst(PROMPT), log.round():
            _ = 1 / 0


def test_what_was_recorded_before_a_crash_is_kept(tmp_path):
    """The round cut short is left out, the end tells why, and the error goes on."""
    path = tmp_path / "run.jsonl"
    with pytest.raises(ZeroDivisionError):
        crashing(path)
    capture = read_capture(path)
    assert capture.state == "failed"
    assert capture.end.reason == "ZeroDivisionError: division by zero"
    assert capture.end.rounds == len(of_kind(path, Round)) > 3


def test_a_killed_process_leaves_a_readable_capture(tmp_path):
    """Every round is a line written at once; and specprof alone loads no torch."""
    code = (
        "import os, sys; sys.path.insert(0, 'tests/support'); import loops, specprof\n"
        "assert 'torch' not in sys.modules\n"
        f"log = specprof.record({str(tmp_path / 'run.jsonl')!r}, target='a', draft='b', depth=3,\n"
        "                      temperature=1.0).__enter__()\n"
        "loops.play(log, loops.Loop(), [1, 2], 40); os._exit(9)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 9
    capture = read_capture(tmp_path / "run.jsonl")
    assert capture.state == "INCOMPLETE"
    assert len(of_kind(capture.path, Round)) > 8


def test_what_can_t_be_asked_is_refused(tmp_path):
    """With what is known; no capture is left behind."""
    path = tmp_path / "run.jsonl"
    with pytest.raises(UsageError, match="temprature"):
        recorded(path, temprature=1.0)
    with pytest.raises(UsageError, match="temperature is -1"):
        recorded(path, temperature=-1)
    assert not path.exists()
    path.write_text("precious")
    with pytest.raises(UsageError, match="exists already"):
        recorded(path)
    with recorded(path, overwrite=True):
        pass


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"stop": 5}, UsageError),
        ({"stop": ["</s>"]}, UsageError),
        ({"engine": 5}, UsageError),
        ({"device": "nosuch"}, SpecprofError),
    ],
)
def test_a_log_that_can_t_be_opened_leaves_no_file(tmp_path, settings, error):
    """Nor its lock: the next try finds the place free."""
    path = tmp_path / "run.jsonl"
    with pytest.raises(error):
        recorded(path, **settings)
    assert not path.exists()
    with recorded(path):
        pass


def test_a_closed_capture_takes_nothing_more(tmp_path):
    """It isn't deleted, and its end is written."""
    path = tmp_path / "run.jsonl"
    with recorded(path) as log:
        pass
    with pytest.raises(UsageError, match="is closed: its end is written"):
        log.burst(PROMPT).__enter__()
    with pytest.raises(UsageError, match="is closed: its end is written"):
        log.__enter__()


def test_rounds_belong_to_a_burst(tmp_path):
    """And bursts do not lie in one another."""
    with recorded(tmp_path / "run.jsonl") as log:
        with pytest.raises(UsageError, match="a round was begun outside a burst"):
            log.round()
        with pytest.raises(UsageError, match="a plain step was timed outside a burst"):
            log.plain_step().__enter__()
        with log.burst(PROMPT), pytest.raises(UsageError, match="open already"):
            log.burst(PROMPT).__enter__()


def test_a_round_without_a_draft_is_no_obstacle_to_the_recheck(tmp_path):
    """A fallback to plain decoding draws a token and has nothing else to tell."""
    path = tmp_path / "run.jsonl"
    with recorded(path) as log, log.burst(PROMPT):
        with log.round() as now:
            now.verdict(0, [4])
        with log.round() as now:
            rows = {"draft_logits": loops.DRAFT[[4]], "target_logits": loops.TARGET[[4, 5]]}
            now.drafted([5], **rows)
            now.verdict(1, [5, 6])
    (found,) = of_kind(path, Recheck)
    assert [each.target_gap for each in found.emitted] == [None, 0.0, 0.0]
    assert read_capture(path).state == "complete"


def test_rounds_do_not_nest(tmp_path):
    """Their times would be each other's."""
    with recorded(tmp_path / "run.jsonl") as log, log.burst(PROMPT), log.round() as now:
        with pytest.raises(UsageError, match="a round is open already"):
            log.round()
        now.verdict(0, [4])


def test_a_round_read_late_is_kept_where_an_error_ends_the_burst(tmp_path, monkeypatch):
    """On a device a round is read once the next was played; the last one has no next."""
    monkeypatch.setattr("specprof.engine.instruments.stopwatch.HostClock.late", True)
    path = tmp_path / "run.jsonl"

    def loop():
        with recorded(path) as log, log.burst(PROMPT):
            for _ in range(2):
                with log.round() as now:
                    now.verdict(0, [4])
            raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        loop()
    assert [each.index for each in of_kind(path, Round)] == [0, 1]
    assert read_capture(path).state == "failed"


@pytest.mark.parametrize("replaced", [False, True])
def test_a_file_that_is_deleted_or_replaced_is_told_once_and_the_loop_goes_on(
    tmp_path, capsys, replaced
):
    """As its burst ends, not after hours; what took its place is left alone."""
    path = tmp_path / "run.jsonl"
    with recorded(path) as log:
        path.unlink()
        if replaced:
            path.write_text("mine", encoding="utf-8")
        with log.burst(PROMPT):
            pass
        said = capsys.readouterr().err
        with log.burst(PROMPT):
            pass
    assert said.count("was deleted or replaced while it was recorded") == 1
    assert str(path) in said
    assert capsys.readouterr().err == ""
    assert path.exists() is replaced
    assert not replaced or path.read_text(encoding="utf-8") == "mine"


def test_a_file_that_stays_is_told_nothing_of(tmp_path, capsys):
    """Nothing on stderr."""
    with recorded(tmp_path / "run.jsonl") as log, log.burst(PROMPT):
        pass
    assert capsys.readouterr().err == ""
