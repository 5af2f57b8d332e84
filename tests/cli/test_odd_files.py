"""Every command on what is no file, and with its standard streams closed: one line, no waiting."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from captures import events, healthy
from specprof.cli import main
from specprof.plain import as_json

LIMIT_S = 60
QUICK = ["--no-tui", "--backend", "synthetic", "--context", "200", "--stops", "1"]


def fifo(path):
    os.mkfifo(path)


def device(path):
    path.symlink_to("/dev/zero")


def socket_(path):
    listening = socket.socket(socket.AF_UNIX)
    here = Path.cwd()
    os.chdir(path.parent)  # a socket's name must be short
    listening.bind(path.name)
    os.chdir(here)
    listening.close()


def folder(path):
    path.mkdir()


def loop(path):
    path.symlink_to(path)


def hole(path):
    with path.open("wb") as file:
        file.truncate(1 << 40)


ODD = (fifo, device, socket_, folder, loop, hole)
READING = {
    "diagnose": (["diagnose", "{}.jsonl"], 5),
    "compare": (["compare", "{}.jsonl"], 5),
    "view": (["view", "--plain", "{}.jsonl"], 5),
    "json": (["export", "json", "{}.jsonl"], 5),
    "csv": (["export", "csv", "{}.jsonl"], 5),
    "table": (["diagnose", "{}.csv"], 5),
    "markdown": (["diagnose", "{}.md"], 5),
    "profile": (["run", "--no-tui", "--profile", "{}.toml"], 2),
    "text": (["run", "--no-tui", "--profile", "smoke", "--text", "{}.txt", "-o", "out.jsonl"], 2),
}


@pytest.fixture
def typed(monkeypatch, capsys):
    """The command line in this process, which must answer in time: (code, stdout, stderr)."""

    def late(*_):
        raise TimeoutError("the command waits")

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["specprof", *map(str, arguments)])
        before = signal.signal(signal.SIGALRM, late)
        signal.alarm(LIMIT_S)
        try:
            with pytest.raises(SystemExit) as ended:
                main()
        finally:
            signal.alarm(0)
            signal.signal(signal.SIGALRM, before)
        return ended.value.code, *capsys.readouterr()

    return run


@pytest.mark.parametrize("made", ODD, ids=lambda made: made.__name__)
@pytest.mark.parametrize("command", READING)
def test_what_is_no_file_is_refused(tmp_path, monkeypatch, typed, command, made):
    """Two lines on stderr, the documented code, and nothing on stdout."""
    monkeypatch.chdir(tmp_path)
    arguments, code = READING[command]
    (written,) = (each for each in arguments if "{}" in each)
    made(tmp_path / written.format("odd"))
    ended, out, told = typed(*(each.format("odd") for each in arguments))
    if made is folder and command == "compare":
        assert "holds no captures" in told
    codes = {2} if made is hole and command in {"table", "markdown"} else {code}
    assert ended in codes, told
    assert out == ""
    lines = [line for line in told.splitlines() if not line.startswith("[")]
    assert len(lines) == 2, told
    assert lines[0].startswith("specprof: ")
    if made in {fifo, device, socket_}:
        assert "no regular file" in told
    assert not (tmp_path / "out.jsonl").exists()


@pytest.mark.parametrize("made", ODD, ids=lambda made: made.__name__)
def test_a_sweeps_index_that_is_no_file_is_refused(tmp_path, typed, made):
    """Whoever asks for it."""
    made(tmp_path / "sweep.json")
    for arguments in (["run", "--resume", tmp_path], ["compare", tmp_path]):
        if made is loop and arguments[0] == "compare":
            continue  # a link that leads nowhere is no index: the folder holds no captures
        ended, _, told = typed(*arguments)
        assert ended == 5
        assert len(told.splitlines()) == 2


@pytest.mark.parametrize("made", ODD, ids=lambda made: made.__name__)
def test_a_plugin_that_is_no_file_is_refused_by_name(tmp_path, typed, made):
    """Its loader would wait for a pipe for ever."""
    (tmp_path / "rules").mkdir()
    made(tmp_path / "rules" / "odd_rule.py")
    path = healthy(tmp_path / "run.jsonl")
    ended, out, told = typed("diagnose", "--plugins", tmp_path, path)
    assert "odd_rule.py" in out + told
    assert "Traceback" not in told
    assert isinstance(ended, int)


@pytest.mark.parametrize("made", [fifo, device, socket_, folder], ids=lambda made: made.__name__)
def test_nothing_is_recorded_into_what_is_no_file(tmp_path, typed, made):
    """Even with --force; it is left as it was."""
    made(tmp_path / "odd.jsonl")
    kind = (tmp_path / "odd.jsonl").stat().st_mode
    ended, _, told = typed("run", *QUICK, "--force", "-o", tmp_path / "odd.jsonl")
    assert (ended, len(told.splitlines())) == (2, 2)
    assert (tmp_path / "odd.jsonl").stat().st_mode == kind


LONG = "x" * 300


@pytest.mark.parametrize(
    "arguments",
    [
        ["diagnose", f"{LONG}.jsonl"],
        ["diagnose", f"{LONG}.csv"],
        ["compare", LONG],
        ["view", "--plain", LONG],
        ["export", "json", LONG],
        ["run", "--resume", LONG],
        ["run", "--profile", f"{LONG}.toml"],
        ["run", *QUICK, "-o", LONG],
        ["run", *QUICK, "--sweep", "depth=2,3", "-o", LONG],
        ["run", "--no-tui", "--profile", "smoke", "--text", LONG],
        ["drill", "none", "-o", LONG],
    ],
    ids=lambda each: "-".join(each[:2])[:20],
)
def test_a_name_that_is_too_long_is_told(tmp_path, monkeypatch, typed, arguments):
    """The system's words, and its name cut by nobody."""
    monkeypatch.chdir(tmp_path)
    ended, out, told = typed(*arguments)
    assert ended in {2, 5}
    assert "File name too long" in told
    lines = [line for line in told.splitlines() if not line.startswith("[")]
    assert len(lines) == 2, told
    assert out == ""


