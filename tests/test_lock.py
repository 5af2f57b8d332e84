"""The lock pins all that the README's commands install, except torch and its CUDA packages."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
PINS = [Requirement(line) for line in LOCK.splitlines() if line.strip() and line[0] not in "# "]
MINORS = [
    line.rpartition(" ")[2]
    for line in PROJECT["project"]["classifiers"]
    if re.search(r"Python :: 3\.\d+$", line)
]
MACHINES = [("linux", "x86_64"), ("linux", "aarch64"), ("darwin", "arm64")]
PLACES = [(minor, *machine) for minor in MINORS for machine in MACHINES]
CUDA = re.compile(r"torch|triton|cuda-.*|nvidia-(?!ml-py$).*")


def environment(minor: str, system: str, machine: str) -> dict[str, str]:
    """Return the values that a marker may test at a place."""
    return {
        "python_version": minor,
        "python_full_version": f"{minor}.7",
        "implementation_version": f"{minor}.7",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "sys_platform": system,
        "platform_system": system.capitalize(),
        "platform_machine": machine,
        "os_name": "posix",
    }


def pins_at(place: tuple[str, str, str]) -> dict[str, Version]:
    """Return the version of each package that is locked at a place."""
    here = environment(*place)
    lines = [one for one in PINS if one.marker is None or one.marker.evaluate(here)]
    found = {canonicalize_name(one.name): Version(str(one.specifier)[2:]) for one in lines}
    assert len(found) == len(lines), "a package has two versions"
    return found


def asked(project: dict) -> list[Requirement]:
    """Return the requirements of pyproject.toml: to run, of every extra, and to build."""
    extras = project["project"]["optional-dependencies"].values()
    lines = [*project["project"]["dependencies"], *project["build-system"]["requires"]]
    return [Requirement(line) for line in (*lines, *(line for extra in extras for line in extra))]


def stale(project: dict, place: tuple[str, str, str]) -> list[str]:
    """Return a line for each dependency that the lock lacks or pins outside its range."""
    pins = pins_at(place)
    lines = []
    for wanted in asked(project):
        name = canonicalize_name(wanted.name)
        applies = wanted.marker is None or wanted.marker.evaluate(environment(*place))
        if name == "torch" or not applies:
            continue
        if name not in pins or not wanted.specifier.contains(pins[name], prereleases=True):
            lines.append(f"pyproject.toml wants {wanted}, requirements.lock has {pins.get(name)}")
    return lines and [*lines, "The lock is stale. Renew it: .ci/lock"]


@pytest.mark.parametrize("place", PLACES, ids="-".join)
def test_every_dependency_is_locked_within_its_range(place):
    """Each requirement of pyproject.toml has one version at every promised place."""
    assert not stale(PROJECT, place), "\n".join(stale(PROJECT, place))


@pytest.mark.parametrize("line", ["rich>=999", "no-such-package"])
def test_a_stale_lock_names_the_command_that_renews_it(line):
    """It is stale after a range moved away, or a dependency was added."""
    changed = {**PROJECT, "build-system": {"requires": [line]}}
    told = stale(changed, PLACES[0])
    assert line in told[0]
    assert ".ci/lock" in told[-1]
    assert (ROOT / ".ci" / "lock").exists()


def test_a_pin_is_one_version_and_nothing_more():
    """It has no range, address or hash: pip refuses hashes when it installs a folder."""
    for one in PINS:
        assert re.fullmatch(r"==[^,*]+", str(one.specifier)), one
        assert one.url is None
        assert not one.extras
    assert "--" not in LOCK


def test_torch_and_its_cuda_are_not_locked():
    """GPU users choose their build of torch; without a GPU no CUDA package is fetched."""
    assert not [one.name for one in PINS if CUDA.fullmatch(one.name)]


def test_the_places_are_those_promised():
    """The package requires the oldest Python, and the lock's head has the tested versions."""
    assert PROJECT["project"]["requires-python"] == f">={MINORS[0]}"
    head = [line for line in LOCK.splitlines() if line.startswith("#")]
    assert f"CPython {MINORS[0]} to {MINORS[-1]}" in " ".join(head)
    assert "resolved and not run" in " ".join(head)
