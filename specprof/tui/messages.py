"""What the workers tell the app: they post these and touch nothing else."""

from collections.abc import Callable
from dataclasses import dataclass

from textual.message import Message

from specprof.diagnosis.diagnose import Diagnosis
from specprof.errors import SpecprofError
from specprof.tui.follow import Reading


@dataclass
class Advanced(Message):
    """The capture has been read on."""

    reading: Reading


@dataclass
class Judged(Message):
    """The rules have judged the first rounds of the recording."""

    diagnosis: Diagnosis
    rounds: int


@dataclass
class Spelled(Message):
    """The target's vocabulary is known, or known not to be here."""

    token_text: Callable[[int], str]


@dataclass
class Unreadable(Message):
    """The file is no capture."""

    trouble: SpecprofError


@dataclass
class Filtered(Message):
    """The user filters tokens and findings by a text."""

    needle: str
