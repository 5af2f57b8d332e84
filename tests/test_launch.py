"""Runs as the command line starts them: output files, interruption, early failure."""

import os
import signal
import subprocess
import sys
import time

import pytest

from specprof import launch
from specprof.capture import read_capture
from specprof.cli import main
from specprof.errors import UsageError
from specprof.plan import expand
from specprof.settings import Profile, Settings

SYNTHETIC = ["run", "--no-tui", "--backend", "synthetic", "--temperature", "1"]


def specprof(*arguments, **options):
    command = [sys.executable, "-m", "specprof", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, **options)


@pytest.fixture
def here(monkeypatch, capsys):
    """Return a command line in this process, which has torch loaded: (code, stdout, stderr)."""

    def typed(*arguments):
        monkeypatch.setattr(sys, "argv", ["specprof", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code, *capsys.readouterr()

    return typed


def test_a_run_keeps_stdout_for_data_and_says_what_comes_next(tmp_path):
    """Narration goes to stderr, with the commands that read the capture."""
    path = tmp_path / "a.jsonl"
    done = specprof(*SYNTHETIC, "--context", 400, "--stops", 2, "-o", path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert f"specprof diagnose {path}" in done.stderr
    assert read_capture(path).state == "complete"


def test_an_existing_capture_is_not_overwritten_without_force(tmp_path):
    """It is refused with exit code 2; --force replaces it."""
    path = tmp_path / "a.jsonl"
    path.write_text("precious")
    quick = (*SYNTHETIC, "--context", 200, "--stops", 1, "-o", path)
    refused = specprof(*quick)
    assert refused.returncode == 2
    assert "--force" in refused.stderr
    assert path.read_text() == "precious"
    assert specprof(*quick, "--force").returncode == 0
    assert read_capture(path).state == "complete"


@pytest.mark.skipif(os.name != "posix", reason="makes a FIFO")
def test_what_is_no_regular_file_is_refused_and_left_alone(tmp_path):
    """A failed run removes its empty capture; with --force it once removed /dev/null itself."""
    os.mkfifo(tmp_path / "pipe")
    done = specprof(*SYNTHETIC, "--force", "-o", tmp_path / "pipe")
    assert done.returncode == 2
    assert "no regular file" in done.stderr
    assert (tmp_path / "pipe").exists()


def test_an_unwritable_place_is_told_at_once(tmp_path):
    """The exit code is 2, and the place is named, before any model is loaded."""
    done = specprof(*SYNTHETIC, "-o", tmp_path / "no" / "such" / "folder.jsonl")
    assert done.returncode == 2
    assert "can't write" in done.stderr


def test_a_wrong_model_leaves_no_file_and_exits_3(tmp_path, here):
    """The model is named, and no empty capture is left behind."""
    code, _, told = here("run", "--no-tui", "--target", "/no/such", "-o", tmp_path / "a.jsonl")
    assert code == 3
    assert "can't load model '/no/such'" in told
    assert "Traceback" not in told
    assert not (tmp_path / "a.jsonl").exists()


@pytest.mark.skipif(os.name != "posix", reason="sends a POSIX signal")
def test_ctrl_c_keeps_the_capture_and_exits_130(tmp_path):
    """The capture of an interrupted run is closed and readable."""
    path = tmp_path / "a.jsonl"
    command = [sys.executable, "-m", "specprof", *SYNTHETIC, "--max-new-tokens", "100000"]
    child = subprocess.Popen([*command, "-o", str(path)], stderr=subprocess.PIPE)
    while not path.exists() or path.stat().st_size < 20_000:
        time.sleep(0.02)
    child.send_signal(signal.SIGINT)
    child.communicate(timeout=30)
    assert child.returncode == 130
    capture = read_capture(path)
    assert capture.state == "interrupted"
    assert not capture.damaged


PROFILE = Profile(name="x", run=Settings(target="owner/name"), sweep={"depth": [2, 4]})
SWEPT = [*SYNTHETIC, "--context", "400", "--stops", "2", "--sweep", "depth=2,4", "--repeats", "2"]


def test_a_sweep_writes_a_folder_and_ends_with_one_table(tmp_path):
    """Each run has a capture, stderr has progress with the time left, stdout the comparison."""
    folder = tmp_path / "out"
    done = specprof(*SWEPT, "-o", folder)
    assert done.returncode == 0, done.stderr
    assert len(list(folder.glob("*.jsonl"))) == 4
    assert all(read_capture(path).state == "complete" for path in folder.glob("*.jsonl"))
    assert "run 2 of 4: K=4, repeat 1 of 2; about 0:0" in done.stderr
    assert f"specprof compare --by-depth {folder}" in done.stderr
    rows = [line.split()[0] for line in done.stdout.splitlines() if line.startswith("K=")]
    assert rows == ["K=2", "K=4"]


def test_a_cell_that_fails_is_told_and_the_sweep_goes_on(tmp_path, here):
    """A missing model costs only its own cell, and sets the exit code."""
    folder = tmp_path / "out"
    sweep = "target=/no/such,pocket/target"
    quick = ("--profile", "smoke", "--stops", 1, "--set", "threads=1")
    code, shown, told = here("run", *quick, "--sweep", sweep, "-o", folder)
    assert code == 3
    assert "failed" in told
    assert "can't load model '/no/such'" in told
    assert "complete after" in told
    assert "can't load model '/no/such'" in shown
    assert len(list(folder.glob("*.jsonl"))) == 1


def test_a_misspelt_member_of_the_family_is_refused_at_once(tmp_path):
    """It is refused before anything is loaded or written, with the nearest name."""
    done = specprof(*SWEPT, "--draft", "pocket/darft", "-o", tmp_path / "out")
    assert done.returncode == 2
    assert "known: pocket/draft," in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_sweep_stopped_between_two_runs_says_how_to_go_on(tmp_path, monkeypatch, capsys):
    """No run was interrupted, but the command line ends as after any Ctrl-C."""

    def interrupted(*_):
        raise KeyboardInterrupt

    folder = tmp_path / "out"
    monkeypatch.setattr(launch.sweep, "play_all", interrupted)
    index = launch.sweep.begin(folder, PROFILE, expand(PROFILE), force=False)
    with pytest.raises(KeyboardInterrupt):
        launch._play_all(folder, index, None)
    told = capsys.readouterr().err
    assert f"specprof run --resume {folder} --allow=owner/name\n" in told


@pytest.mark.skipif(os.name != "posix", reason="sends a POSIX signal")
def test_a_stopped_sweep_is_resumed_from_the_command_line(tmp_path):
    """Ctrl-C exits with 130; --resume plays the rest and leaves complete captures alone."""
    folder = tmp_path / "out"
    index = folder / "sweep.json"
    command = [sys.executable, "-m", "specprof", *SWEPT, "--max-new-tokens", "3000"]
    child = subprocess.Popen([*command, "-o", str(folder)], stderr=subprocess.PIPE, text=True)
    while not index.exists() or '"complete"' not in index.read_text():
        assert child.poll() is None
        time.sleep(0.01)
    child.send_signal(signal.SIGINT)
    told = child.communicate(timeout=60)[1]
    assert child.returncode == 130, told
    assert f"specprof run --resume {folder}" in told
    kept = next(folder.glob("01*.1.jsonl")).stat().st_mtime_ns
    done = specprof("run", "--resume", folder)
    assert done.returncode == 0, done.stderr
    assert next(folder.glob("01*.1.jsonl")).stat().st_mtime_ns == kept
    assert all(read_capture(path).state == "complete" for path in folder.glob("*.jsonl"))


def test_resuming_takes_no_other_wishes(tmp_path):
    """The sweep's own settings stay."""
    done = specprof("run", "--resume", tmp_path, "--depth", 3)
    assert done.returncode == 2
    assert "leave out the other options" in done.stderr


@pytest.mark.parametrize(
    ("option", "value", "told"),
    [
        ("--set", "depht=3", "known: depth"),
        ("--set", "depth", "has no value"),
        ("--sweep", "depth=2,x", "depth can't be 'x'"),
    ],
)
def test_a_wrong_setting_is_a_usage_error(option, value, told):
    """The error says what was probably meant, and nothing runs."""
    done = specprof(*SYNTHETIC, option, value)
    assert done.returncode == 2
    assert told in done.stderr


def test_any_setting_can_be_set(tmp_path):
    """`--set` takes its type from the named setting."""
    path = tmp_path / "a.jsonl"
    quick = (*SYNTHETIC, "--context", 200, "--stops", 1, "-o", path)
    done = specprof(*quick, "--set", "score_step=7", "--set", "noise=0.25")
    assert done.returncode == 0, done.stderr
    settings = read_capture(path).header.spec.settings
    assert (settings.score_step, settings.noise) == (7, 0.25)


def test_an_unknown_option_value_is_refused():
    """The error names an unknown workload and lists the known ones."""
    with pytest.raises(UsageError, match="stroll"):
        expand(Profile(name="x", run=Settings(workload="stroll")))


@pytest.mark.skipif(os.name != "posix", reason="sends POSIX signals")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_plain_run_told_to_end_closes_its_capture(tmp_path, number):
    """A job scheduler's SIGTERM acts like Ctrl-C: interrupted, readable, exit code 130."""
    path = tmp_path / "a.jsonl"
    command = [sys.executable, "-m", "specprof", *SYNTHETIC, "--max-new-tokens", "100000"]
    child = subprocess.Popen([*command, "-o", str(path)], stderr=subprocess.PIPE)
    while not path.exists() or path.stat().st_size < 20_000:
        time.sleep(0.02)
    child.send_signal(number)
    child.communicate(timeout=30)
    assert child.returncode == 130
    assert read_capture(path).state == "interrupted"


@pytest.mark.skipif(os.name != "posix", reason="limits a file's size as POSIX does")
def test_a_full_disk_is_told_with_what_was_kept(tmp_path):
    """Recording stops, the run goes on to its end, and the exit code is a failed run's."""
    path = tmp_path / "a.jsonl"
    limited = (
        "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000));"
        "from specprof.cli import main; main()"
    )
    command = [sys.executable, "-c", limited, *SYNTHETIC, "--context", "400", "--stops", "2"]
    done = subprocess.run([*command, "-o", str(path)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "recording stopped" in done.stderr
    assert str(path) in done.stderr
    capture = read_capture(path)
    assert capture.state == "INCOMPLETE"
    assert not capture.torn


def test_a_profiles_probes_follow_the_first_run_of_each_cell(tmp_path):
    """Each probe runs once, after its capture is complete; so it does after a single run."""
    asked = []

    def follow(names, path, settings):
        assert settings == read_capture(path).header.spec.settings
        assert read_capture(path).state == "complete"
        asked.append((names, path.name))

    run = Settings(backend="synthetic", temperature=1.0, context=300, stops=1)
    profile = Profile(name="x", run=run, sweep={"depth": [2, 4]}, repeats=2, probes=["auto"])
    given = {"force": False, "tui": False, "follow": follow}
    launch.launch(profile, output=tmp_path / "out", **given)
    assert asked == [(["auto"], "01-k=2.1.jsonl"), (["auto"], "02-k=4.1.jsonl")]
    asked.clear()
    alone = Profile(name="x", run=run, probes=["auto"])
    assert launch.launch(alone, output=tmp_path / "a.jsonl", **given) == 0
    assert asked == [(["auto"], "a.jsonl")]


@pytest.mark.parametrize("name", ["./nosuch", "/nosuch/model", "~nosuchuser/m", "a/b/c"])
@pytest.mark.parametrize("option", ["--target", "--draft"])
def test_a_place_where_nothing_is_is_refused_before_anything_is_loaded(tmp_path, option, name):
    """It loads no torch, asks no hub, exits with code 3 in a moment, and leaves no file."""
    script = (
        "import sys; from specprof.cli import main\n"
        "try: main()\n"
        "finally: print([n for n in ('torch', 'httpx2') if n in sys.modules], file=sys.stderr)"
    )
    out = tmp_path / "out.jsonl"
    command = [sys.executable, "-c", script, "run", "--no-tui", option, name, "-o", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 3
    error, hint, loaded = done.stderr.splitlines()
    assert error == f"specprof: can't load model {name!r}: there is no such folder"
    assert hint.startswith("  give a Hugging Face id, a checkpoint folder")
    assert "torch" not in loaded
    assert not out.exists()


def test_an_id_is_asked_of_a_hub_once(tmp_path):
    """If the hub can't be reached, one line says so, and retries are not mentioned."""
    given = {**os.environ, "HF_HUB_OFFLINE": "0", "HF_ENDPOINT": "http://127.0.0.1:9"}
    done = specprof("run", "--target", "nobody/nosuch", "--no-tui", env=given, cwd=tmp_path)
    assert done.returncode == 3
    assert "no local folder, and the hub can't be reached" in done.stderr
    assert "Retrying" not in done.stderr
