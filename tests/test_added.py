"""A user's broken additions are named once and left out; everything else works as without them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import captures
from specprof.capture_writer import CaptureWriter

RULE = '''"""{doc}"""
from specprof.extend import Rule
from specprof.findings import Clear


class Mine(Rule):
    family = {family}

    def judge(self, evidence):
        {judge}
'''
CLEAR = 'return Clear(detectable="anything")'


def rule(judge=CLEAR, family='"bug"', doc="Looks at nothing."):
    return RULE.format(judge=judge, family=family, doc=doc)


BROKEN = {
    "raises_on_import": 'raise RuntimeError("at import")\n',
    "exits_on_import": "import sys\nsys.exit(0)\n",
    "needs_what_is_absent": "import a_package_nobody_has\n",
    "no_syntax": "def :\n",
    "no_class": '"""Nothing."""\n',
    "two_classes": rule() + "\n\nclass Two(Mine):\n    pass\n",
    "family_unknown": rule(family='"nonsense"'),
    "family_list": rule(family="['bug']"),
    "row_number": rule() + "\n    row = 8.5\n",
    "row_text": rule() + "\n    row = 'first'\n",
    "stage_text": rule() + "\n    stage = 'draft state'\n",
    "stage_number": rule() + "\n    stage = 8\n",
    "begins_badly": rule() + "\n    def __init__(self):\n        raise ValueError('begun')\n",
    "begins_exiting": rule() + "\n    def __init__(self):\n        raise SystemExit(7)\n",
}
CRASHING = {
    "raises": 'raise KeyError("x")',
    "exits": "import sys; sys.exit(0)",
    "returns_none": "return None",
    "returns_text": 'return "Found"',
    "returns_odd_clear": "return Clear(detectable=3)",
    "returns_odd_found": "from specprof.findings import Found; return Found(finding=None)",
}


def specprof(*arguments, path: Path | None = None):
    command = [sys.executable, "-m", "specprof", *map(str, arguments)]
    script = f"import sys; sys.path.insert(0, {str(path)!r}); from specprof.cli import main; main()"
    if path is not None:
        command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module")
def capture(tmp_path_factory):
    path = tmp_path_factory.mktemp("added") / "run.jsonl"
    with CaptureWriter(path) as writer:
        for event in captures.events():
            writer.write(event)
    return path


@pytest.fixture(scope="module")
def plain(capture):
    """Return the diagnosis without anything added."""
    return specprof("diagnose", capture, "--json")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Write a folder with broken rules, a good rule, a broken probe and a stray file."""
    place = tmp_path_factory.mktemp("folder")
    (place / "rules").mkdir()
    (place / "probes").mkdir()
    for name, content in BROKEN.items():
        (place / "rules" / f"{name}.py").write_text(content)
    for name, judge in CRASHING.items():
        (place / "rules" / f"{name}.py").write_text(rule(judge))
    (place / "rules" / "good.py").write_text(rule())
    (place / "rules" / "no_docstring.py").write_text(rule().partition("\n")[2])
    (place / "rules" / "folder.py").mkdir()
    (place / "probes" / "raises.py").write_text("raise RuntimeError('at import')\n")
    return place


def installed(place: Path, **entries: str) -> Path:
    """Write the files of an installed package that names these entry points."""
    facts = place / "theirs-1.dist-info"
    facts.mkdir(parents=True)
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1\n")
    lines = [f"{name} = {value}\n" for name, value in entries.items()]
    (facts / "entry_points.txt").write_text("[specprof.plugins]\n" + "".join(lines))
    return place


def test_broken_rules_are_left_out_and_the_rest_judges_as_ever(capture, plain, folder):
    """The exit code, the sentence and every verdict of the package's own rules stay the same."""
    done = specprof("diagnose", capture, "--json", "--plugins", folder)
    assert done.returncode == plain.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    ours, theirs = (json.loads(each.stdout)["diagnoses"][0] for each in (plain, done))
    assert theirs["sentence"] == ours["sentence"]
    verdicts = {each["rule"]: each for each in theirs["verdicts"]}
    for each in ours["verdicts"]:
        assert verdicts.pop(each["rule"]) == each
    assert set(verdicts) == {name.replace("_", "-") for name in CRASHING} | {"good", "no-docstring"}
    for name in CRASHING:
        assert verdicts[name.replace("_", "-")]["outcome"] == "crashed"


@pytest.mark.parametrize("name", BROKEN)
def test_each_broken_rule_is_named_once(capture, folder, name):
    """A line names each one's file and what is wrong."""
    told = _told(capture, folder)
    lines = [line for line in told if f"{name}.py" in line]
    assert len(lines) == 1, told
    assert lines[0].startswith("specprof: left out: the rule ")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("row_number", "it declares row 8.5, not used now: declare a stage, as Stage.DRAFT_STATE"),
        ("stage_text", "its stage is 'draft state', and it must be one of Stage.CAPTURE, "),
    ],
)
def test_what_stands_nowhere_in_the_decision_table_is_told_what_to_write(
    capture, folder, name, said
):
    """The advice is in the error's one line, because only that line is printed."""
    (line,) = [line for line in _told(capture, folder) if f"{name}.py" in line]
    assert said in line


