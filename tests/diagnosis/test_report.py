"""A report holds the whole diagnosis, harmless in a terminal and versioned in JSON."""

import json
from pathlib import Path

import jsonschema
import pytest

import captures
import verdicts
from specprof.analysis.columns import Columns
from specprof.analysis.evidence import Evidence
from specprof.catalogue import cases
from specprof.diagnosis import diagnose, report
from specprof.findings import Measure


def judged(events, name="run.jsonl", **evidence):
    columns = Columns()
    columns.feed(events)
    return diagnose(Evidence(columns, name=name, **evidence))


LONG = {"stops": 8, "max_new_tokens": 160, "context": 4000}
SICK = judged(captures.events("draft-cache-short", plain_steps=0, **LONG))


def test_the_sentence_comes_first_and_every_rule_is_somewhere():
    """A title, the sentence, then what was found; silence is not health."""
    lines = report.lines(SICK)
    assert [line.role for line in lines[:2]] == ["title", "sentence"]
    assert lines[1].text == SICK.sentence
    text = "\n".join(line.text for line in lines)
    for verdict in SICK.verdicts:
        shown = (f"  {verdict.rule}: ", f": {verdict.rule}: ", f"explains {verdict.rule}: ")
        assert any(each in text for each in shown)
    for part in ("remedy: ", "confirm: ", "first in rounds", "an upper bound"):
        assert part in text


def test_what_was_not_rechecked_is_a_dash_not_a_zero():
    """Missing is never 0."""
    lines = report.lines(judged(captures.events(recheck_context=0)))
    (state,) = [line.text for line in lines if line.text.startswith("  + state")]
    assert report.ABSENT in state
    assert "0.0" not in state


def test_hostile_text_can_t_steer_a_terminal():
    """A capture's name and an end's reason are foreign text."""
    *events, end = captures.events()
    end = type(end)(
        status="failed", reason=captures.HOSTILE, wall_ns=1, rounds=1, emitted=1, write_ns=1
    )
    told = report.lines(judged([*events, end], name=captures.HOSTILE))
    assert all(sign.isprintable() for line in told for sign in line.text)
    assert any("\\x1b" in line.text for line in told)


def test_the_document_is_as_harmless_as_the_lines():
    """JSON asks for 32 escapes only; terminals heed more signs than that."""
    document = report.document([judged(captures.events(), name=captures.HOSTILE + "\x7f\x9b")])
    assert all(sign.isprintable() or sign == "\n" for sign in document.decode())
    (entry,) = json.loads(document)["diagnoses"]
    assert entry["capture"] == captures.HOSTILE + "\x7f\x9b"


def test_the_document_is_versioned_and_complete():
    """One JSON document, parseable, nothing infinite, every verdict with its outcome."""
    document = json.loads(report.document([SICK]), parse_constant=lambda name: 1 / 0)
    assert document["schema"] == "specprof.diagnosis/1"
    (entry,) = document["diagnoses"]
    assert entry["sentence"] == SICK.sentence
    outcomes = {each["rule"]: each for each in entry["verdicts"]}
    assert outcomes["cache-length-wrong"]["outcome"] == "found"
    assert outcomes["cache-length-wrong"]["finding"]["measures"][0]["unit"] == "tokens"
    assert outcomes["no-speedup"]["outcome"] == "unknown"
    assert outcomes["no-speedup"]["reason"]
    assert entry["attribution"]["rejected"]["frac"]["n"] > 0


def test_a_measure_says_what_it_knows():
    """Unit, interval and n where there are any."""
    bare = Measure(name="rounds", value=12)
    full = Measure(name="step", value=1.5, unit="ms", n=2000, low=1.25, high=1.75)
    assert report.format_measure(bare) == "rounds: 12"
    assert report.format_measure(full) == "step: 1.5 ms (1.25 to 1.75), n = 2,000"


SCHEMA = json.loads(Path(report.__file__).with_name("schema.json").read_text(encoding="utf-8"))
MADE = [SICK, judged(captures.events()), judged(captures.events()[:1]), verdicts.diagnosis()]


@pytest.mark.parametrize("made", MADE, ids=["sick", "healthy", "bare", "written down"])
def test_the_document_is_as_its_schema_says(made):
    """The schema is committed; readers hold on to it."""
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate(json.loads(report.document([made])), SCHEMA)


def test_the_schema_refuses_what_is_no_such_document():
    """A field nobody described, an outcome without its words."""
    document = json.loads(report.document([verdicts.diagnosis()]))
    document["diagnoses"][0]["verdicts"][0].pop("detectable")
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, SCHEMA)
    document = json.loads(report.document([verdicts.diagnosis()]))
    document["diagnoses"][0]["verdicts"][1]["finding"]["where"]["line"] = 3
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, SCHEMA)


def test_the_leading_finding_comes_first():
    """Whatever its rule is called: the others may follow from it."""
    lines = [line.text for line in report.lines(verdicts.diagnosis()) if line.role == "found"]
    assert [line.split(": ")[1] for line in lines] == [
        "cache-length-wrong",
        "state-drifts",
        "draft-too-expensive",
    ]
    (entry,) = json.loads(report.document([verdicts.diagnosis()]))["diagnoses"]
    assert entry["leading"] == "cache-length-wrong"


def test_a_finding_tells_its_suspects_its_place_and_the_catalogue_s_remedy():
    """Where the rule has no better one."""
    text = "\n".join(line.text for line in report.lines(verdicts.diagnosis()))
    known = cases()["kv/draft-rollback-under-trim"]
    place = "round 7, draft index 2, 512 tokens deep, after a rejection: used 0.5, clean 0.25"
    assert f"    likely: kv/draft-rollback-under-trim: {known.title}\n" in text
    assert "    or: kv/shared-snapshot-not-trimmed: " in text
    assert f"    first at {place}\n" in text
    assert f"    remedy: {known.remedy}\n" in text
    assert "    remedy: roll back, all of it\n" in text
    (entry,) = json.loads(report.document([verdicts.diagnosis()]))["diagnoses"]
    found = {each["rule"]: each["finding"] for each in entry["verdicts"] if "finding" in each}
    assert found["state-drifts"]["remedy"] == known.remedy
    assert found["state-drifts"]["where"]["index"] == 2
    assert found["state-drifts"]["suspects"][0] == "kv/draft-rollback-under-trim"


def test_a_place_says_only_what_is_known():
    """A whole round; one number of the two."""
    place = verdicts.STATE.where
    bare = type(place)(round=3, context=1200)
    assert report.format_place(bare) == "round 3, 1,200 tokens deep"
    half = type(place)(round=3, context=1200, used=0.5)
    assert (
        report.format_place(half) == f"round 3, 1,200 tokens deep: used 0.5, clean {report.ABSENT}"
    )
