"""``specprof run``: make a capture and show it live, or a sweep of many and compare them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from specprof.cli import app
from specprof.cli._options import Allow, Code

if TYPE_CHECKING:
    from specprof import trust
    from specprof.settings import Profile, Value

Text = str | None
Whole = int | None
Number = float | None


@app.command()
def run(
    *,
    profile: Annotated[
        str, typer.Option(help="A shipped profile's name, or a TOML file.")
    ] = "default",
    quick: Annotated[bool, typer.Option("--quick", help="The profile's quick form.")] = False,
    target: Annotated[
        Text, typer.Option(help="Target: Hugging Face id, folder, or pocket/NAME.")
    ] = None,
    draft: Annotated[Text, typer.Option(help="Draft model, likewise.")] = None,
    backend: Annotated[Text, typer.Option(help="What runs the rounds.")] = None,
    drafter: Annotated[Text, typer.Option(help="How tokens are drafted.")] = None,
    depth: Annotated[Whole, typer.Option(help="K: tokens drafted a round.")] = None,
    depth_policy: Annotated[Text, typer.Option(help="Who chooses each round's K.")] = None,
    shape: Annotated[Text, typer.Option(help="chain, or a tree.")] = None,
    acceptance: Annotated[Text, typer.Option(help="How drafted tokens are judged.")] = None,
    cache: Annotated[Text, typer.Option(help="How keys and values are kept.")] = None,
    window: Annotated[Whole, typer.Option(help="Cache sink-window: recent tokens kept.")] = None,
    batch: Annotated[Whole, typer.Option(help="Sequences decoded at once.")] = None,
    temperature: Annotated[Number, typer.Option(help="0 is greedy.")] = None,
    top_p: Annotated[Number, typer.Option(help="Keep this mass of tokens.")] = None,
    top_k: Annotated[Whole, typer.Option(help="Keep this many tokens; 0 = all.")] = None,
    workload: Annotated[
        Text, typer.Option(help="walk over a real text, generate freely, or ppl: score a text.")
    ] = None,
    context: Annotated[Whole, typer.Option(help="Deepest context, in tokens.")] = None,
    stops: Annotated[Whole, typer.Option(help="walk: depths decoded at.")] = None,
    max_new_tokens: Annotated[Whole, typer.Option(help="New tokens a burst.")] = None,
    text: Annotated[
        Text, typer.Option(help="A file, or prose, repetition, reversed, random.")
    ] = None,
    dataset: Annotated[Text, typer.Option(help="name[:config] of a Hugging Face dataset.")] = None,
    device: Annotated[Text, typer.Option(help="auto, cpu, cuda, ...")] = None,
    dtype: Annotated[Text, typer.Option(help="auto, float32, bfloat16, float16.")] = None,
    threads: Annotated[
        Whole, typer.Option(help="Threads a CPU decodes with; 0 = measured.")
    ] = None,
    seed: Annotated[Whole, typer.Option(help="Of every random draw.")] = None,
    load_format: Annotated[
        Text, typer.Option(help="auto, or dummy: random weights of the shape.")
    ] = None,
    detail: Annotated[Text, typer.Option(help="off, rounds, evidence or module.")] = None,
    recheck_context: Annotated[
        Whole, typer.Option(help="Recompute bursts up to this depth without a cache; 0 = none.")
    ] = None,
    plain_steps: Annotated[
        Whole, typer.Option(help="Plain decoding steps timed beside each burst.")
    ] = None,
    ignore_eos: Annotated[
        bool | None, typer.Option("--ignore-eos/--stop-at-eos", help="Go on past end of text.")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="FIELD=VALUE",
            help="Any other setting of `specprof list setting`; repeatable.",
        ),
    ] = None,
    sweep: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FIELD=A,B,..", help="Run once with each value; `;` between those with commas."
        ),
    ] = None,
    repeats: Annotated[Whole, typer.Option(help="Runs of every cell of a sweep.", min=1)] = None,
    resume: Annotated[
        Path | None, typer.Option(help="Go on with a sweep that was stopped: its folder.")
    ] = None,
    allow: Allow = None,
    trust_remote_code: Code = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The capture file; a sweep's folder."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite what is there.")] = False,
    no_tui: Annotated[bool, typer.Option("--no-tui", help="Plain progress, no dashboard.")] = False,
) -> None:
    """Run speculative decoding and record every round.

    Without options: the embedded pocket family walks over a real text to 20k tokens. On a terminal
    the dashboard opens by itself; Ctrl-C stops the run and keeps the capture.

    A profile of several cells, or repeats, is a sweep: one capture a run in a folder, plain
    progress with the time left, one comparison table at the end. Ctrl-C stops it, --resume goes on.
    """
    from specprof import launch, trust
    from specprof.cli._probe import follow_up
    from specprof.settings import Settings

    fields = Settings.__struct_fields__
    given = {k: v for k, v in locals().items() if k in fields and v is not None}
    allowed = trust.Allowed(frozenset(allow or []), bool(trust_remote_code))
    if resume is not None:
        given.pop("trust_remote_code", None)
        _refuse_beside_resume(given, set_, sweep, repeats, output)
        raise typer.Exit(_compared(launch.resume(resume, follow_up, allowed)))
    wanted = _wanted(profile, given, set_ or [], sweep or [], repeats=repeats, quick=quick)
    _check_profile(profile, wanted, given, sweep or [], allowed)
    ended = launch.launch(wanted, output=output, force=force, tui=not no_tui, follow=follow_up)
    raise typer.Exit(ended if isinstance(ended, int) else _compared(ended))


def _wanted(
    name: str,
    given: "dict[str, Value]",
    set_: list[str],
    sweep: list[str],
    *,
    repeats: int | None,
    quick: bool,
) -> "Profile":
    """Return the named profile as the command line changes it."""
    import msgspec

    from specprof import plan

    profile = plan.read_profile(name)
    if quick:
        profile = plan.quickened(profile)
    for asked in set_:
        field, text = _split(asked, "--set")
        given[field] = plan.typed(field, text)
    profile = plan.override(profile, **given)
    for asked in sweep:
        field, texts = _split(asked, "--sweep")
        profile = plan.swept(profile, field, texts.split(";" if ";" in texts else ","))
    if repeats is not None:
        profile = msgspec.structs.replace(profile, repeats=repeats)
    return profile


def _check_profile(
    name: str,
    wanted: "Profile",
    given: "dict[str, Value]",
    sweep: list[str],
    allowed: "trust.Allowed",
) -> None:
    """Refuse what a profile asks for on its own; what was typed beside it is the user's word."""
    from specprof import plan, trust

    typed = {value for value in given.values() if isinstance(value, str)}
    for asked in sweep:
        texts = _split(asked, "--sweep")[1]
        typed |= set(texts.split(";" if ";" in texts else ","))
    code = allowed.code or given.get("trust_remote_code") is True
    file = Path(name) if name.endswith(".toml") else None
    by_hand = trust.Allowed(allowed.names | typed, code)
    trust.check_profile(file, plan.expand(wanted), by_hand)


def _split(asked: str, option: str) -> tuple[str, str]:
    from specprof.errors import UsageError

    field, sign, text = asked.partition("=")
    if not sign:
        raise UsageError(f"{option} {asked!r} has no value", f"write {option} FIELD=VALUE")
    return field.strip().replace("-", "_"), text


def _refuse_beside_resume(given: "dict[str, Value]", *others: object) -> None:
    from specprof.errors import UsageError

    if given or any(each is not None for each in others):
        title = "--resume goes on with what was asked when the sweep began"
        raise UsageError(title, "give it alone, or begin a new sweep")


def _compared(folder: Path) -> int:
    """Print a sweep's table; return its exit code."""
    from specprof.cli._table import show
    from specprof.sweep import read_index

    index = read_index(folder)
    if any(run.state == "complete" for run in index.runs):
        show([folder])
    return index.exit_code
