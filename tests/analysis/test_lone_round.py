"""One impossible probability accuses no engine and is named; the same in two rounds still does."""

import json

import pytest

from captures import events, write
from specprof.analysis.altered import MIN_AGREEING_ROUNDS
from specprof.analysis.evidence import Evidence
from specprof.analysis.recorded import read_columns
from specprof.diagnosis.diagnose import diagnose


def lines_of(path, **given):
    """Return a sound capture's lines."""
    made = write(path, events(**given))
    return [json.loads(line) for line in made.read_text(encoding="utf-8").splitlines()]


def judged(path, lines):
    """Return the contradictions, and the rules that accuse the engine."""
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
    evidence = Evidence(read_columns(path).columns)
    bugs = {each.rule for each in diagnose(evidence).found if each.family == "bug"}
    return [each.told for each in evidence.contradictions], bugs


def undue(line):
    """Make a correction likelier to the draft than to the target."""
    if line.get("final_draft_prob") is not None:
        line["final_draft_prob"] = 1.0
        return True
    return False


def again(line):
    """Have a chain's correction be the token it rejects."""
    reached = [each for each in line["drafted"] if each[2]]
    if line.get("final_draft_prob") is not None and reached and not reached[-1][3]:
        reached[-1][0] = line["emitted"][-1]
        return True
    return False


def chanceless(line):
    """Have the round end with a token the target rules out."""
    if line.get("final_draft_prob") is None and line.get("final_target_prob"):
        line["final_target_prob"] = 0.0
        return True
    return False


def unchosen(line):
    """Have the round end with a token that is not the target's first choice."""
    if line.get("final_target_prob"):
        line["final_target_prob"] = 0.0
        return True
    return False


def undrawn(line):
    """Have a draft that its own law rules out, and that stands by right."""
    for each in line["drafted"]:
        if each[4] and each[3] and each[4][3] == 1:
            each[4][1] = 0.0
            return True
    return False


def unowed(line):
    """Have a draft stand that can't."""
    for each in line["drafted"]:
        if each[4] and each[3]:
            each[4][0] = each[4][3] = 0.0
            return True
    return False


def fallen(line):
    """Have a draft fall that has to stand."""
    for each in line["drafted"]:
        if each[4] and each[2] and not each[3]:
            each[4][0], each[4][3] = 1.0, 1.0
            return True
    return False


CASES = [
    (undue, 1.0, "residual-unsupported", "a correction that can't be drawn there"),
    (again, 1.0, "residual-unsupported", "a correction that can't be drawn there"),
    (again, 0.0, "residual-unsupported", "a correction that can't be drawn there"),
    (chanceless, 1.0, "final-law-differs", "a token of target probability 0"),
    (unchosen, 0.0, "output-not-greedy", "a token of target probability 0"),
    (undrawn, 1.0, "draft-law-differs", "a token of draft probability 0"),
    (unowed, 1.0, "accept-rule-unfair", "against a certain outcome"),
    (fallen, 1.0, "accept-rule-unfair", "against a certain outcome"),
]


@pytest.mark.parametrize(("alter", "temperature", "rule", "told"), CASES)
def test_one_impossible_number_is_the_files_and_two_rounds_are_the_engines(
    tmp_path, alter, temperature, rule, told
):
    """However the one came to be: a bug shows again."""
    lines, changed = lines_of(tmp_path / "run.jsonl", temperature=temperature), 0
    for line in lines:
        if line["event"] != "round" or not alter(line):
            continue
        changed += 1
        doubts, bugs = judged(tmp_path / "made.jsonl", lines)
        if changed == 1:
            named = [each for each in doubts if told in each]
            assert len(named) == 1
            assert f"round {line['index']:,} alone" in named[0]
            assert "a damaged file leaves that, and so does a bug" in named[0]
            assert not bugs
        else:
            assert not doubts
            assert rule in bugs
            break
    assert changed == 2


def test_one_impossible_round_among_unfair_ones_is_the_engines(tmp_path):
    """An accept step that is unfair everywhere may show an impossible outcome only once."""
    lines = lines_of(tmp_path / "run.jsonl", fault="always-accept", temperature=1.0)
    assert next(line for line in lines if line["event"] == "round" and unowed(line))
    doubts, bugs = judged(tmp_path / "made.jsonl", lines)
    assert not doubts
    assert "accept-rule-unfair" in bugs


def test_in_a_few_rounds_one_is_not_odd(tmp_path):
    """A capture of four rounds says too little of what is usual."""
    lines = lines_of(tmp_path / "run.jsonl", temperature=0.0)
    rounds = [line for line in lines if line["event"] == "round"][:MIN_AGREEING_ROUNDS]
    assert any(unchosen(line) for line in rounds)
    doubts, bugs = judged(tmp_path / "made.jsonl", [lines[0], *rounds])
    assert not doubts
    assert "output-not-greedy" in bugs


@pytest.mark.parametrize(("temperature", "owed"), [(1.0, 0.4321), (0.0, None)])
def test_an_acceptance_owed_that_two_probabilities_deny_is_named(tmp_path, temperature, owed):
    """The recorder reckons one from the others."""
    lines = lines_of(tmp_path / "run.jsonl", temperature=temperature)
    line = next(each for each in lines if each["event"] == "round" and each["drafted"])
    seen = line["drafted"][0][4]
    seen[3] = 1.0 - seen[3] if owed is None else owed
    doubts, bugs = judged(tmp_path / "made.jsonl", lines)
    assert f"a draft of round {line['index']} is said to be owed {seen[3]:.4g}" in doubts[0]
    assert not bugs


def test_a_last_token_that_its_recheck_denies_is_named(tmp_path):
    """One such number alone moves a test that weighs ratios."""
    lines = lines_of(tmp_path / "run.jsonl", shape="static-tree")
    rounds = {line["index"]: line for line in lines if line["event"] == "round"}
    for recheck in [line for line in lines if line["event"] == "recheck"]:
        for number, slot, probability, *rest in recheck["emitted"]:
            line = rounds[number]
            last = slot == len(line["emitted"]) - 1 and len(line["emitted"]) == line["accepted"] + 1
            if last and probability > 0.1 and rest[3] is not None and rest[3] < 1e-5:
                line["final_target_prob"] = 1e-6
                doubts, bugs = judged(tmp_path / "made.jsonl", lines)
                told = f"the last token of round {number} has probability 1e-06"
                assert any(told in each for each in doubts)
                assert not bugs
                return
    pytest.fail("no round could be altered")


def test_sound_captures_hold_no_lone_round(tmp_path):
    """Of any rule, shape, batch or temperature that is made up here."""
    for number, given in enumerate(
        [{}, {"temperature": 0.0}, {"batch": 3}, {"shape": "static-tree"}, {"depth": 1}]
    ):
        doubts, bugs = judged(
            tmp_path / "made.jsonl", lines_of(tmp_path / f"{number}.jsonl", **given)
        )
        assert not doubts
        assert not bugs
