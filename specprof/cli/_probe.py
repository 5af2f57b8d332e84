"""Runs probes for `diagnose`: each in a process of its own, its capture kept beside the original.

The engine is never loaded here; a probe's run is a `specprof run` with every setting named.
"""

import math
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from specprof.errors import INTERRUPTED, SpecprofError, UsageError

if TYPE_CHECKING:
    from specprof.analysis.evidence import Evidence
    from specprof.diagnosis import Diagnosis
    from specprof.diagnosis.probing import Choice
    from specprof.settings import Settings


def probed(
    diagnosis: "Diagnosis",
    evidence: "Evidence",
    asked: str,
    budget_s: float | None,
    also: Sequence[Path] = (),
) -> "Diagnosis":
    """Return the diagnosis after the probes asked for, by commas; `auto`: those it hangs on."""
    from specprof.diagnosis import probing

    names = [name.strip() for name in asked.split(",")]
    budget_s = math.inf if budget_s is None else budget_s
    beside = Path(evidence.name + ".probes")
    return probing.judged(
        diagnosis, evidence, names, _player(beside), budget_s=budget_s, told=_told, also=also
    )


def _told(choice: "Choice") -> None:
    runs = f"{len(choice.settings)} run{'s' if len(choice.settings) > 1 else ''}"
    line = f"probe {choice.name}: {runs}, about {choice.seconds:.0f} s: {choice.why}\n"
    sys.stderr.write(line)
    sys.stderr.flush()


def _player(folder: Path) -> "Callable[[str, Settings], Evidence]":
    """Return what makes one run, and keeps its capture in `folder` as NAME.jsonl, NAME-2.jsonl."""
    counts: dict[str, int] = {}

    def played(name: str, settings: "Settings") -> "Evidence":
        counts[name] = counts.get(name, 0) + 1
        number = f"-{counts[name]}" if counts[name] > 1 else ""
        path = folder / f"{name}{number}.jsonl"
        _run(settings, path)
        return _evidence(path)

    return played


def _run(settings: "Settings", path: Path) -> None:
    """Make one run in a child process; its narration is passed on."""
    try:
        path.parent.mkdir(exist_ok=True)
    except OSError as trouble:
        title = f"can't write {path.parent}: {trouble.strerror}"
        raise UsageError(title, "probes are kept beside the capture: copy it elsewhere") from None
    command = [sys.executable, "-m", "specprof", "run", "--no-tui", "--force", "-o", str(path)]
    command += [each for line in written(settings) for each in ("--set", line)]
    quiet = subprocess.DEVNULL  # a single run says nothing on stdout
    ended = subprocess.run(command, stdin=quiet, stdout=quiet, check=False)  # noqa: S603 - our own
    if ended.returncode < 0 or ended.returncode == INTERRUPTED:
        raise KeyboardInterrupt
    if ended.returncode:
        title = f"it ended with code {ended.returncode}"
        raise SpecprofError(title, "what it said is above")


def written(settings: "Settings") -> list[str]:
    """Return FIELD=VALUE for every setting, as `--set` reads it; an empty value is None."""
    fields = {field: getattr(settings, field) for field in settings.__struct_fields__}
    return [f"{field}={_text(value)}" for field, value in fields.items()]


def _text(value: object) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _evidence(path: Path) -> "Evidence":
    from specprof.analysis.columns import Columns
    from specprof.analysis.evidence import Evidence
    from specprof.capture import read_capture

    capture, columns = read_capture(path), Columns()
    columns.feed([capture.header, *capture.events])
    return Evidence(columns, name=str(path), damaged=capture.damaged)
