"""Members' capabilities are read from their files as Python would see them, or refused by name."""

import ast
import subprocess
import sys
import time

import pytest

from specprof import extend, limits, registry
from specprof.capabilities import capability, has_distribution, known_capability
from specprof.errors import SpecprofError, UsageError
from specprof.settings import Settings

READ = {
    "acceptance": ["trees"],
    "shape": ["tree"],
    "depth": ["deepest"],
    "drafter": ["refed", "distribution"],
}
"""Kind -> the class variables that are read from source."""
MEMBERS = [(kind, name) for kind in READ for name in registry.members(kind)]
HEAD = '"""Mine."""\n'
REJECTION = "from specprof.acceptance.rejection import Rejection\n"
ON = f"{REJECTION}ON = True\n"


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Write a plug-in's acceptance rule; `mine` is its name."""
    (tmp_path / "acceptance").mkdir()
    monkeypatch.setattr(registry, "_entry_point_folders", lambda _: [tmp_path])
    monkeypatch.delitem(sys.modules, "specprof_plugin_acceptance_mine", raising=False)

    def write(content, name="mine"):
        path = tmp_path / "acceptance" / f"{name}.py"
        path.write_text(HEAD + content)
        return path

    yield write
    sys.modules.pop("specprof_plugin_acceptance_mine", None)


@pytest.mark.parametrize(("kind", "name"), MEMBERS)
def test_what_is_read_of_a_member_is_what_its_class_says(kind, name):
    """It holds for every built-in member, inherited or its own."""
    base = next(
        each for each in vars(extend).values() if getattr(each, "member_kind", None) == kind
    )
    for what in READ[kind]:
        assert capability(kind, name, what) == getattr(registry.get(base, name), what)


@pytest.mark.parametrize(
    "content",
    [
        REJECTION + "class Mine(Rejection):\n    pass\n",
        REJECTION + "class Mine(Rejection):\n    trees = False\n",
        "from specprof.acceptance import rejection as r\nclass Mine(r.Rejection):\n    pass\n",
        ("import specprof.acceptance.rejection\nclass Mine("
        "specprof.acceptance.rejection.Rejection):\n    trees = False\n"),
        ON + "class Mine(Rejection):\n    trees = not ON\n",
        ON + "class Mine(Rejection):\n    trees = ON\n",
        ON + "class Mine(Rejection):\n    ON = False\n    trees = ON\n",
        ON + "class Mine(Rejection):\n    A = False\n    B = A\n    trees = B\n",
        REJECTION + "from specprof.extend import Acceptance\nclass Base(Acceptance):\n"
        "    trees = False\nclass Mine(Base, Rejection):\n    pass\n",
        REJECTION + "class No:\n    trees = False\nclass Mine(No, Rejection):\n    pass\n",
        REJECTION + "class Top:\n    trees = True\nclass Bare(Top):\n    pass\n"
        "class No(Top):\n    trees = False\n"  # which Python asks before Top
        "class Mine(Bare, No, Rejection):\n    pass\n",
        REJECTION + "from abc import ABC\nclass Mine(Rejection, ABC):\n    pass\n",
        REJECTION + "class Law(dict):\n    pass\nclass Mine(Rejection):\n    pass\n",
        REJECTION + "import torch\nclass Net(torch.nn.Module):\n    pass\n"
        "class Mine(Rejection):\n    pass\n",
    ],
)  # fmt: skip
def test_an_inherited_value_and_a_named_constant_count(written, content):
    """They are read as the imported class has them."""
    written(content)
    assert (
        capability("acceptance", "mine", "trees") == registry.get(extend.Acceptance, "mine").trees
    )


