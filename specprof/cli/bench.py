"""``specprof bench``: who decodes fastest on this machine, in one table."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from specprof import writing
from specprof.cli import app

if TYPE_CHECKING:
    from specprof.bench.contest import Contest
    from specprof.settings import Value


@app.command()
def bench(
    *,
    target: Annotated[
        str, typer.Option(help="Model id, folder, or pocket/NAME.")
    ] = "pocket/target",
    draft: Annotated[str, typer.Option(help="Draft model, likewise.")] = "pocket/draft",
    depth: Annotated[int, typer.Option(help="K: tokens drafted a round.", min=1)] = 4,
    temperature: Annotated[float, typer.Option(help="0 is greedy.", min=0)] = 0.0,
    context: Annotated[int, typer.Option(help="Tokens of text to decode after.", min=2)] = 256,
    tokens: Annotated[int, typer.Option(help="New tokens of every play.", min=1)] = 64,
    cache: Annotated[str, typer.Option(help="How keys and values are kept.")] = "dense",
    draft_cache: Annotated[
        str | None, typer.Option(help="Those of the draft, if otherwise.", show_default=False)
    ] = None,
    window: Annotated[int, typer.Option(help="Cache sink-window: recent tokens kept.")] = 512,
    text: Annotated[
        str | None,
        typer.Option(help="A file, or prose, repetition, reversed, random.", show_default=False),
    ] = None,
    dtype: Annotated[str, typer.Option(help="auto, float32, bfloat16, float16.")] = "auto",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, ...")] = "auto",
    threads: Annotated[
        int, typer.Option(help="Threads a CPU decodes with; 0: each as measured fastest.", min=0)
    ] = 0,
    seed: Annotated[int, typer.Option(help="Of every random draw.")] = 0,
    load_format: Annotated[
        str, typer.Option(help="auto, or dummy: random weights of the shape.")
    ] = "auto",
    seconds: Annotated[
        float, typer.Option(help="For the repetitions, two at least; loading comes on top.", min=0)
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
    from specprof.cli._contest import document, shown, table
    from specprof.errors import INTERRUPTED
    from specprof.settings import Settings

    _check_room(output, force=force)
    given = {k: v for k, v in locals().items() if k in Settings.__struct_fields__}
    found = _played(given | {"max_new_tokens": tokens}, seconds, output)
    written = document(found, **_circumstances(found.device))
    if output:
        writing.write(output, written.encode(), overwrite=force)
    sys.stdout.write(written if json else shown(table(found)))
    raise typer.Exit(INTERRUPTED if found.stopped else 0)


def _played(given: "dict[str, Value]", seconds: float, output: Path | None) -> "Contest":
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
    if path is not None:
        writing.check_room(path, overwrite=force)
