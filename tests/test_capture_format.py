"""docs/capture-format.md names every event and field; readers tolerate what it says they must."""

import json
import re
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from specprof import recheck_records, records
from specprof.capture import read_capture

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/capture-format.md").read_text(encoding="utf-8")
EVENTS = {kind.__struct_config__.tag: kind for kind in get_args(records.Event)}
PARTS = {
    "model": records.ModelFacts,
    "clock": records.ClockFacts,
    "span": records.Span,
    "drafted": records.Drafted,
    "observed": records.Observed,
    "rechecked": recheck_records.Rechecked,
    "other laws": recheck_records.OtherLaws,
    "processed": recheck_records.ProcessedRows,
    "other-input": recheck_records.OtherInput,
    "shifted": recheck_records.ShiftedRows,
    "rescored": recheck_records.Rescored,
}
KEPT = ROOT / "tests/data/schema-1-chain.jsonl"


def documented(half):
    """Return the headings of half the page, each with its fields in order; stars are kept."""
    found = {}
    for section in half.split("\n### ")[1:]:
        rows = re.findall(r"^\| (`.*?) \|", section, re.MULTILINE)
        fields = [field for row in rows for field in re.findall(r"`(\w+)`(\*?)", row)]
        found[section.split("\n")[0]] = [name + star for name, star in fields]
    return found


def declared(kind):
    """Return a struct's fields in order, those without a default with a star."""
    return [field.encode_name + "*" * field.required for field in msgspec.structs.fields(kind)]


EVENTS_HALF, PARTS_HALF = PAGE.split("\n## Events\n")[1].split("\n## Parts of events\n")


def test_every_event_and_part_is_documented():
    """Every heading is a struct of the format, too."""
    assert set(documented(EVENTS_HALF)) == set(EVENTS)
    assert set(documented(PARTS_HALF)) == set(PARTS)
    structs = {
        each
        for each in vars(records).values()
        if isinstance(each, type) and issubclass(each, msgspec.Struct)
    }
    assert structs - {records.RunSpec} - {msgspec.Struct} == {*EVENTS.values(), *PARTS.values()}


@pytest.mark.parametrize("name", EVENTS)
def test_every_field_of_an_event_is_documented(name):
    """Fields agree both ways, and so do the marks of fields that may be left out."""
    assert sorted(documented(EVENTS_HALF)[name]) == sorted(declared(EVENTS[name]))


@pytest.mark.parametrize("name", PARTS)
def test_every_field_of_a_part_is_documented(name):
    """Fields agree both ways; the fields of an array also agree in order."""
    kind, told = PARTS[name], documented(PARTS_HALF)[name]
    if kind.__struct_config__.array_like:
        assert told == declared(kind)
    assert sorted(told) == sorted(declared(kind))


def test_the_run_spec_and_the_schema_are_as_the_page_says():
    """The fields of `spec`, and the number."""
    line = next(row for row in PAGE.splitlines() if row.startswith("| `spec`"))
    assert re.findall(r"`(\w+)`", line)[1:] == list(records.RunSpec.__struct_fields__)
    assert f"now {records.SCHEMA}." in PAGE


def changed(tmp_path, change):
    """Read the kept chain with its lines changed."""
    lines = KEPT.read_text(encoding="utf-8").splitlines(keepends=True)
    path = tmp_path / "run.jsonl"
    path.write_text("".join(change(lines)), encoding="utf-8")
    return read_capture(path)


def test_a_torn_last_line_is_left_out(tmp_path):
    """All lines before it are read."""
    read = changed(tmp_path, lambda lines: [*lines[:-1], lines[-1][:20]])
    assert (read.torn, len(read.damaged), read.state) == (True, 0, "INCOMPLETE")
    assert read.events == read_capture(KEPT).events[:-1]


def test_unknown_events_are_skipped_and_unknown_fields_ignored(tmp_path):
    """A later release may write them, and longer arrays too."""

    def later(lines):
        first = json.loads(lines[0]) | {"mood": "fine"}
        first["spec"]["settings"]["mood"] = "fine"
        events = [json.loads(line) | {"mood": 1} for line in lines[1:]]
        for event in events:
            event["spans"] = [[*span, "more"] for span in event.get("spans", [])]
        strange = {"event": "dream", "of": 1}
        return [json.dumps(each) + "\n" for each in [first, strange, *events]]

    read = changed(tmp_path, later)
    assert len(read.damaged) == 1
    assert read.events == read_capture(KEPT).events


def test_absent_fields_have_their_defaults(tmp_path):
    """Whatever has no star may be left out."""

    def bare(lines):
        for line in lines:
            event = json.loads(line)
            kind = EVENTS[event["event"]]
            keep = {each.rstrip("*") for each in declared(kind) if each.endswith("*")}
            keep |= {"event", "schema", "drafted"}
            yield json.dumps({k: v for k, v in event.items() if k in keep}) + "\n"

    read = changed(tmp_path, bare)
    assert len(read.damaged) == 0
    assert len(read.events) == len(read_capture(KEPT).events)