def test_a_base_in_the_plug_in_s_own_folder_is_followed(written, tmp_path, monkeypatch):
    """It can be imported from that folder, as from an installed package."""
    monkeypatch.syspath_prepend(str(tmp_path))
    written(REJECTION + "OFF = False\nclass Base(Rejection):\n    trees = OFF\n", "_base")
    written("from acceptance._base import Base\nclass Mine(Base):\n    pass\n")
    assert not capability("acceptance", "mine", "trees")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (REJECTION + "class Mine(Rejection):\n    trees = bool(1)\n", "`trees` of Mine"),
        (REJECTION + "class Mine(Rejection):\n    trees = 'yes'\n", "`trees` of Mine"),
        (REJECTION + "class Mine(Rejection):\n    if True:\n        trees = False\n", "`trees`"),
        (REJECTION + "class Mine(Rejection):\n    trees = True\n    trees = False\n", "`trees`"),
        (REJECTION + "class Mine(Rejection):\n    trees, joint = False, False\n", "`trees`"),
        (REJECTION + "class Mine(Rejection):\n    @property\n    def trees(self):\n"
         "        return False\n", "`trees`"),
        (REJECTION + "class Mine(Rejection):\n    def __init__(self):\n"
         "        self.trees = False\n", "`trees` of Mine"),
        (REJECTION + "class Mine(Rejection):\n    pass\nMine.trees = False\n", "`trees` of Mine"),
        (ON + "ON = False\nclass Mine(Rejection):\n    trees = ON\n", "`trees` of Mine"),
        (ON + "if ON:\n    ON = False\nclass Mine(Rejection):\n    trees = ON\n", "`trees`"),
        (ON + "from os import *\nclass Mine(Rejection):\n    trees = ON\n", "Rejection"),
        ("from theirs import Base\nclass Mine(Base):\n    pass\n", "what Base is"),
        (REJECTION + "made = lambda: Rejection\nclass Mine(made()):\n    pass\n", "what made"),
        (REJECTION + "def deco(kind):\n    kind.trees = False\n    return kind\n"
         "@deco\nclass Mine(Rejection):\n    pass\n", "what deco is"),
        (REJECTION + "A = B\nB = A\nclass Mine(Rejection):\n    trees = A\n", "in a circle"),
        (REJECTION + "Mine = type('Mine', (Rejection,), {})\n", "defines no class"),
        ("def :\n", "can't be read: "),
        ("(" * 10_000, "can't be read: "),
    ],
)  # fmt: skip
def test_what_can_t_be_read_is_refused_by_name(written, content, said):
    """One line names the file and what to write; the default is never assumed."""
    path = written(content)
    with pytest.raises(UsageError) as raised:
        capability("acceptance", "mine", "trees")
    assert str(path) in raised.value.title
    assert said in raised.value.title
    assert raised.value.hint
    assert known_capability("acceptance", "mine", "trees") is None


def test_a_plug_in_that_inherits_trees_decides_trees(written):
    """It was refused once, as if it couldn't."""
    written(REJECTION + "class Mine(Rejection):\n    pass\n")
    tree = Settings(shape="static-tree", acceptance="mine", temperature=1.0)
    limits.check(tree)


def test_a_file_of_many_classes_is_read_in_proportion(written, monkeypatch):
    """Twice as many classes are twice the work, not four times."""
    looked_at = 0
    really = ast.walk

    def walk(node):
        nonlocal looked_at
        for each in really(node):
            looked_at += 1
            yield each

    monkeypatch.setattr(ast, "walk", walk)
    work = []
    for count in (200, 400):
        classes = "".join(f"class C{i}(Rejection): pass\n" for i in range(count))
        path = written(REJECTION + "SET = 1\n" * count + classes, f"of_{count}")
        looked_at = 0
        assert capability("acceptance", path.stem.replace("_", "-"), "trees") == 1
        work.append(looked_at)
    assert work[1] < 2.2 * work[0]


def test_a_file_that_takes_long_to_parse_is_refused_by_its_size(written):
    """Some MiB would hold up every command that checks settings."""
    path, started = written("x = 1\n" * (4 << 20 >> 3)), time.monotonic()
    with pytest.raises(UsageError) as raised:
        capability("acceptance", "mine", "trees")
    assert time.monotonic() - started < 1
    assert str(path) in raised.value.title
    assert "larger than 131,072 bytes" in raised.value.title
    assert "\n" not in raised.value.title
    assert known_capability("acceptance", "mine", "trees") is None


def test_another_plug_in_s_broken_file_breaks_no_check(written):
    """Only the requested member has to be readable."""
    written("def :\n")
    with pytest.raises(UsageError) as raised:
        limits.check(Settings(shape="static-tree", acceptance="block", temperature=1.0))
    assert "rejection" in raised.value.hint
    assert "mine" not in raised.value.hint


def test_a_drafter_says_whether_it_has_a_distribution():
    """For a drafter that is not installed it is not known."""
    without = {name for name in registry.members("drafter") if not has_distribution(name)}
    assert without == {"ngram", "none"}
    assert has_distribution("nobody-s") is None


def test_an_unknown_member_is_refused_as_ever():
    """The error lists the known members."""
    with pytest.raises(SpecprofError, match="known: "):
        capability("shape", "circle", "tree")


def test_reading_imports_nothing_heavy():
    """Limits are checked before torch is loaded."""
    code = (
        "import sys; from specprof.limits import check; from specprof.settings import Settings\n"
        "check(Settings(shape='static-tree', depth_policy='hf-heuristic'))\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
