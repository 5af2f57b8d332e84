"""SARIF 2.1.0 of a diagnosis: its findings, each at the capture's line of its round."""

import json

import jsonschema

import captures
import verdicts
from specprof import registry
from specprof.diagnosis import sarif

TEXT = {"type": "object", "required": ["text"], "properties": {"text": {"type": "string"}}}
LEVEL = {"enum": ["none", "note", "warning", "error"]}
RULE = {
    "type": "object",
    "additionalProperties": False,
    "required": ["id"],
    "properties": {
        "id": {"type": "string"},
        "shortDescription": TEXT,
        "help": TEXT,
        "defaultConfiguration": {"properties": {"level": LEVEL}, "additionalProperties": False},
        "properties": {"type": "object"},
    },
}
PLACE = {
    "type": "object",
    "required": ["artifactLocation", "region"],
    "properties": {
        "artifactLocation": {
            "required": ["uri"],
            "properties": {"uri": {"type": "string", "pattern": r"^[A-Za-z0-9._~:/?#%-]+$"}},
        },
        "region": {
            "required": ["startLine"],
            "properties": {"startLine": {"type": "integer", "minimum": 1}},
        },
    },
}
RESULT = {
    "type": "object",
    "additionalProperties": False,
    "required": ["message"],
    "properties": {
        "ruleId": {"type": "string"},
        "ruleIndex": {"type": "integer", "minimum": 0},
        "level": LEVEL,
        "message": TEXT,
        "locations": {"items": {"properties": {"physicalLocation": PLACE}}},
        "properties": {"type": "object"},
    },
}
SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "required": ["version", "runs"],
    "properties": {
        "$schema": {"type": "string"},
        "version": {"const": "2.1.0"},
        "runs": {
            "items": {
                "additionalProperties": False,
                "required": ["tool"],
                "properties": {
                    "tool": {
                        "required": ["driver"],
                        "properties": {
                            "driver": {
                                "required": ["name"],
                                "additionalProperties": False,
                                "properties": {
                                    "name": {"type": "string"},
                                    "version": {"type": "string"},
                                    "rules": {"items": RULE, "uniqueItems": True},
                                },
                            }
                        },
                    },
                    "columnKind": {"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
                    "results": {"items": RESULT},
                },
            }
        },
    },
}
"""What of the standard (sections 3.13 to 3.58) is used here, and nothing else."""


def made(*diagnoses):
    log = json.loads(sarif.document(diagnoses))
    jsonschema.validate(log, SCHEMA)
    (run,) = log["runs"]
    return run


def test_every_finding_is_a_result_of_its_rule(tmp_path):
    """The leading one first; a rule that saw nothing has none."""
    path = captures.write(tmp_path / "run.jsonl", captures.events())
    run = made(verdicts.diagnosis(str(path)))
    rules = run["tool"]["driver"]["rules"]
    told = [each["ruleId"] for each in run["results"]]
    assert told == ["cache-length-wrong", "state-drifts", "draft-too-expensive"]
    for each in run["results"]:
        assert rules[each["ruleIndex"]]["id"] == each["ruleId"]
    assert [each["level"] for each in run["results"]] == ["error", "error", "note"]
    assert [each["properties"]["leading"] for each in run["results"]] == [True, False, False]


def test_a_result_lies_at_the_line_of_its_round(tmp_path):
    """Of the run as a whole: at the header."""
    path = captures.write(tmp_path / "a run.jsonl", captures.events())
    text = path.read_bytes().splitlines()
    places = [
        each["locations"][0]["physicalLocation"]
        for each in made(verdicts.diagnosis(str(path)))["results"]
    ]
    assert {each["artifactLocation"]["uri"] for each in places} == {path.as_uri()}
    starts = [each["region"]["startLine"] for each in places]
    assert json.loads(text[starts[0] - 1])["index"] == 3
    assert json.loads(text[starts[1] - 1])["index"] == 7
    assert starts[2] == 1


def test_a_relative_path_stays_relative():
    """As a URI: blanks and signs escaped, so that a code host finds the file."""
    (result, *_) = made(verdicts.diagnosis("runs/a b#1.jsonl"))["results"]
    place = result["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "runs/a%20b%231.jsonl"


def test_rules_are_described_by_their_docstrings():
    """Of those the registry knows."""
    rules = {each["id"]: each for each in made(verdicts.diagnosis())["tool"]["driver"]["rules"]}
    member = registry.member("rule", "cache-length-wrong")
    assert rules["cache-length-wrong"]["shortDescription"]["text"] == member.summary
    assert rules["cache-length-wrong"]["help"]["text"] == member.docstring
    assert rules["cache-length-wrong"]["defaultConfiguration"]["level"] == "error"


def test_captures_share_their_rules():
    """One run of the tool, however many captures it judged."""
    run = made(verdicts.diagnosis("a.jsonl"), verdicts.diagnosis("b.jsonl"))
    assert len(run["tool"]["driver"]["rules"]) == 6
    assert len(run["results"]) == 6


def test_foreign_text_stays_text():
    """In a message, as in the path."""
    document = sarif.document([verdicts.diagnosis(captures.HOSTILE)]).decode()
    assert all(sign.isprintable() or sign == "\n" for sign in document)
    made(verdicts.diagnosis(captures.HOSTILE))
