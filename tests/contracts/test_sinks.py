"""A stranger's text is shown and steers nothing, in every command and every form.

Driven over the registries of commands and exporters: a new one must be given its sinks here, and a
new exporter is tested for free.
"""

import asyncio
import json
import os
import shutil
import sys
from pathlib import Path

import pytest

import captures
import payloads
from dashboards import open_dashboard, screen_text
from payloads import ALL, FILE_NAME, PAYLOADS
from specprof import registry, sweep
from specprof.capture import read_capture
from specprof.cli import app, main
from specprof.errors import SpecprofError
from specprof.extend import Exporter
from specprof.progress import Progress, SweepProgress
from specprof.settings import Profile, RunSpec, Settings

HOSTILE = Path(__file__).parents[1] / "data" / "hostile"
LINES, JSON, CSV = payloads.check_lines, payloads.check_json, payloads.check_csv
EXPORTERS = sorted(registry.members("exporter"))
DIAGNOSE = {
    "diagnose FILE": LINES,
    "diagnose FILE --json": JSON,
    "diagnose FILE --format sarif": JSON,
    "diagnose FILE --format github": payloads.check_annotations,
}
CAPTURE = DIAGNOSE | {
    "compare FILE": LINES,
    "compare FILE --wide --by-depth": LINES,
    "compare FILE --json": JSON,
    "compare FILE --csv": CSV,
    "view FILE --plain": LINES,
    "view FILE --plain --ascii": LINES,
    **{f"export {name} FILE -o -": {"csv": CSV}.get(name, LINES) for name in EXPORTERS},
}
"""Command that shows a capture -> the check of its stdout."""
MEMBERS = {
    "list": LINES,
    "list rule": LINES,
    "list --json": JSON,
    "explain": LINES,
    "explain evil-rule": LINES,
}
ELSEWHERE = {
    "run": "test_progress_is_lines, and all errors: test_every_error_is_two_lines",
    "bench": "tests/cli/test_bench.py, of a table made up",
    "drill": "shows what diagnose shows, of its own catalogue",
}
"""Commands that show no foreign file on stdout -> where their sinks are tested."""


