"""Files that must not break anything, made by hand and by mutation, each read by every reader."""

import asyncio
from pathlib import Path

import pytest

from captures import events, write
from dashboards import screen_text, wait_until
from fuzzing.commands import COMMANDS, check, run, run_specprof
from specprof.diagnosis.diagnose import findings_so_far
from specprof.tui.app import Dashboard

FOLDER = Path(__file__).parent / "data" / "hostile"
FILES = sorted(FOLDER.glob("*.jsonl"))
IN_THE_DASHBOARD = (
    "depth-4e8",
    "token-huge",
    "target-tilde",
    "target-long",
    "overlaps-unequal",
    "reversed",
    "rounds-twice",
    "cmp-plain-zero",
    "fuzz-ad877363",
    "last-round-damaged",
)
"""A file for each way in which a screen once broke; `check` draws the panels of the others."""

SHORT = {"max_new_tokens": 12}
WAYS = [{}, {"batch": 3}, {"temperature": 0.0}]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_hostile_file_ends_right_under_every_reader(path):
    """It gives a clear line, or a report that names the lines left out and accuses no engine."""
    ended = check(path)
    assert "  bug: " not in ended["diagnose"].stdout
    assert "implementation is broken" not in ended["diagnose"].stdout


@pytest.mark.parametrize("name", IN_THE_DASHBOARD)
def test_a_hostile_file_opens_in_the_dashboard(name):
    """It stays open with every panel maximised in turn, the findings, and a few rounds back."""

    async def opened():
        app = Dashboard(FOLDER / f"{name}.jsonl", judge=findings_so_far, clock=lambda: 0.0)
        async with app.run_test(size=(120, 36)) as pilot:
            await wait_until(pilot, lambda: app.reading and not app.reading.more)
            await wait_until(pilot, lambda: app.snapshot.diagnosis)
            for key in ("2", "3", "4", "5", "6", "7", "8", "left", "left", "right", "f", "enter"):
                await pilot.press(key)
            assert screen_text(app).strip()
        return app.return_code

    assert asyncio.run(opened()) in {0, None}


@pytest.mark.parametrize("way", WAYS)
def test_a_round_that_is_gone_accuses_nobody(tmp_path, way):
    """A line is missing, cut or spoilt: no bug is found, and the gap is named."""
    whole = write(tmp_path / "whole.jsonl", events(**(SHORT | way))).read_bytes()
    lines = whole.splitlines(keepends=True)
    path = tmp_path / "run.jsonl"
    for place in range(1, len(lines)):
        for left in (b"", lines[place][: len(lines[place]) // 2] + b"\n"):
            path.write_bytes(b"".join(lines[:place]) + left + b"".join(lines[place + 1 :]))
            told = run("diagnose", path).stdout
            assert "  bug: " not in told, (place, told)
            assert "please report" not in told, (place, told)
            if left:
                assert f"line {place + 1}:" in told
            elif b'"event":"round"' in lines[place]:
                assert "1 round is missing" in told


@pytest.mark.parametrize("way", WAYS)
def test_whatever_is_told_twice_or_out_of_turn_accuses_nobody(tmp_path, way):
    """Lines are doubled or moved by one: it is reported if a result depends on them."""
    whole = write(tmp_path / "whole.jsonl", events(**(SHORT | way))).read_bytes()
    lines = whole.splitlines(keepends=True)
    path = tmp_path / "run.jsonl"
    for place in range(1, len(lines)):
        for kept in (
            [*lines[: place + 1], *lines[place:]],
            [*lines[:place], *lines[place + 1 : place + 2], lines[place], *lines[place + 2 :]],
        ):
            path.write_bytes(b"".join(kept))
            told = run("diagnose", path).stdout
            assert "  bug: " not in told, (place, told)
            doubled = len(kept) > len(lines) and b'"event":"sample"' not in lines[place]
            if doubled and b'"event":"note"' not in lines[place]:
                assert "contradicts itself" in told or "could not be read" in told, (place, told)


@pytest.mark.parametrize("depth", [10, 100_000])
def test_deep_nesting_is_one_clear_line(tmp_path, depth):
    """In the header and in later lines; brackets and braces."""
    header, *rest = write(tmp_path / "w.jsonl", events()).read_bytes().splitlines(keepends=True)
    for opening, closing in ((b"[", b"]"), (b'{"x":', b"}")):
        nest = opening * depth + b"0" + closing * depth
        path = tmp_path / "run.jsonl"
        path.write_bytes(header[:-2] + b',"deeper":' + nest + b"}\n" + b"".join(rest))
        ended = {name: run(name, path) for name in COMMANDS}
        deep = depth > 1000
        assert {each.code for each in ended.values()} == {5 if deep else 0}
        path.write_bytes(header + rest[0][:-2] + b',"deeper":' + nest + b"}\n" + b"".join(rest[1:]))
        told = check(path)["diagnose"].stdout
        assert ("nested too deeply" in told) == deep


def test_a_sweep_and_a_profile_nested_deeply_are_refused(tmp_path):
    """One clear error each, before anything runs."""
    (tmp_path / "sweep.json").write_bytes(b'{"runs":' + b"[" * 100_000 + b"]" * 100_000 + b"}")
    profile = tmp_path / "deep.toml"
    profile.write_text("name = " + "[" * 100_000 + "]" * 100_000, encoding="utf-8")
    for words in (("compare", str(tmp_path)), ("run", "--profile", str(profile))):
        ended = run_specprof(*words)
        assert ended.code in {2, 5}
        assert ended.stderr.count("\n") == 2, ended.stderr
        assert str(tmp_path) in ended.stderr
