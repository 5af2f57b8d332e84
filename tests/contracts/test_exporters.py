"""The contract of every exporter, built in or plugged in, on every kind of capture."""

import json
import sqlite3
from contextlib import closing

import pytest

from captures import HOSTILE, ODD
from formats import check_chrome, check_speedscope, chrome_events, collapsed_stacks
from specprof import extend, registry
from specprof.capture import read_capture

EXPORTERS = sorted(registry.members("exporter"))
CELLS = [(name, odd) for name in EXPORTERS for odd in ODD]


@pytest.fixture
def exporter(request):
    return registry.get(extend.Exporter, request.param)()


@pytest.mark.parametrize(("exporter", "odd"), CELLS, indirect=["exporter"])
def test_every_exporter_writes_every_capture(exporter, odd, tmp_path):
    """Healthy, truncated, empty, baseline and hostile captures all become a file, and the same
    file twice."""
    capture = read_capture(ODD[odd](tmp_path / "run.jsonl"))
    first, second = (tmp_path / f"{name}{exporter.suffix}" for name in "ab")
    exporter.write(capture, first)
    exporter.write(capture, second)
    content = first.read_bytes()
    assert content or (odd == "header_only" and exporter.suffix == ".collapsedstack.txt")
    assert exporter.binary or content == second.read_bytes()
    if not exporter.binary:
        _check_text(content.decode("utf-8"))


def _check_text(text: str) -> None:
    """No export of text lets a control or a direction override through to a terminal."""
    assert not any(sign in text for sign in "\x00\x1b\x9b\x7f")
    assert "\r" not in text.replace("\r\n", "")


def _check_summary(document: dict) -> None:
    assert document["schema"] == "specprof.summary/1"
    totals = document["totals"]
    assert totals["accepted_tokens"] <= totals["reached_tokens"] <= totals["drafted_tokens"]


def _check_csv(text: str) -> None:
    for cell in text.split("\n", maxsplit=1)[0].split(","):
        assert not cell.strip('"').lstrip().startswith(("=", "+", "-", "@"))
    assert HOSTILE not in text


def _check_sqlite(path) -> None:
    with closing(sqlite3.connect(path)) as file:
        assert file.execute("pragma integrity_check").fetchone() == ("ok",)
        assert file.execute("select count(*) from run").fetchone() == (1,)


FORMATS = {
    "speedscope": lambda path: check_speedscope(json.loads(path.read_text())),
    "chrome": lambda path: check_chrome(chrome_events(path.read_text())),
    "collapsed": lambda path: collapsed_stacks(path.read_text()),
    "json": lambda path: _check_summary(json.loads(path.read_text())),
    "csv": lambda path: _check_csv(path.read_text()),
    "sqlite": _check_sqlite,
}


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("exporter", sorted(FORMATS), indirect=True)
def test_every_export_is_sound_by_its_format(exporter, odd, tmp_path, request):
    """The demands of the format's readers hold on odd captures as on healthy ones."""
    path = tmp_path / f"out{exporter.suffix}"
    exporter.write(read_capture(ODD[odd](tmp_path / "run.jsonl")), path)
    FORMATS[request.node.callspec.params["exporter"]](path)


@pytest.mark.parametrize("exporter", EXPORTERS, indirect=True)
def test_every_exporter_says_where_to_open_its_file(exporter):
    """It declares a suffix with its dot, and a viewer in words."""
    assert exporter.suffix.startswith(".")
    assert exporter.viewer


def test_suffixes_are_their_own():
    """Two formats never write to the same default place."""
    kinds = [registry.load(extend.Exporter, each) for each in registry.members("exporter").values()]
    assert len({each.suffix for each in kinds}) == len(kinds)
