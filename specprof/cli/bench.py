"""``specprof bench``: who decodes fastest on this machine, in one table."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from specprof.cli import app
from specprof.cli._options import Given, SettingOption, numeric, settings_preset

if TYPE_CHECKING:
    from specprof.bench.contest import Contest


OPTIONS = (
    SettingOption("target", text="Model id, folder, or pocket/NAME."),
    SettingOption("draft"),
    SettingOption("depth", least=1),
    SettingOption("temperature"),
    SettingOption("context", text="Tokens of text to decode after.", default=256, least=2),
    SettingOption(
        "max_new_tokens", name="tokens", text="New tokens of every play.", default=64, least=1
    ),
    SettingOption("cache"),
    SettingOption("draft_cache", text="Those of the draft, if otherwise."),
    SettingOption("window"),
    SettingOption("text"),
    SettingOption("dtype"),
    SettingOption("device"),
    SettingOption("threads", text="Threads a CPU decodes with; 0: each as measured fastest."),
    SettingOption("seed"),
    SettingOption("load_format"),
)
"""The settings of a contest; what else one could set would make it unfair, or is varied by it."""


@app.command()
@settings_preset(*OPTIONS)
def bench(
    *,
    given: Given,
    seconds: Annotated[
        float,
        numeric(float, help="For the repetitions, two at least; loading comes on top.", min=0),
    ] = 60.0,
    json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Keep the JSON document here.", show_default=False),
    ] = None,
    force: Annotated[bool, typer.Option(help="Overwrite what is there.")] = False,
) -> None:
    """Time transformers' own loops against ours, in one process.

    Ours run by both paths (Hugging Face's modules, one flat function), plain and speculative, with
    the profiler off, recording rounds or evidence; `eager`: off, no short forward replayed. All go
    on from the same text with filled caches, interleaved; ratios are made within each repetition.

    The JSON document (specprof.bench/1) has an object a row under `entries`: figures as value, low,
    high, n (repetitions), null where not known; `trouble`, why it didn't play; `unreplayed`, why
    short forwards weren't; `strayed`, where greedy tokens are others; wall_ns and rounds by play.
    """
    from specprof import writing
    from specprof.cli._contest import document, shown, table
    from specprof.errors import INTERRUPTED

    _check_room(output, force=force)
    found = _played(given, seconds, output)
    written = document(found, **_circumstances(found.device))
    if output:
        writing.write(output, written.encode(), overwrite=force)
    sys.stdout.write(written if json else shown(table(found)))
    raise typer.Exit(INTERRUPTED if found.stopped else 0)


def _played(given: Given, seconds: float, output: Path | None) -> "Contest":
    """Play the contest of the settings given; refused where no run can have them."""
    import tempfile

    from specprof.narration import aside, log_for, tell
    from specprof.plan import expand, override
    from specprof.settings import Profile

    (spec,) = expand(override(Profile(name="bench"), **given))
    with aside(log_for(output)), tempfile.TemporaryDirectory() as folder:
        from specprof.bench import contest

        everybody = contest.entries(spec.settings)
        try:
            return contest.play(everybody, Path(folder), seconds=seconds, tell=tell)
        except KeyboardInterrupt:
            tell("stopped before a repetition was whole: there is nothing to show")
            raise


def _circumstances(device: str) -> dict[str, object]:
    """Return where it was measured, and by what."""
    import torch

    from specprof import __version__
    from specprof.engine.instruments.machine import machine_facts, package_versions

    return {
        "specprof": __version__,
        "machine": machine_facts(torch.device(device)),
        "versions": package_versions(),
    }


def _check_room(path: Path | None, *, force: bool) -> None:
    """Refuse a place that can't be written before anything is timed."""
    from specprof import writing

    if path is not None:
        writing.check_room(path, overwrite=force)
