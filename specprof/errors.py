"""Every error a user can meet, each with a title, a remedy and a documented exit code.

SpecprofError                 1   the run failed
├── UsageError                2   what was asked can't be done as asked
│   └── UnknownName           2   no such profile, drafter, rule, exporter ...
├── EnvironmentMissing        3   a model, a device or a package isn't here
├── DiagnosisFailed           4   `diagnose --fail-on` found what it names
├── CaptureUnreadable         5   not a capture, or one of a newer schema
│   └── CaptureReplaced       5   the capture was overwritten while it was read
└── MissingEvidence           5   the capture holds no answer to the question
"""

import difflib
from collections.abc import Iterable
from typing import ClassVar

from specprof.plain import brief

INTERRUPTED = 130
"""Exit code of a run that was stopped by Ctrl-C; what it recorded is kept."""
MAX_LISTED_NAMES, MAX_NEAREST_NAMES = 40, 12
"""How many known names an error lists: all, or if there are more, only the nearest of them."""
STOPPED = (KeyboardInterrupt, GeneratorExit)
"""Exceptions that are no mistake. Code that catches a plug-in's errors lets them pass."""
MAX_COMPARED_CHARS = 160
"""Characters of a name that are compared with others: a file may hold a name of a megabyte."""
MAX_LINE_CHARS = 300
"""Characters of an error that is shown on one line."""
NOT_FINITE = "logits hold NaN"
"""Part of the title of each error that ends a run because a model's answer is no number."""


class SpecprofError(Exception):
    """Something went wrong that the user can act on: what was asked, what was found, what to do."""

    exit_code: ClassVar[int] = 1

    def __init__(self, title: str, hint: str) -> None:
        super().__init__(title)
        self.title = title
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.title}\n  {self.hint}"


class UsageError(SpecprofError):
    """What was asked can't be done as asked: a bad option, a profile key, an output that exists."""

    exit_code = 2


class UnknownName(UsageError):
    """An unknown name; the message lists the known names, nearest first.

    Of more than `MAX_LISTED_NAMES` names it lists the nearest, and says how many more there are. A
    long name is cut.
    """

    def __init__(self, kind: str, asked: str, known: Iterable[str]) -> None:
        names = sort_by_likeness(asked, known)
        shown = [
            brief(each)
            for each in (names if len(names) <= MAX_LISTED_NAMES else names[:MAX_NEAREST_NAMES])
        ]
        listed = ", ".join(repr(each) if "," in each else each for each in shown)
        more = f", and {len(names) - len(shown)} more" if len(names) > len(shown) else ""
        super().__init__(f"no {kind} is called {brief(asked)!r}", f"known: {listed}{more}")


class EnvironmentMissing(SpecprofError):
    """A model, a device, a tokenizer or an optional package is not here."""

    exit_code = 3


class DiagnosisFailed(SpecprofError):
    """`diagnose --fail-on` was asked to fail on a family of findings, and one was found."""

    exit_code = 4


class CaptureUnreadable(SpecprofError):
    """The file is no capture, or a capture of a schema this version can't read."""

    exit_code = 5


class CaptureReplaced(CaptureUnreadable):
    """The file no longer holds what was read before: it was cut back, or recorded anew."""


class MissingEvidence(SpecprofError):
    """The captures hold no answer to a question; a rule turns this error into Unknown."""

    exit_code = 5


def summarise_error(trouble: BaseException, plain: tuple[type[BaseException], ...] = ()) -> str:
    """Return any error on one line: its kind, and the first line of its text.

    The kind is left out for errors of the types `plain`, whose text says enough. If the first line
    ends with a colon, the second line follows it. A long line is cut.
    """
    if isinstance(trouble, SystemExit):
        return f"it called sys.exit({trouble.code!r})"
    lines = [line.strip() for line in str(trouble).strip().splitlines() if line.strip()]
    said = " ".join(lines[:2] if lines and lines[0].endswith(":") else lines[:1])
    said = said if len(said) <= MAX_LINE_CHARS else said[:MAX_LINE_CHARS] + "..."
    if isinstance(trouble, plain) and said:
        return said
    return f"{type(trouble).__name__}: {said}" if said else type(trouble).__name__


def sort_by_likeness(asked: str, known: Iterable[str]) -> list[str]:
    """Order `known` by likeness to `asked`, the likest first; only the start of a name counts."""
    likeness = difflib.SequenceMatcher(b=asked[:MAX_COMPARED_CHARS].lower())

    def unlike(name: str) -> tuple[float, str]:
        likeness.set_seq1(name[:MAX_COMPARED_CHARS].lower())
        return -likeness.ratio(), name

    return sorted(known, key=unlike)