@pytest.fixture
def typed(monkeypatch, capfdbinary):
    """Return a command line that runs in this process: (exit code, stdout, stderr)."""

    def typed(line, file=""):
        words = [str(file) if word == "FILE" else word for word in line.split()]
        monkeypatch.setattr(sys, "argv", ["specprof", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        shown, said = capfdbinary.readouterr()
        return ended.value.code or 0, shown, said.decode()

    return typed


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Write a rule and an exporter whose every text is a payload."""
    place = tmp_path_factory.mktemp("plugins")
    (place / "rules").mkdir()
    (place / "rules" / "evil_rule.py").write_text(
        f"{ALL!r}\n"
        "from specprof.extend import Rule\n"
        "from specprof.findings import Finding, Found, Measure\n"
        f"text = {ALL!r}\n"
        "class Evil(Rule):\n"
        "    family = 'configuration'\n"
        "    def judge(self, evidence):\n"
        "        measure = Measure(name=text, value=1.0, unit=text)\n"
        "        return Found(finding=Finding(message=text, measures=(measure,), remedy=text,\n"
        "            confirm=(text,), suspects=(text,), rounds=(1,)))\n"
    )
    return place


def test_every_command_has_its_sinks_here():
    """Each is listed by name, so that a new command names its checks."""
    told = {line.split()[0] for line in [*CAPTURE, *MEMBERS]} | ELSEWHERE.keys()
    assert told == {each.name or each.callback.__name__ for each in app.registered_commands}


@pytest.mark.parametrize("line", sorted(CAPTURE))
def test_a_captures_texts_steer_nothing(typed, tmp_path, line):
    """They are a known hostile capture, and one with payloads in every text and in its name."""
    files = [payloads.write_capture(tmp_path / FILE_NAME, ALL), HOSTILE / "hostile-text.jsonl"]
    files.append(payloads.write_capture(tmp_path / "two.jsonl", "=1+1", shape="static-tree"))
    for file in files:
        code, shown, said = typed(line, file)
        assert code == 0, said
        payloads.check_lines(said)
        if line.startswith("export sqlite"):
            assert shown.startswith(b"SQLite format 3\0")
        else:
            CAPTURE[line](shown.decode())


@pytest.mark.parametrize("name", sorted(PAYLOADS))
def test_each_payload_alone_is_shown_and_not_obeyed(typed, tmp_path, name):
    """Each is tested alone, because some hide others; a printable payload is shown unchanged."""
    text = PAYLOADS[name]
    file = payloads.write_capture(tmp_path / "run.jsonl", text)
    for line in ("diagnose FILE", "compare FILE", "view FILE --plain", "export csv FILE -o -"):
        code, shown, said = typed(line, file)
        assert code == 0, said
        CAPTURE[line](shown.decode())
    document = json.loads(typed("export json FILE -o -", file)[1])
    assert document["header"]["text"] == text


@pytest.mark.parametrize("name", EXPORTERS)
def test_an_exports_place_steers_nothing(typed, tmp_path, name):
    """stderr names a file whose name is a payload, on lines of their own."""
    file = payloads.write_capture(tmp_path / FILE_NAME, ALL)
    code, shown, said = typed(f"export {name} FILE", file)
    assert (code, shown) == (0, b""), said
    payloads.check_lines(said)
    kind = registry.get(Exporter, name)
    made = file.with_name(file.name.removesuffix(".jsonl") + kind.suffix)
    assert made.exists()
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("line", sorted(DIAGNOSE))
def test_a_tables_texts_steer_nothing(typed, tmp_path, line):
    """They are known hostile tables, in every form of a diagnosis, and a table of Markdown."""
    shutil.copy(HOSTILE / "host.csv", tmp_path / FILE_NAME.replace(".jsonl", ".csv"))
    cell = " ".join(ALL.replace("|", "!").splitlines())
    rows = [
        [cell, "K", "accept rate", "tau"],
        ["-"] * 4,
        [cell, "4", "1.5", "9"],
        [cell, "2", "3", "9"],
    ]
    table = "".join(f"| {' | '.join(row)} |\n" for row in rows)
    (tmp_path / "host.md").write_text(table)
    files = [*(HOSTILE / f"host.{form}" for form in ("csv", "json", "toml")), *tmp_path.iterdir()]
    for file in files:
        code, shown, said = typed(line, file)
        assert code == 0, said
        DIAGNOSE[line](shown.decode())
        payloads.check_lines(said)


@pytest.mark.parametrize("line", sorted(DIAGNOSE))
def test_a_rules_texts_steer_nothing(typed, tmp_path, folder, line):
    """A folder's rule may return any text, on a run long enough for its verdict to count."""
    file = captures.write(tmp_path / "run.jsonl", captures.events(stops=8, max_new_tokens=60))
    code, shown, said = typed(f"{line} --plugins {folder}", file)
    assert code == 0, said
    assert b"evil-rule" in shown
    payloads.check_lines(said)
    DIAGNOSE[line](shown.decode())


def test_a_rule_that_can_t_be_imported_steers_nothing(typed, tmp_path):
    """Neither its file's name nor its error does."""
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "broken\x1b[31m\u202e.py").write_text(f"raise ValueError({ALL!r})\n")
    file = payloads.write_capture(tmp_path / "run.jsonl", "x")
    _, shown, said = typed(f"diagnose FILE --plugins {tmp_path}", file)
    payloads.check_lines(shown.decode() + said)
    assert "broken" in shown.decode() + said


@pytest.mark.parametrize("line", sorted(MEMBERS))
def test_a_plug_ins_texts_steer_nothing(typed, folder, monkeypatch, line):
    """An installed package's docstrings and file names are shown by list and explain."""
    monkeypatch.setattr(registry, "_entry_point_folders", lambda _path: [folder])
    code, shown, said = typed(line)
    assert code == 0, said
    MEMBERS[line](shown.decode())
    assert "evil-rule" in shown.decode() or line == "list --json"


def test_progress_is_lines(capsys):
    """It covers a run and a sweep: settings, labels, errors, and unexpected exceptions."""
    settings = Settings(target=ALL, draft=ALL, text=ALL)
    spec = RunSpec(id=ALL, profile=ALL, settings=settings, label=ALL)
    progress = Progress(spec)
    for event in read_capture(HOSTILE / "hostile-text.jsonl").events:
        progress.hear(event)
    progress.hear(read_capture(HOSTILE / "hostile-text.jsonl").header)
    progress.report()
    run = sweep.Run(spec=spec, file="a.jsonl", state="failed", trouble=ALL)
    index, listener = sweep.Index(profile=Profile(name=ALL), runs=[run]), SweepProgress()
    listener.run_begins(index, 0)
    for error in (SpecprofError(ALL, ALL), ValueError(ALL), None):
        listener.run_ended(index, 0, error)
    said = capsys.readouterr()
    payloads.check_lines(said.err)
    assert said.out == ""
    assert "ValueError" in said.err


@pytest.mark.parametrize(
    "line",
    [
        "diagnose FILE",
        "compare FILE",
        "view FILE",
        "export csv FILE",
        "run --profile FILE.toml",
        "run --resume FILE",
        "run --no-tui --backend synthetic -o FILE",
        "drill FILE",
        "explain FILE",
        "list FILE",
        "export FILE x",
        "bench --target FILE",
    ],
)
def test_every_error_is_two_lines(typed, tmp_path, line):
    """For any name of a file, a member or a model the error is a title and a hint."""
    file = tmp_path / "no" / (FILE_NAME + os.fsdecode(b"\xff"))
    words = line.replace("FILE.toml", "FILE") if "FILE.toml" in line else line
    code, shown, said = typed(words, f"{file}.toml" if "FILE.toml" in line else file)
    assert code in {2, 3, 5}, said
    assert shown == b""
    payloads.check_lines(said)
    assert len(said.splitlines()) == 2


def test_every_screen_of_the_dashboard_shows_signs_and_obeys_none(tmp_path):
    """Each screen and the log is printable, without links or actions from a text."""
    file = payloads.write_capture(tmp_path / "run.jsonl", ALL)
    log = tmp_path / "run.jsonl.log"
    log.write_text(ALL, encoding="utf-8")

    async def look():
        shown = []
        async with open_dashboard(file, log=log) as pilot:
            for key in ("1", "2", "3", "4", "5", "6", "7", "8", "9", "l", "d", "question_mark"):
                await pilot.press(key)
                await pilot.pause()
                shown.append(screen_text(pilot.app))
                for strip in pilot.app.screen._compositor.render_strips():
                    for part in strip:
                        assert not (part.style and part.style.link)
                        assert "app.quit" not in str(part.style and part.style.meta.get("@click"))
        return shown

    for screen in asyncio.run(look()):
        payloads.check_lines(screen)
