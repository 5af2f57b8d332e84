"""The registry finds everything that is added."""

import subprocess
import sys

import pytest

from specprof import extend, registry
from specprof.errors import SpecprofError, UnknownName

EXPORTER = '''"""Writes nothing much."""
from specprof.extend import Exporter


class Mine(Exporter):
    suffix = ".mine"
    viewer = "nothing"

    def write(self, capture, path):
        path.write_text("mine")
'''


@pytest.fixture
def added(tmp_path):
    """Return a function that adds a file to the user's own folder."""

    def add(name: str, content: str):
        (tmp_path / "exporters").mkdir(exist_ok=True)
        (tmp_path / "exporters" / f"{name}.py").write_text(content)
        return registry.member("exporter", name.replace("_", "-"), also=[tmp_path])

    yield add
    for name in [name for name in sys.modules if name.startswith("specprof_plugin_exporter_my")]:
        del sys.modules[name]


def test_one_file_is_a_member(added):
    """A file in a folder named like its kind has its stem as name, and loads to its one class."""
    member = added("my_format", EXPORTER)
    assert (member.name, member.summary) == ("my-format", "Writes nothing much.")
    assert registry.load(extend.Exporter, member).suffix == ".mine"


def test_listing_imports_nothing(added):
    """A file that fails on import is still listed with its summary."""
    member = added("my_broken", '"""Broken."""\nraise RuntimeError("at import")\n')
    assert member.summary == "Broken."
    with pytest.raises(SpecprofError, match="can't be imported: at import"):
        registry.load(extend.Exporter, member)


@pytest.mark.parametrize(
    ("content", "found"),
    [('"""Nothing."""\n', "none"), (EXPORTER + "\n\nclass Two(Mine):\n    pass\n", "Mine, Two")],
)
def test_a_file_must_add_exactly_one_class(added, content, found):
    """The error names the file and the classes in it."""
    with pytest.raises(SpecprofError, match=f"must define one Exporter; found {found}"):
        registry.load(extend.Exporter, added("my_odd", content))


def test_a_built_in_name_can_t_be_taken(added):
    """The user's own folder does not replace a built-in member."""
    assert added("chrome", EXPORTER).path.is_relative_to(registry.PACKAGE)


def test_a_file_of_wrong_syntax_does_not_hide_the_others(added):
    """Its summary says what is wrong; every other member is still listed."""
    assert "syntax" in added("my_typo", "def :\n").summary


def test_an_unknown_name_lists_the_known_nearest_first():
    """A typing error is answered with the right name."""
    with pytest.raises(UnknownName) as refusal:
        registry.member("exporter", "speedscop")
    assert refusal.value.hint.startswith("known: speedscope,")


def test_an_entry_point_s_folders_are_searched(tmp_path, monkeypatch):
    """An installed package joins by naming a module that holds such folders."""
    package = tmp_path / "theirs"
    (package / "exporters").mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('listing imports nothing')\n")
    (package / "exporters" / "my_theirs.py").write_text(EXPORTER)
    facts = tmp_path / "theirs-1.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1\n")
    (facts / "entry_points.txt").write_text("[specprof.plugins]\ntheirs = theirs\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert "my-theirs" in registry.members("exporter")


def test_finding_loads_nothing_heavy():
    """Names come from files, so a list needs no torch, numpy, scipy or textual."""
    code = (
        "import sys; from specprof import registry\n"
        "for kind in registry.FOLDERS: [m.summary for m in registry.members(kind).values()]\n"
        "print([n for n in ('torch', 'numpy', 'scipy', 'textual') if n in sys.modules])"
    )
    told = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert told.stdout.strip() == "[]"


def test_a_name_by_topic_is_found_with_a_dash_too(tmp_path):
    """A fault lies in a folder by topic; its old name, with a dash, still finds it."""
    (tmp_path / "faults" / "mine").mkdir(parents=True)
    path = tmp_path / "faults" / "mine" / "odd_one.py"
    path.write_text('"""Breaks nothing."""\n')
    (tmp_path / "exporters" / "mine").mkdir(parents=True)
    (tmp_path / "exporters" / "mine" / "odd_one.py").write_text('"""Of a kind without topics."""\n')
    found = registry.member("fault", "mine/odd-one", also=[tmp_path])
    assert (found.name, found.path) == ("mine/odd-one", path)
    assert registry.member("fault", "mine-odd-one", also=[tmp_path]) == found
    assert "mine/odd-one" not in registry.members("exporter", also=[tmp_path])
