"""``specprof bench``: which decoding loop is fastest on this machine, in one table."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from specprof.cli import app
from specprof.cli._options import Given, SettingOption, add_preset_options, numeric

if TYPE_CHECKING:
    from specprof.bench.contest import Contest


OPTIONS = (
    SettingOption("target", text="Model id, folder, or pocket/NAME."),
    SettingOption("draft"),
    SettingOption("depth", least=1),
    SettingOption("temperature"),
    SettingOption("context", text="Tokens of text to decode after.", default=256, least=2),
    SettingOption(
        "max_new_tokens", name="tokens", text="New tokens in each play.", default=64, least=1
    ),
    SettingOption("cache"),
    SettingOption("draft_cache", text="The draft's cache, if it differs from the target's."),
    SettingOption("window"),
    SettingOption("text"),
    SettingOption("dtype"),
    SettingOption("device"),
    SettingOption("threads", text="CPU threads for decoding; 0: the fastest count of each row."),
    SettingOption("seed"),
    SettingOption("load_format"),
)
"""The settings of a contest. It varies the other settings itself, or they would make it unfair."""


@app.command()
@add_preset_options(*OPTIONS)
def bench(
    *,
    given: Given,
    seconds: Annotated[
        float,
        numeric(float, help="Time for the repetitions, at least two; loading comes on top.", min=0),
    ] = 60.0,
    json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", help="Also write the JSON document here.", show_default=False
        ),
    ] = None,
    force: Annotated[bool, typer.Option(help="Overwrite an existing file.")] = False,
) -> None:
    """Time our decoding loops against those of transformers.

    Our loops run on two forward paths (Hugging Face's modules; one flat function), plain and
    speculative, with the profiler off, recording rounds or recording evidence. An `eager` row is
    `off` without replayed short forwards. All rows decode after the same text with filled caches.
    Their plays are interleaved, and ratios are made within each repetition.

    The JSON document (specprof.bench/1) has one object per row under `entries`. Figures are value,
    low, high and n (repetitions), or null where not known. `trouble` says why a row did not play,
    `unreplayed` why short forwards were not replayed, `strayed` where greedy tokens differ. wall_ns
    and rounds have one number per play.
    """
    from specprof import writing
    from specprof.cli._contest import document, printable_text, table
    from specprof.errors import INTERRUPTED

    _check_room(output, force=force)
    found = _play_contest(given, seconds, output)
    written = document(found, **_describe_machine(found.device))
    if output:
        writing.write(output, written.encode(), overwrite=force)
    sys.stdout.write(written if json else printable_text(table(found)))
    raise typer.Exit(INTERRUPTED if found.stopped else 0)


def _play_contest(given: Given, seconds: float, output: Path | None) -> "Contest":
    """Play the contest with the given settings. Raises SpecprofError where no run can have them."""
    import tempfile

    from specprof.narration import log_libraries, log_path, narrate
    from specprof.plan import expand, override
    from specprof.settings import Profile

    (spec,) = expand(override(Profile(name="bench"), **given))
    with log_libraries(log_path(output)), tempfile.TemporaryDirectory() as folder:
        from specprof.bench import contest

        entries = contest.entries(spec.settings)
        try:
            return contest.play(entries, Path(folder), seconds=seconds, report=narrate)
        except KeyboardInterrupt:
            narrate("stopped before the first repetition was complete: there is nothing to show")
            raise


def _describe_machine(device: str) -> dict[str, object]:
    """Return the version of specprof, the machine and the versions of packages."""
    import torch

    from specprof import __version__
    from specprof.engine.instruments.machine import machine_facts, package_versions

    return {
        "specprof": __version__,
        "machine": machine_facts(torch.device(device)),
        "versions": package_versions(),
    }


def _check_room(path: Path | None, *, force: bool) -> None:
    """Raise UsageError before the timing where `path` can't be written."""
    from specprof import writing

    if path is not None:
        writing.check_room(path, overwrite=force)
