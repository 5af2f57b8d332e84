"""Strangers' captures, sweeps, profiles and models, as a user opens them: nothing of them runs.

The proof is a mark: `tests/support/evil.py` makes a folder whose code leaves
one wherever it is run.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

import captures
import evil
import tiny
from specprof.cli import main

HOSTILE = Path(__file__).parents[1] / "data" / "hostile"


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A stranger's folder, unpacked and entered: their files, and models/evil."""
    folder = tmp_path / "theirs"
    shutil.copytree(HOSTILE, folder)
    evil.write_folder(folder / "models" / "evil", tmp_path / "mark")
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def mark(tmp_path):
    return tmp_path / "mark"


@pytest.fixture
def typed(monkeypatch, capfd):
    """The command line in this process: (exit code, stdout, stderr)."""

    def typed(*arguments):
        monkeypatch.setattr(sys, "argv", ["specprof", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code or 0, *capfd.readouterr()

    return typed


def waiting(folder: Path) -> None:
    """Have the sweep's runs wait, so that --resume would make them."""
    index = json.loads((folder / "sweep.json").read_text())
    for run in index["runs"]:
        run["state"] = "waiting"
        (folder / run["file"]).unlink(missing_ok=True)
    (folder / "sweep.json").write_text(json.dumps(index))


def refused(ended, *told):
    """Check that it was refused in two lines that say what the file wants and what to type."""
    code, shown, said = ended
    assert code == 2, said
    assert shown == ""
    assert len(said.splitlines()) == 2, said
    assert all(each in said for each in told), said


def test_the_mark_is_left_when_the_user_asks_for_it(place, mark):
    """The folder is what it pretends to be: this is what the tests below must not see."""
    asked = ["--target", "models/evil", "--drafter", "none", "--depth", 0, "--context", 200]
    asked += ["--stops", 1, "--set", "draft=", "--trust-remote-code", "-o", "out.jsonl"]
    modules = str(place.parent / "modules")
    save_file({"weight": np.zeros(1, np.float32)}, place / "models" / "evil" / "model.safetensors")
    ended = evil.run_specprof("run", "--no-tui", *asked, cwd=place, HF_MODULES_CACHE=modules)
    assert ended.returncode
    assert "modeling_evil" in mark.read_text(), ended.stderr


@pytest.mark.parametrize("probe", ["auto", "self-draft", "temp-zero", "self-draft,short-view"])
def test_a_probe_of_a_foreign_capture_loads_nothing(place, mark, typed, probe):
    """Neither with nor without half of the user's word; nothing is made beside the capture."""
    wanted = "asks for the model 'models/evil', running the own code of 'models/evil'"
    ended = typed("diagnose", "probe-rce.jsonl", "--probe", probe)
    if probe == "auto" and ended[0] == 0:
        assert "no run made" in ended[2]
    else:
        refused(ended, wanted, "--allow=models/evil --trust-remote-code")
        ended = typed("diagnose", "probe-rce.jsonl", "--probe", probe, "--allow", "models/evil")
        refused(
            ended,
            "asks for running the own code of 'models/evil'",
            "to the command: --trust-remote-code",
        )
        ended = typed("diagnose", "probe-rce.jsonl", "--probe", probe, "--trust-remote-code")
        refused(ended, "'models/evil'", "to the command: --allow=models/evil")
    assert not mark.exists()
    assert not (place / "probe-rce.jsonl.probes").exists()


def test_a_diagnosis_without_probes_asks_nobody(place, mark, typed):
    """Reading a capture loads no model, whatever it names."""
    code, shown, _ = typed("diagnose", "probe-rce.jsonl")
    assert code == 0
    assert shown
    assert not mark.exists()


@pytest.mark.parametrize("state", ["complete", "waiting"])
def test_a_foreign_sweep_is_not_gone_on_with(place, mark, typed, state):
    """Its models and its wish for code are named, and what to type; nothing is written."""
    folder = place / "evil-sweep"
    if state == "waiting":
        waiting(folder)
    before = {each.name: each.read_bytes() for each in folder.iterdir()}
    ended = typed("run", "--resume", "evil-sweep")
    if state == "waiting":
        refused(ended, "'models/evil'", "own code", "--allow=models/evil --trust-remote-code")
        refused(typed("run", "--resume", "evil-sweep", "--trust-remote-code"), "'models/evil'")
        refused(typed("run", "--resume", "evil-sweep", "--allow", "models/evil"), "own code")
        assert before == {each.name: each.read_bytes() for each in folder.iterdir()}
    assert not mark.exists()


def test_a_foreign_profile_runs_no_code(place, mark, typed):
    """Its model is what the user runs it for; its code is not."""
    ended = typed("run", "--no-tui", "--profile", "evil-profile.toml", "-o", "out.jsonl")
    asked = "evil-profile.toml asks for running the own code of 'models/evil'"
    refused(ended, asked, "--trust-remote-code")
    for hidden in ("[sweep]\ntrust_remote_code = [true]", "[[cell]]\ntrust_remote_code = true"):
        Path("hidden.toml").write_text(f'[run]\nbackend = "synthetic"\n{hidden}\n')
        refused(typed("run", "--no-tui", "--profile", "hidden.toml"), "own code")
    Path("quick.toml").write_text("[quick]\ntrust_remote_code = true\n")
    refused(typed("run", "--no-tui", "--profile", "quick.toml", "--quick"), "own code")
    assert not mark.exists()
    assert not Path("out.jsonl").exists()


@pytest.mark.parametrize("form", ["own modules", "own tokenizer", "pickled", "head", "kernel"])
def test_a_model_named_by_hand_runs_no_code_of_its_own(place, mark, typed, form):
    """Modules, a tokenizer's class, `custom_generate`, pickles, a hub's kernel: one clear line."""
    place = place / "models" / "evil"
    asked = ["--target", "models/evil", "--drafter", "none", "--depth", 0, "--set", "draft="]
    if form == "own tokenizer":  # beside sound weights
        keep = (place / "tokenizer_config.json").read_text()
        shutil.move(place, "kept")
        tiny.checkpoint(place)
        shutil.copytree("kept/custom_generate", place / "custom_generate")
        shutil.copy("kept/tokenization_evil.py", place)
        (place / "tokenizer_config.json").write_text(keep)
        (place / "tokenizer.json").unlink()
    elif form in {"pickled", "head"}:
        tiny.model("llama").config.save_pretrained(place)
        asked = ["--draft", "models/evil", "--drafter", "eagle"] if form == "head" else asked
    elif form == "kernel":
        shutil.rmtree(place)
        tiny.checkpoint(place)
        written = json.loads((place / "config.json").read_text())
        written["attn_implementation"] = "stranger/kernel"
        (place / "config.json").write_text(json.dumps(written))
    asked += ["--context", 200, "--stops", 1, "--max-new-tokens", 4, "--set", "threads=1"]
    code, _, said = typed("run", "--no-tui", *asked, "-o", "out.jsonl")
    assert code in {2, 3}, said
    assert "Traceback" not in said
    assert "models/evil" in said
    assert not mark.exists()
    assert form != "kernel" or "'stranger/kernel'" in said


@pytest.mark.parametrize("trusted", [True, False])
def test_no_kernel_is_fetched_for_a_plain_name(place, mark, tmp_path, trusted):
    """The package `kernels` fetches some for names that look like transformers' own."""
    folder = tmp_path / "plain"
    tiny.checkpoint(folder)
    written = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(
        json.dumps(written | {"attn_implementation": "flash_attention_2"})
    )
    asked = ["--target", folder, "--drafter", "none", "--depth", 0, "--set", "draft="]
    asked += ["--context", 200, "--stops", 1, "--max-new-tokens", 4, "--set", "threads=1"]
    asked += ["--trust-remote-code"] * trusted
    also = evil.write_kernels(tmp_path / "packages", mark)
    ended = evil.run_specprof(
        "run", "--no-tui", *asked, "-o", "out.jsonl", cwd=place, PYTHONPATH=also
    )
    assert ended.returncode == 3, ended.stderr
    assert str(folder) in ended.stderr
    assert "Traceback" not in ended.stderr
    assert mark.exists() == trusted, ended.stderr


def test_modules_in_the_current_folder_are_not_specprofs(place, mark, tmp_path):
    """The program's children look for modules where it does: `torch.py` here is a stranger's."""
    for name in ("torch", "msgspec", "specprof", "multiprocessing"):
        (place / f"{name}.py").write_text(evil.MODULE.format(mark=str(mark)))
    asked = "import sys; from specprof.cli import main; sys.argv[1:] = sys.argv[1:]; main()"
    kept = tmp_path / "kept"
    kept.mkdir()
    script = kept / "specprof"  # as pip installs it: its own folder is the first looked in
    script.write_text(asked)
    capture = captures.write(kept / "run.jsonl", captures.events(context=200, stops=1))
    header, _, rest = capture.read_bytes().partition(b"\n")
    header = header.replace(b'"backend":"synthetic"', b'"backend":"native"')
    capture.write_bytes(header + b"\n" + rest)
    given = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    ended = subprocess.run(
        [sys.executable, script, "diagnose", capture, "--probe", "self-draft"],
        cwd=place, env=given, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert not mark.exists(), mark.read_text()
    assert ended.returncode == 0, ended.stderr
    assert (kept / "run.jsonl.probes" / "self-draft.jsonl").exists()


@pytest.mark.parametrize("there", [True, False])
def test_a_link_in_a_sweeps_folder_is_not_followed(place, mark, typed, there):
    """A run's file that leads elsewhere: refused before anything, and left alone."""
    folder, outside = place / "evil-sweep", mark.with_name("outside")
    waiting(folder)
    index = json.loads((folder / "sweep.json").read_text())
    settings = index["runs"][0]["spec"]["settings"]
    settings |= {"target": "pocket/target", "trust_remote_code": False, "backend": "synthetic"}
    (folder / "sweep.json").write_text(json.dumps(index))
    if there:
        outside.write_text("precious")
    (folder / index["runs"][0]["file"]).symlink_to(outside)
    refused(typed("run", "--resume", "evil-sweep"), "is a link, to", str(outside))
    assert outside.exists() == there
    assert not there or outside.read_text() == "precious"


def test_a_planted_part_of_an_index_is_not_written_into(place, mark, typed):
    """Nothing of a fixed name is used on the way to a whole index."""
    folder, outside = place / "evil-sweep", mark.with_name("outside")
    waiting(folder)
    index = json.loads((folder / "sweep.json").read_text())
    settings = index["runs"][0]["spec"]["settings"]
    settings |= {"target": "pocket/target", "trust_remote_code": False, "backend": "synthetic"}
    settings |= {"context": 200, "stops": 1}
    (folder / "sweep.json").write_text(json.dumps(index))
    outside.write_text("precious")
    (folder / ".sweep.json.part").symlink_to(outside)
    code, _, said = typed("run", "--resume", "evil-sweep")
    assert code == 0, said
    assert outside.read_text() == "precious"
    assert (folder / index["runs"][0]["file"]).is_file()


def test_an_index_that_names_no_probe_is_refused(place, typed):
    """Before anything runs; its place in a run's settings is not what is wrong with it."""
    folder = place / "evil-sweep"
    index = json.loads((folder / "sweep.json").read_text())
    for run in index["runs"]:
        run["spec"]["settings"] |= {"trust_remote_code": False, "target": "pocket/target"}
    index["profile"]["probes"] = ["auto", "../../x"]
    (folder / "sweep.json").write_text(json.dumps(index))
    waiting(folder)
    code, _, said = typed("run", "--resume", "evil-sweep", "--allow", "models/evil")
    assert code == 2
    assert "no probe is called '../../x'" in said


@pytest.mark.parametrize(
    "file", ["../out.jsonl", "/etc/out.jsonl", "a/b.jsonl", "..", "x.txt", "a\0.jsonl", "a\n.jsonl"]
)
def test_an_index_names_files_of_its_own_folder(place, typed, file):
    """Exit code 5, and one line."""
    index = json.loads((place / "evil-sweep" / "sweep.json").read_text())
    index["runs"][0]["file"] = file
    (place / "evil-sweep" / "sweep.json").write_text(json.dumps(index))
    code, _, said = typed("run", "--resume", "evil-sweep")
    assert code == 5
    assert "names a file outside" in said


def test_a_probes_folder_that_came_along_leads_nowhere(place, mark, typed, monkeypatch):
    """A linked folder, or a linked file in it, beside a capture that may be probed."""
    from specprof.cli import _probe

    started = []
    monkeypatch.setattr(_probe.subprocess, "run", lambda *a, **_: started.append(a))
    capture = captures.write(place / "a.jsonl", captures.events())
    text = capture.read_bytes().replace(b'"backend":"synthetic"', b'"backend":"native"', 1)
    capture.write_bytes(text)
    outside = mark.with_name("outside")
    outside.mkdir()
    (place / "a.jsonl.probes").symlink_to(outside)
    code, shown, said = typed("diagnose", "a.jsonl", "--probe", "self-draft")
    assert code == 0, said
    assert "it is a link, to" in shown
    (place / "a.jsonl.probes").unlink()
    (place / "a.jsonl.probes").mkdir()
    (place / "a.jsonl.probes" / "self-draft.jsonl").symlink_to(outside / "x")
    code, shown, said = typed("diagnose", "a.jsonl", "--probe", "self-draft")
    assert "it is a link, to" in shown
    assert started == []
    assert list(outside.iterdir()) == []


def test_a_profiles_name_stays_in_the_folder(place, typed):
    """It becomes a part of a file's name, whatever it holds; the sweep's cells lie inside."""
    code, _, said = typed("run", "--no-tui", "--profile", "trav.toml")
    assert code == 0, said
    (made,) = place.glob("specprof-*")
    assert made.name.startswith("specprof-w-esc-..-trav-")
    assert made.is_dir()
    assert not list(place.parent.rglob("trav-*"))


def test_a_log_is_not_written_through_a_link(tmp_path):
    """`run.jsonl.log` beside a capture may have been put there."""
    from specprof import writing
    from specprof.errors import UsageError

    (tmp_path / "run.jsonl.log").symlink_to(tmp_path / "outside")
    with pytest.raises(UsageError, match="it is a link"):
        writing.open_fresh(tmp_path / "run.jsonl.log")
    assert not (tmp_path / "outside").exists()
