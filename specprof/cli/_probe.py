"""Runs probes for `diagnose` and after a profile's runs: each in a process of its own.

A probe's captures are kept beside the original.

The engine is never loaded here; a probe's run is a `specprof run` with every setting named.
"""

import math
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from specprof import writing
from specprof.endings import close, lifeline
from specprof.errors import INTERRUPTED, SpecprofError, UsageError
from specprof.narration import tell
from specprof.plain import plain

if TYPE_CHECKING:
    from specprof.analysis.evidence import Evidence
    from specprof.diagnosis import Diagnosis
    from specprof.diagnosis.diagnose import Verdict
    from specprof.diagnosis.probing import Choice
    from specprof.settings import Settings
    from specprof.trust import Allowed


GRACE_S = 10.0
"""A run on a busy machine may take twice what is left of the budget, and so much more."""


def probed(
    diagnosis: "Diagnosis",
    evidence: "Evidence",
    asked: str,
    budget_s: float | None,
    *,
    allowed: "Allowed",
    also: Sequence[Path] = (),
) -> "Diagnosis":
    """Return the diagnosis after the probes asked for, by commas; `auto`: those it hangs on.

    A capture may be anybody's: raises UsageError where a probe would load what isn't `allowed`.
    """
    from specprof.diagnosis import probing
    from specprof.trust import check

    names = [name.strip() for name in asked.split(",")]
    budget_s = math.inf if budget_s is None else budget_s

    def told(choice: "Choice") -> None:
        check(evidence.name, choice.settings, allowed)
        _told(choice)

    player = _player(Path(evidence.name + ".probes"), time.monotonic() + budget_s)
    after = probing.judged(
        diagnosis, evidence, names, player, budget_s=budget_s, told=told, also=also
    )
    if not any(verdict.probe for verdict in after.verdicts):
        _say(f"probe {asked}: none made; {probing.idle(diagnosis, evidence, also)}")
    return after


def follow_up(names: Sequence[str], path: Path, settings: "Settings") -> None:
    """Make a profile's probes of a capture just written; say on stderr what they came to.

    The capture is of a run of the user's own, which had these `settings`: what they name may be
    loaded again, and nothing else. A run that drafted nothing is left alone; probes that don't
    apply to it are told.
    """
    evidence = _evidence(path) if names else None
    if evidence is None or not evidence.columns.rounds.drafted.any():
        return
    from specprof.diagnosis import diagnose, probing
    from specprof.trust import Allowed, check

    def told(choice: "Choice") -> None:
        check(path, choice.settings, Allowed.by(settings))
        _told(choice)

    names = list(dict.fromkeys(names))
    fits = probing.fitting(names, evidence)
    for name in names:
        if name not in fits:
            _say(f"probe {name}: not made; this run's settings rule it out")
    player = _player(Path(f"{path}.probes"))
    diagnosis = probing.judged(diagnose(evidence), evidence, fits, player, told=told)
    for verdict in diagnosis.verdicts:
        if verdict.probe:
            _say(f"probe {verdict.rule}: {_came_to(verdict)}")
    _say(diagnosis.sentence)


def _came_to(verdict: "Verdict") -> str:
    from specprof.findings import Clear, Found, Unknown

    match verdict.outcome:
        case Found(finding=finding):
            return f"{verdict.family}: {finding.message}"
        case Clear(detectable=detectable):
            return f"nothing found; it would have shown from {detectable}"
        case Unknown(reason=reason):
            return f"unknown: {reason}"
        case crashed:
            return f"the probe itself broke: {crashed.error}"


def _told(choice: "Choice") -> None:
    runs = f"{len(choice.settings)} run{'s' if len(choice.settings) > 1 else ''}"
    _say(f"probe {choice.name}: {runs}, about {choice.seconds:.0f} s: {choice.why}")


def _say(line: str) -> None:
    tell(plain(line))


def _player(folder: Path, ends_s: float = math.inf) -> "Callable[[str, Settings], Evidence]":
    """Return what makes one run, and keeps its capture in `folder` as NAME.jsonl, NAME-2.jsonl.

    The budget ends at `ends_s` of the monotonic clock. What a run should take was estimated from a
    capture, and that may say anything.
    """
    counts: dict[str, int] = {}

    def played(name: str, settings: "Settings") -> "Evidence":
        counts[name] = counts.get(name, 0) + 1
        number = f"-{counts[name]}" if counts[name] > 1 else ""
        path = folder / f"{name}{number}.jsonl"
        left_s = max(ends_s - time.monotonic(), 0.0)
        _run(settings, path, 2 * left_s + GRACE_S)
        return _evidence(path)

    return played


def _run(settings: "Settings", path: Path, limit_s: float) -> None:
    """Make one run in a child process, within `limit_s`; its narration is passed on."""
    try:
        writing.make_folder(path.parent)
        writing.check_room(path, overwrite=True)
    except UsageError as refused:
        hint = "probes are kept beside the capture: copy it elsewhere"
        raise UsageError(refused.title, hint) from None
    command = [sys.executable, "-m", "specprof", "run", "--no-tui", "--force", "-o", str(path)]
    command += [each for line in written(settings) for each in ("--set", line)]
    quiet = subprocess.DEVNULL  # a single run says nothing on stdout
    with lifeline("the diagnosis it was made for was killed") as tied:
        try:
            child = subprocess.Popen(command, stdin=quiet, stdout=quiet, **tied)  # noqa: S603 - our own
        except (OSError, ValueError) as trouble:  # a setting out of a file that is no argument
            title = f"it can't be started: {trouble}"
            raise SpecprofError(title, "record the capture again") from None
        try:
            code = child.wait(None if math.isinf(limit_s) else limit_s)
        except subprocess.TimeoutExpired:
            close(child)
            child.kill()  # nothing where it has ended
            title = f"it was stopped after {limit_s:.0f} s, for the budget is over"
            raise SpecprofError(title, "raise --budget, or leave it out for no bound") from None
        finally:
            close(child)
    if code < 0 or code == INTERRUPTED:
        raise KeyboardInterrupt
    if code:
        raise SpecprofError(f"it ended with code {code}", "what it said is above")


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
    columns.damaged, columns.torn = capture.damaged, capture.torn
    columns.feed([capture.header, *capture.events])
    return Evidence(columns, name=str(path))
