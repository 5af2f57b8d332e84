"""``specprof run``: make a capture, and show it live on a terminal."""

from pathlib import Path
from typing import Annotated

import typer

from specprof.cli import app


@app.command()
def run(  # noqa: PLR0917 - every option is a parameter to typer
    profile: Annotated[
        str, typer.Option(help="A shipped profile's name, or a TOML file.")
    ] = "default",
    target: Annotated[
        str | None, typer.Option(help="Target: Hugging Face id, folder, or pocket/NAME.")
    ] = None,
    draft: Annotated[str | None, typer.Option(help="Draft model, likewise.")] = None,
    drafter: Annotated[str | None, typer.Option(help="How tokens are drafted.")] = None,
    depth: Annotated[int | None, typer.Option(help="K: tokens drafted a round.")] = None,
    temperature: Annotated[float | None, typer.Option(help="0 is greedy.")] = None,
    top_p: Annotated[float | None, typer.Option(help="Keep this mass of tokens.")] = None,
    top_k: Annotated[int | None, typer.Option(help="Keep this many tokens; 0 = all.")] = None,
    workload: Annotated[
        str | None, typer.Option(help="walk (over a real text) or generate (free running).")
    ] = None,
    context: Annotated[int | None, typer.Option(help="Deepest context, in tokens.")] = None,
    stops: Annotated[int | None, typer.Option(help="walk: depths decoded at.")] = None,
    max_new_tokens: Annotated[int | None, typer.Option(help="New tokens a burst.")] = None,
    text: Annotated[str | None, typer.Option(help="A UTF-8 text file to decode over.")] = None,
    dataset: Annotated[
        str | None, typer.Option(help="name[:config] of a Hugging Face dataset.")
    ] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda, ...")] = None,
    dtype: Annotated[str | None, typer.Option(help="auto, float32, bfloat16, float16.")] = None,
    threads: Annotated[
        int | None, typer.Option(help="Threads a CPU decodes with; 0 = measured.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of every random draw.")] = None,
    load_format: Annotated[
        str | None, typer.Option(help="auto, or dummy: random weights of the shape.")
    ] = None,
    detail: Annotated[str | None, typer.Option(help="off, rounds or evidence.")] = None,
    backend: Annotated[str | None, typer.Option(help="What runs the rounds.")] = None,
    recheck_context: Annotated[
        int | None,
        typer.Option(help="Recompute bursts up to this depth without a cache; 0 = none."),
    ] = None,
    plain_steps: Annotated[
        int | None, typer.Option(help="Plain decoding steps timed beside each burst.")
    ] = None,
    ignore_eos: Annotated[
        bool | None, typer.Option("--ignore-eos/--stop-at-eos", help="Go on past end of text.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The capture file.", show_default=False)
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the capture.")] = False,  # noqa: FBT002 - a flag
    no_tui: Annotated[bool, typer.Option("--no-tui", help="Plain progress, no dashboard.")] = False,  # noqa: FBT002 - a flag
) -> None:
    """Run speculative decoding and record every round.

    Without options: the embedded pocket family walks over a real text to 20k tokens. On a terminal
    the dashboard opens by itself; Ctrl-C stops the run and keeps the capture.
    """
    given = {
        "target": target,
        "draft": draft,
        "drafter": drafter,
        "depth": depth,
        "temperature": temperature,
        "top_p": top_p,
        "top_k": top_k,
        "workload": workload,
        "context": context,
        "stops": stops,
        "max_new_tokens": max_new_tokens,
        "text": text,
        "dataset": dataset,
        "device": device,
        "dtype": dtype,
        "threads": threads,
        "seed": seed,
        "load_format": load_format,
        "detail": detail,
        "backend": backend,
        "recheck_context": recheck_context,
        "plain_steps": plain_steps,
        "ignore_eos": ignore_eos,
    }
    from specprof.launch import launch

    raise typer.Exit(launch(profile, given, output=output, force=force, tui=not no_tui))