@pytest.mark.parametrize(
    "arguments",
    [
        ["diagnose", "--json"],
        ["diagnose", "--format", "sarif"],
        ["diagnose", "--format", "github"],
        ["diagnose"],
        ["compare", "--json"],
        ["compare", "--csv"],
        ["compare"],
        ["view", "--plain"],
        ["export", "json", "-o", "-"],
        ["export", "csv", "-o", "-"],
        ["export", "speedscope", "-o", "-"],
        ["export", "chrome", "-o", "-"],
    ],
    ids=" ".join,
)
def test_a_name_that_is_no_text_can_be_told(tmp_path, arguments):
    """The system's names are bytes: what is no UTF-8 is written as an escape everywhere."""
    name = tmp_path / "bad-\udcff\udcfe.jsonl"
    try:
        healthy(tmp_path / "run.jsonl").rename(name)
    except (OSError, UnicodeEncodeError):
        pytest.skip("this file system takes no such name")
    command = [sys.executable, "-m", "specprof", *arguments, str(name)]
    done = subprocess.run(command, capture_output=True, timeout=LIMIT_S, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count(b"\n") <= 2
    if "--json" in arguments or "json" in arguments or "sarif" in arguments:
        json.loads(done.stdout.decode("utf-8"))
    else:
        done.stdout.decode("utf-8")


CLOSED = """
import os, sys
for number in map(int, sys.argv[1].split(",")):
    os.close(number)
os.execv(sys.executable, [sys.executable, "-m", "specprof", *sys.argv[2:]])
"""


def closed(numbers, *arguments):
    command = [sys.executable, "-c", CLOSED, numbers, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)


@pytest.mark.parametrize("arguments", [["list"], ["explain", "tau"], ["view"], ["diagnose"]])
def test_a_closed_stdin_is_an_empty_one(tmp_path, arguments):
    """Nothing is asked of it."""
    path = [healthy(tmp_path / "run.jsonl")] if arguments[0] in {"view", "diagnose"} else []
    done = closed("0", *arguments, *path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout


@pytest.mark.parametrize("arguments", [["list"], ["explain", "tau"], ["--version"], ["diagnose"]])
def test_a_closed_stdout_is_told(tmp_path, arguments):
    """What was asked for could not be written: exit code 1, two lines."""
    path = [healthy(tmp_path / "run.jsonl")] if arguments[0] == "diagnose" else []
    done = closed("1", *arguments, *path)
    assert done.returncode == 1
    assert "can't write to stdout" in done.stderr
    assert len(done.stderr.splitlines()) == 2


def test_a_closed_stderr_loses_the_narration_only(tmp_path):
    """The exit code tells."""
    done = closed("2", "view", "--plain", tmp_path / "absent.jsonl")
    assert (done.returncode, done.stdout, done.stderr) == (5, "", "")


@pytest.mark.parametrize("numbers", ["0", "1", "2", "0,1,2"])
def test_no_capture_is_taken_for_a_closed_stream(tmp_path, numbers):
    """The first file opened would get its number, and the narration with it."""
    path = tmp_path / "run.jsonl"
    done = closed(numbers, "run", *QUICK, "-o", path)
    assert done.returncode == 0
    lines = path.read_bytes().splitlines()
    assert all(line.startswith(b'{"event":') for line in lines)
    assert lines[-1].startswith(b'{"event":"end","status":"complete"')


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
@pytest.mark.parametrize("arguments", [["list"], ["explain", "tau"]])
def test_a_full_stdout_is_told(arguments):
    """Also where it is only noticed at the very end."""
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "specprof", *arguments],
            stdout=full, stderr=subprocess.PIPE, text=True, timeout=LIMIT_S, check=False,
        )  # fmt: skip
    assert done.returncode == 1
    assert "can't write to stdout: No space left" in done.stderr
    assert len(done.stderr.splitlines()) == 2


def test_a_capture_that_only_goes_on_in_nulls_is_read_to_there(tmp_path, typed):
    """A line that never ends is where reading ends; what came before is kept."""
    path = tmp_path / "run.jsonl"
    path.write_bytes(b"".join(as_json(event) + b"\n" for event in events()[:20]))
    with path.open("r+b") as file:
        file.truncate(1 << 40)
    ended, out, _ = typed("view", "--plain", path)
    assert ended == 0
    assert "the last line is torn" in out
