"""``specprof run``: record one capture and show it live, or record a sweep and compare it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from specprof.cli import app
from specprof.cli._options import Allow, Code, Given, add_setting_options, numeric, split_assignment

if TYPE_CHECKING:
    from specprof import trust
    from specprof.settings import Profile


@app.command()
@add_setting_options
def run(
    *,
    profile: Annotated[
        str, typer.Option(help="A shipped profile's name, or a TOML file.")
    ] = "default",
    quick: Annotated[bool, typer.Option("--quick", help="Use the profile's quick form.")] = False,
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
            metavar="FIELD=A,B,..",
            help="Run once with each value; `;` separates values that hold commas.",
        ),
    ] = None,
    repeats: Annotated[
        int | None, numeric(int, help="Runs for each cell of a sweep.", min=1)
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(help="Continue a stopped sweep: its folder.")
    ] = None,
    allow: Allow = None,
    trust_remote_code: Code = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The capture file to write; for a sweep, the folder."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite existing output.")] = False,
    no_tui: Annotated[bool, typer.Option("--no-tui", help="Plain progress, no dashboard.")] = False,
) -> None:
    """Run speculative decoding and record every round.

    Without options, the embedded pocket models decode along a real text, up to 20k tokens deep. On
    a terminal the dashboard opens by itself. Ctrl-C stops the run and keeps the capture.

    A profile with several cells, or --repeats, is a sweep. It writes one capture per run into a
    folder, shows plain progress with the time left, and prints one comparison table at the end.
    Ctrl-C stops a sweep, and --resume continues it.
    """
    from specprof import launch, trust
    from specprof.cli._probe import follow_up

    allowed = trust.Allowed(frozenset(allow or []), bool(trust_remote_code))
    if resume is not None:
        _refuse_beside_resume(given, set_, sweep, repeats, output)
        raise typer.Exit(_print_comparison(launch.resume(resume, follow_up, allowed)))
    if trust_remote_code:
        given["trust_remote_code"] = True
    wanted = _read_profile(profile, given, set_ or [], sweep or [], repeats=repeats, quick=quick)
    _check_profile(profile, wanted, given, sweep or [], allowed)
    ended = launch.launch(wanted, output=output, force=force, tui=not no_tui, follow=follow_up)
    raise typer.Exit(ended if isinstance(ended, int) else _print_comparison(ended))


def _read_profile(
    name: str,
    given: Given,
    set_: list[str],
    sweep: list[str],
    *,
    repeats: int | None,
    quick: bool,
) -> "Profile":
    """Return the named profile with the changes of the command line."""
    import msgspec

    from specprof import plan

    profile = plan.read_profile(name)
    if quick:
        profile = plan.apply_quick(profile)
    for asked in set_:
        field, text = split_assignment(asked, "--set")
        given[field] = plan.parse_value(field, text)
    profile = plan.override(profile, **given)
    for asked in sweep:
        field, texts = split_assignment(asked, "--sweep")
        profile = plan.sweep_over(profile, field, texts.split(";" if ";" in texts else ","))
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
    """Raise UsageError for what a profile may not load; names on the command line are permitted."""
    from specprof import plan, trust

    typed = {value for value in given.values() if isinstance(value, str)}
    for asked in sweep:
        texts = split_assignment(asked, "--sweep")[1]
        typed |= set(texts.split(";" if ";" in texts else ","))
    code = allowed.code or given.get("trust_remote_code") is True
    file = Path(name) if name.endswith(".toml") else None
    by_hand = trust.Allowed(allowed.names | typed, code)
    trust.check_profile(file, plan.expand(wanted), by_hand)


def _refuse_beside_resume(given: Given, *others: object) -> None:
    from specprof.errors import UsageError

    if given or any(each is not None for each in others):
        title = "--resume continues a sweep with the settings it began with"
        raise UsageError(title, "leave out the other options, or begin a new sweep")


def _print_comparison(folder: Path) -> int:
    """Print the table of a sweep; return the exit code of the sweep."""
    from specprof.cli._table import show
    from specprof.sweep import read_index

    index = read_index(folder)
    if any(run.state == "complete" for run in index.runs):
        show([folder])
    return index.exit_code
