"""A digit of a healthy capture is changed: the file is doubted, or nothing is, and no engine."""

import json
import random
import re
from copy import deepcopy

import pytest

from captures import events, write
from fuzzing.mauling import encode_lines
from specprof.analysis.columns import Columns
from specprof.analysis.evidence import Evidence
from specprof.analysis.recorded import read_columns
from specprof.diagnosis.diagnose import diagnose
from specprof.errors import CaptureUnreadable

WAYS = [
    {},
    {"temperature": 0.0},
    {"batch": 3},
    {"shape": "static-tree"},
    {"temperature": 0.0, "batch": 3},
]
OF_EACH = 8
"""Changes tried of each field: there are thousands of drafts' probabilities and one seed."""
REAL = re.compile(r"header\.spec\.settings\.max_new_tokens")
"""The limit, which an engine can overshoot by as much in every burst."""


def places(lines):
    """Yield line, way and field of every number; what stands in a record's row has its name."""
    for at, line in enumerate(lines):
        stack = [((key,), value) for key, value in line.items()]
        while stack:
            way, value = stack.pop()
            if isinstance(value, dict | list):
                inner = value.items() if isinstance(value, dict) else enumerate(value)
                stack += [((*way, key), each) for key, each in inner]
            elif isinstance(value, int | float) and not isinstance(value, bool):
                yield at, way, named(line["event"], way)


def named(event, way):
    """Return the field a way leads to: `round.context`, `round.drafted.token`."""
    keys = [str(key) for key in way if not isinstance(key, int)]
    rows = [key for key in way if isinstance(key, int)]
    if keys == ["drafted"]:
        keys.append({0: "token", 1: "parent"}.get(rows[1], "seen"))
    elif event == "recheck" and rows:
        keys.append("where" if rows[1] < 2 else "said")
    return ".".join([event, *keys])


def flipped(lines, at, way, chance):
    """Return the lines with one digit of one number changed."""
    made = [*lines]
    made[at] = holder = deepcopy(lines[at])
    for key in way[:-1]:
        holder = holder[key]
    text = json.dumps(holder[way[-1]])
    place = chance.choice([i for i, letter in enumerate(text) if letter.isdigit()])
    digit = str((int(text[place]) + chance.randint(1, 9)) % 10)
    text = re.sub(r"^(-?)0+(?=\d)", r"\1", text[:place] + digit + text[place + 1 :])
    holder[way[-1]] = json.loads(text)
    return made


def accused(path, lines):
    """Return the rules that call the capture's engine broken; none where it can't be read."""
    path.write_bytes(encode_lines(lines))
    try:
        columns = read_columns(path).columns
    except CaptureUnreadable:
        return []
    return [each.rule for each in diagnose(Evidence(columns)).found if each.family == "bug"]


@pytest.mark.parametrize("way", WAYS)
def test_no_changed_digit_makes_an_engine_broken(tmp_path, way):
    """Of every field some; but for those where nothing tells it from what a bug leaves."""
    chance, path = random.Random(7), write(tmp_path / "run.jsonl", events(**way))
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    fields = {}
    for at, keys, field in places(lines):
        fields.setdefault(field, []).append((at, keys))
    for field, each in fields.items():
        for at, keys in chance.sample(each, min(OF_EACH, len(each))):
            rules = accused(path, flipped(lines, at, keys, chance))
            if not REAL.fullmatch(field):
                assert not rules, (field, keys, lines[at].get("index"))
    assert len(fields) > 60


@pytest.mark.parametrize("way", WAYS)
def test_lines_that_are_missing_are_a_gap_and_no_contradiction(tmp_path, way):
    """Any of them, or any two."""
    made, chance = events(**way), random.Random(3)
    for _ in range(60):
        lost = {id(each) for each in chance.sample(made[1:], chance.randint(1, 2))}
        columns = Columns()
        columns.feed([each for each in made if id(each) not in lost])
        assert not Evidence(columns).contradictions


def test_nothing_is_altered_in_an_empty_capture():
    """Nor before its first round."""
    assert not Evidence(Columns()).contradictions
