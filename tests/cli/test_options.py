"""Options that come from settings: their help as it was written by hand, and what each leads to."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize("command", ["run", "bench"])
def test_every_option_keeps_its_place_name_default_and_text(command):
    """The whole help is compared, at 100 columns, with the one kept beside this test."""
    line = [sys.executable, "-m", "specprof", command, "--help"]
    environment = os.environ | {"COLUMNS": "100"}
    shown = subprocess.run(line, capture_output=True, check=True, text=True, env=environment)
    assert shown.stdout == (GOLDEN / f"{command}-help.txt").read_text(encoding="utf-8")
