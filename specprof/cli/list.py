"""``specprof list``: every name that the command line takes, and the file it comes from."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from specprof.cli import app

if TYPE_CHECKING:
    from specprof.registry import Member

Row = dict[str, str]


@app.command("list")
def list_(
    *,
    kind: Annotated[
        str | None,
        typer.Argument(
            help="drafter, shape, depth, cache, acceptance, backend, rule, probe, fault, "
            "exporter, profile or setting. Without a kind, list all."
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """List drafters, caches, rules, settings and all other names."""
    from specprof.errors import UnknownName
    from specprof.registry import FOLDERS

    kinds = [*FOLDERS, "profile", "setting"]
    if kind is not None and kind not in kinds:
        raise UnknownName("kind of member", kind, kinds)
    rows = [row for each in ([kind] if kind else kinds) for row in _list_members(each)]
    sys.stdout.write(_document(rows) if json else _table(rows))


def _list_members(kind: str) -> list[Row]:
    from specprof import plan, registry, settings
    from specprof.cli.explain import first_sentence

    if kind == "profile":
        return [
            {
                "kind": kind,
                "name": name,
                "from": str(path),
                "summary": plan.read_profile(name).about,
            }
            for name, path in plan.profiles().items()
        ]
    if kind == "setting":
        return [
            {
                "kind": kind,
                "name": name,
                "from": str(settings.__file__),
                "summary": first_sentence(text),
            }
            for name, text in plan.describe_settings().items()
        ]
    return [
        {"kind": kind, "name": each.name, "from": str(each.path), "summary": each.summary}
        for each in sorted(registry.members(kind).values(), key=_decision_table_place)
    ]


def _decision_table_place(member: "Member") -> int:
    """Return the sort key of a member: rules and probes go by their place in the decision table."""
    from specprof.decision_table import NAMES

    judge = member.kind in {"rule", "probe"}
    return NAMES.index(member.name) if judge and member.name in NAMES else len(NAMES)


def _document(rows: list[Row]) -> str:
    import msgspec

    from specprof.plain import as_json, escape_json

    document = {"schema": "specprof.list/1", "members": rows}
    return escape_json(msgspec.json.format(as_json(document), indent=2)).decode() + "\n"


def _table(rows: list[Row]) -> str:
    """Return the rows grouped by kind; only a user's plugin has its path in its row."""
    from specprof.plain import plain

    width = max((len(row["name"]) for row in rows), default=0)
    lines, kind = list[str](), None
    for row in rows:
        if row["kind"] != kind:
            kind = row["kind"]
            lines += [*([""] if lines else []), kind]
        lines.append(plain(f"  {row['name']:{width}}  {row['summary']}{_origin(row)}"))
    return "".join(line.rstrip() + "\n" for line in lines)


def _origin(row: Row) -> str:
    from pathlib import Path

    from specprof.registry import PACKAGE, shipped_folder

    path = Path(row["from"])
    if path.is_relative_to(shipped_folder("plugins")):
        return "  [plugin, shipped]"
    known = row["kind"] == "profile" or path.is_relative_to(PACKAGE)
    return "" if known else f"  [plugin: {path}]"
