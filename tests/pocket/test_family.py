"""The embedded family's members by name."""

import pytest

from specprof import pocket
from specprof.errors import UnknownName


@pytest.mark.parametrize("name", [*pocket.members(), *pocket.heads()])
def test_a_member_lies_in_the_package(name):
    """With its config."""
    assert (pocket.folder(name) / "config.json").is_file()


@pytest.mark.parametrize("path", ["../{}", "/{}", "./target", "target/", "nosuch", ""])
def test_a_path_is_no_member(tmp_path, path):
    """A name with the family's prefix never leads out of it."""
    (tmp_path / "config.json").write_text("{}")
    up = "/".join([".."] * 40)
    for asked in (path.format(tmp_path), path.format(f"{up}{tmp_path}")):
        with pytest.raises(UnknownName):
            pocket.folder(pocket.PREFIX + asked)
