"""A warning about our code fails a test; others are listed, or fail it on request."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
OURS = {"ours", "plugin", "shared", "itself", "pointed_at_us", "number"}
FOREIGN = {"foreign", "foreign_beginning_alike", "logged"}


def played(*options):
    """Return the names of the failed tests, and all output."""
    command = [sys.executable, "-m", "pytest", "-rf", *options, "tests/data/warned.py"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    return set(re.findall(r"^FAILED \S+::test_(\w+)", done.stdout, re.MULTILINE)), done.stdout


@pytest.fixture(scope="module")
def ordinary():
    return played()


def test_a_warning_about_our_code_fails_its_test(ordinary):
    """It is raised in our code or points at it, plug-ins and tests too; so are wrong numbers."""
    failed, _ = ordinary
    assert failed == OURS


def test_other_peoples_are_listed_at_the_end(ordinary):
    """The list has their loggers' messages on deprecations too."""
    _, said = ordinary
    listed = said.partition("warnings summary")[2]
    assert "said in somebody.elses" in listed
    assert "LoggedDeprecation: `past` is deprecated" in listed
    assert "the model is large" not in listed


def test_the_drift_form_makes_all_of_them_errors():
    """Deprecations are errors, whether warned of or logged."""
    failed, _ = played("-W", "error")
    assert failed == OURS | FOREIGN