_said: dict[Path, list[str]] = {}


def _told(capture, folder):
    if folder not in _said:
        done = specprof("diagnose", capture, capture, "--plugins", folder)
        _said[folder] = done.stderr.splitlines()
    return _said[folder]


def test_a_plug_in_folder_that_is_none_is_refused(capture, tmp_path):
    """The exit code is 2, and the error says what such a folder holds."""
    for place, said in (
        (tmp_path / "nosuch", "there is no folder"),
        (capture, "there is no folder"),
        (tmp_path, "adds nothing"),
    ):
        done = specprof("diagnose", capture, "--plugins", place)
        assert done.returncode == 2
        assert said in done.stderr
        assert "rules/" in done.stderr


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("a_package_nobody_has", "there is no module a_package_nobody_has"),
        ("a_package_nobody_has.inner:attribute", "there is no module"),
        ("json", "holds no folder of members"),
        ("json.decoder", "holds no folder of members"),
        ("no such value!", "left out"),
        ("theirs.nothing", "there is no module theirs.nothing"),
    ],
)
def test_an_entry_point_that_leads_nowhere_is_named_and_skipped(tmp_path, value, said):
    """`list` and `explain` name it once on stderr, and go on with the others' members."""
    place = installed(tmp_path, bad=value, good="theirs")
    (place / "theirs" / "exporters").mkdir(parents=True)
    (place / "theirs" / "__init__.py").write_text("raise SystemExit(9)\n")
    (place / "theirs" / "exporters" / "theirs_format.py").write_text('"""Theirs."""\n')
    listed = specprof("list", path=place)
    assert listed.returncode == 0
    assert "theirs-format" in listed.stdout
    assert "Traceback" not in listed.stderr
    assert len(listed.stderr.splitlines()) == 1
    assert said in listed.stderr
    explained = specprof("explain", "theirs-format", path=place)
    assert (explained.returncode, explained.stdout) == (0, "theirs-format: Theirs.\n")


def test_a_package_that_exits_on_import_adds_its_members_all_the_same(tmp_path, capture, plain):
    """Its folders are found without importing it, below a package that raises too."""
    place = installed(tmp_path, inner="theirs.inner")
    rules = place / "theirs" / "inner" / "rules"
    rules.mkdir(parents=True)
    for each in (place / "theirs", rules.parent):
        (each / "__init__.py").write_text("raise SystemExit(9)\n")
    (rules / "inner_good.py").write_text(rule())
    (rules / "inner_bad.py").write_text("import theirs\n")
    done = specprof("diagnose", capture, "--json", path=place)
    assert done.returncode == 0, done.stderr
    assert "it called sys.exit(9)" in done.stderr
    assert "inner-good" in done.stdout
    sentences = [json.loads(each.stdout)["diagnoses"][0]["sentence"] for each in (plain, done)]
    assert sentences[0] == sentences[1]


EXPORTER = '''"""Odd."""
import sys
from specprof.extend import Exporter


class Odd(Exporter):
    suffix, viewer = ".odd", "nothing"

    def write(self, capture, path):
        {body}
'''


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("sys.exit(0)", "the exporter odd failed: it called sys.exit(0)"),
        ("raise KeyError('x')", "the exporter odd failed: KeyError: 'x'"),
        ("pass", "nothing was written"),
    ],
)
def test_an_exporter_that_fails_is_named(tmp_path, capture, body, said):
    """The exit code is 1, whatever code it asked for, and no file is left behind."""
    place = installed(tmp_path, odd="theirs")
    (place / "theirs" / "exporters").mkdir(parents=True)
    (place / "theirs" / "__init__.py").touch()
    (place / "theirs" / "exporters" / "odd.py").write_text(EXPORTER.format(body=body))
    done = specprof("export", "odd", capture, "-o", tmp_path / "out.odd", path=place)
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out.odd").exists()


BACKEND = '''"""Ends early."""
import sys
from specprof.backends.synthetic import Synthetic


class Early(Synthetic):
    def run(self, spec, command):
        yield next(iter(super().run(spec, command)))
        sys.exit(0)
'''


def test_a_member_that_exits_does_not_end_a_run_as_if_it_were_done(tmp_path):
    """`sys.exit(0)` in a backend is a failed run: exit code 1, and the error names the member."""
    place = installed(tmp_path, early="theirs")
    (place / "theirs" / "backends").mkdir(parents=True)
    (place / "theirs" / "__init__.py").touch()
    (place / "theirs" / "backends" / "early.py").write_text(BACKEND)
    out = tmp_path / "run.jsonl"
    done = specprof("run", "--no-tui", "--backend", "early", "-o", out, path=place)
    assert done.returncode == 1
    assert "called sys.exit(0)" in done.stderr
    assert "Traceback" not in done.stderr
