"""Runs probes for `diagnose` and after the runs of a profile, each run in its own process.

The captures of a probe are kept beside the original capture. This process never loads the engine:
the run of a probe is a `specprof run` with every setting named.
"""

import math
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from specprof import writing
from specprof.endings import close_child, open_lifeline
from specprof.errors import INTERRUPTED, SpecprofError, UsageError
from specprof.narration import narrate
from specprof.plain import plain

if TYPE_CHECKING:
    from specprof.analysis.evidence import Evidence
    from specprof.diagnosis import Diagnosis
    from specprof.diagnosis.probing import Choice
    from specprof.diagnosis.verdict import Verdict
    from specprof.settings import Settings
    from specprof.trust import Allowed


GRACE_S = 10.0
"""Added to the limit of a run, which is twice the rest of the budget: a machine may be busy."""


def run_probes(
    diagnosis: "Diagnosis",
    evidence: "Evidence",
    asked: str,
    budget_s: float | None,
    *,
    allowed: "Allowed",
    also: Sequence[Path] = (),
) -> "Diagnosis":
    """Return the diagnosis after the probes in `asked`, which are separated by commas.

    `auto` stands for the probes that a verdict hangs on. The capture may come from a stranger:
    raises UsageError where a probe would load a model, text or dataset that isn't `allowed`.
    """
    from specprof.diagnosis import probing
    from specprof.trust import check

    names = [name.strip() for name in asked.split(",")]
    budget_s = math.inf if budget_s is None else budget_s

    def announce(choice: "Choice") -> None:
        check(evidence.name, choice.settings, allowed)
        _announce(choice)

    player = _make_player(Path(evidence.name + ".probes"), time.monotonic() + budget_s)
    after = probing.run_probes(
        diagnosis, evidence, names, player, budget_s=budget_s, announce=announce, also=also
    )
    if not any(verdict.probe for verdict in after.verdicts):
        _say(f"probe {asked}: no run made; {probing.explain_idle(diagnosis, evidence, also)}")
    return after


def follow_up(names: Sequence[str], path: Path, settings: "Settings") -> None:
    """Run a profile's probes on a capture just written; print their outcomes on stderr.

    The user made the run with these `settings`. The probes may load the models and texts that the
    settings name, and nothing else. A run that drafted nothing is not probed. Probes that don't
    apply to the run are named on stderr.
    """
    evidence = _read_evidence(path) if names else None
    if evidence is None or not evidence.columns.rounds.drafted.any():
        return
    from specprof.diagnosis import diagnose, probing
    from specprof.trust import Allowed, check

    def announce(choice: "Choice") -> None:
        check(path, choice.settings, Allowed.by(settings))
        _announce(choice)

    names = list(dict.fromkeys(names))
    fits = probing.keep_fitting(names, evidence)
    for name in names:
        if name not in fits:
            _say(f"probe {name}: not run; the settings of this run rule it out")
    player = _make_player(Path(f"{path}.probes"))
    diagnosis = probing.run_probes(diagnose(evidence), evidence, fits, player, announce=announce)
    for verdict in diagnosis.verdicts:
        if verdict.probe:
            _say(f"probe {verdict.rule}: {_describe_outcome(verdict)}")
    _say(diagnosis.sentence)


def _describe_outcome(verdict: "Verdict") -> str:
    from specprof.findings import Clear, Explained, Found, Unknown

    match verdict.outcome:
        case Found(finding=finding) | Explained(finding=finding):
            return f"{verdict.family}: {finding.message}"
        case Clear(detectable=detectable):
            return f"clear; the smallest fault it would have seen: {detectable}"
        case Unknown(reason=reason):
            return f"could not be judged: {reason}"
        case crashed:
            return f"the probe itself failed: {crashed.error}"


def _announce(choice: "Choice") -> None:
    runs = f"{len(choice.settings)} run{'s' if len(choice.settings) > 1 else ''}"
    _say(f"probe {choice.name}: {runs}, about {choice.seconds:.0f} s: {choice.why}")


def _say(line: str) -> None:
    narrate(plain(line))


def _make_player(folder: Path, ends_s: float = math.inf) -> "Callable[[str, Settings], Evidence]":
    """Return a function that makes one run; its captures are `folder`/NAME.jsonl, NAME-2.jsonl ...

    The budget ends at `ends_s` of the monotonic clock, and each run gets a limit from that. The
    estimated time of a run is no limit: it comes from the capture, which may hold any number.
    """
    counts: dict[str, int] = {}

    def play(name: str, settings: "Settings") -> "Evidence":
        counts[name] = counts.get(name, 0) + 1
        number = f"-{counts[name]}" if counts[name] > 1 else ""
        path = folder / f"{name}{number}.jsonl"
        left_s = max(ends_s - time.monotonic(), 0.0)
        _run(settings, path, 2 * left_s + GRACE_S)
        return _read_evidence(path)

    return play


def _run(settings: "Settings", path: Path, limit_s: float) -> None:
    """Make one run in a child process within `limit_s`; its stderr is ours."""
    try:
        writing.make_folder(path.parent)
        writing.check_room(path, overwrite=True)
    except UsageError as refused:
        hint = "captures of probes are kept beside the capture: copy it to another folder"
        raise UsageError(refused.title, hint) from None
    command = [sys.executable, "-m", "specprof", "run", "--no-tui", "--force", "-o", str(path)]
    command += [each for line in as_set_arguments(settings) for each in ("--set", line)]
    quiet = subprocess.DEVNULL  # a single run says nothing on stdout
    with open_lifeline("the diagnosis it was made for was killed") as tied:
        try:
            child = subprocess.Popen(command, stdin=quiet, stdout=quiet, **tied)  # noqa: S603 - our own
        except (OSError, ValueError) as trouble:  # a setting from a file may be no valid argument
            title = f"the run of the probe can't be started: {trouble}"
            raise SpecprofError(title, "record the capture again") from None
        try:
            code = child.wait(None if math.isinf(limit_s) else limit_s)
        except subprocess.TimeoutExpired:
            close_child(child)
            child.kill()  # does nothing to an ended process
            title = f"the run of the probe was stopped after {limit_s:.0f} s: the budget is used up"
            raise SpecprofError(title, "raise --budget, or leave it out to have no limit") from None
        finally:
            close_child(child)
    if code < 0 or code == INTERRUPTED:
        raise KeyboardInterrupt
    if code:
        raise SpecprofError(
            f"the run of the probe ended with code {code}", "its messages are above"
        )


def as_set_arguments(settings: "Settings") -> list[str]:
    """Return FIELD=VALUE for every setting, as `--set` reads it; an empty VALUE stands for None."""
    fields = {field: getattr(settings, field) for field in settings.__struct_fields__}
    return [f"{field}={_text(value)}" for field, value in fields.items()]


def _text(value: object) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _read_evidence(path: Path) -> "Evidence":
    from specprof.analysis.columns import Columns
    from specprof.analysis.evidence import Evidence
    from specprof.capture import read_capture

    capture, columns = read_capture(path), Columns()
    columns.damaged, columns.torn = capture.damaged, capture.torn
    columns.feed([capture.header, *capture.events])
    return Evidence(columns, name=str(path))
