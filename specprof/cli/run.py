"""``specprof run``: make a capture and show it live, or a sweep of many and compare them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from specprof.cli import app
from specprof.cli._options import Allow, Code, Given, assigned, numeric, settings_left_open

if TYPE_CHECKING:
    from specprof import trust
    from specprof.settings import Profile


@app.command()
@settings_left_open
def run(
    *,
    profile: Annotated[
        str, typer.Option(help="A shipped profile's name, or a TOML file.")
    ] = "default",
    quick: Annotated[bool, typer.Option("--quick", help="The profile's quick form.")] = False,
    given: Given,
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
    repeats: Annotated[
        int | None, numeric(int, help="Runs of every cell of a sweep.", min=1)
    ] = None,
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

    allowed = trust.Allowed(frozenset(allow or []), bool(trust_remote_code))
    if resume is not None:
        _refuse_beside_resume(given, set_, sweep, repeats, output)
        raise typer.Exit(_compared(launch.resume(resume, follow_up, allowed)))
    if trust_remote_code:
        given["trust_remote_code"] = True
    wanted = _wanted(profile, given, set_ or [], sweep or [], repeats=repeats, quick=quick)
    _check_profile(profile, wanted, given, sweep or [], allowed)
    ended = launch.launch(wanted, output=output, force=force, tui=not no_tui, follow=follow_up)
    raise typer.Exit(ended if isinstance(ended, int) else _compared(ended))


def _wanted(
    name: str,
    given: Given,
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
        field, text = assigned(asked, "--set")
        given[field] = plan.typed(field, text)
    profile = plan.override(profile, **given)
    for asked in sweep:
        field, texts = assigned(asked, "--sweep")
        profile = plan.swept(profile, field, texts.split(";" if ";" in texts else ","))
    if repeats is not None:
        profile = msgspec.structs.replace(profile, repeats=repeats)
    return profile


def _check_profile(
    name: str,
    wanted: "Profile",
    given: Given,
    sweep: list[str],
    allowed: "trust.Allowed",
) -> None:
    """Refuse what a profile asks for on its own; what was typed beside it is the user's word."""
    from specprof import plan, trust

    typed = {value for value in given.values() if isinstance(value, str)}
    for asked in sweep:
        texts = assigned(asked, "--sweep")[1]
        typed |= set(texts.split(";" if ";" in texts else ","))
    code = allowed.code or given.get("trust_remote_code") is True
    file = Path(name) if name.endswith(".toml") else None
    by_hand = trust.Allowed(allowed.names | typed, code)
    trust.check_profile(file, plan.expand(wanted), by_hand)


def _refuse_beside_resume(given: Given, *others: object) -> None:
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
