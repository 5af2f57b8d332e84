"""The messages of the workers to the app; workers post messages and change nothing else."""

from collections.abc import Callable
from dataclasses import dataclass

from textual.message import Message

from specprof.diagnosis.diagnose import Diagnosis
from specprof.errors import SpecprofError
from specprof.tui.follow import Reading


@dataclass
class Advanced(Message):
    """A further part of the capture has been read."""

    reading: Reading


@dataclass
class Judged(Message):
    """The rules have judged the first `rounds` rounds of the recording."""

    diagnosis: Diagnosis
    rounds: int


@dataclass
class Spelled(Message):
    """The text of the target's tokens is known, or known to be missing on this machine."""

    token_text: Callable[[int], str]


@dataclass
class Unreadable(Message):
    """The file is no capture."""

    trouble: SpecprofError


@dataclass
class Filtered(Message):
    """The user filters tokens and findings by a text."""

    needle: str
