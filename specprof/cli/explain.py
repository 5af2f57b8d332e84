"""``specprof explain``: what a rule looks at and a metric means, without loading either."""

import sys
from typing import Annotated

import typer

from specprof.cli import app


@app.command()
def explain(
    *,
    name: Annotated[str | None, typer.Argument(help="A rule or a metric; none: list all.")] = None,
) -> None:
    """Explain a diagnosis rule or a metric; without a name, list them."""
    from specprof import registry
    from specprof.errors import UnknownName
    from specprof.glossary import METRICS
    from specprof.plain import plain

    rules = registry.members("rule")
    if name is None:
        text = _all({each: member.summary for each, member in rules.items()}, METRICS)
    elif name in rules:
        text = f"{name}: {rules[name].docstring}"
    elif name in METRICS:
        text = f"{name}: {METRICS[name]}"
    else:
        raise UnknownName("rule or metric", name, [*rules, *METRICS])
    sys.stdout.write("".join(plain(line) + "\n" for line in text.splitlines()))


def _all(rules: dict[str, str], metrics: dict[str, str]) -> str:
    lines = list[str]()
    for heading, entries in (("rules", rules), ("metrics", metrics)):
        width = max(map(len, entries))
        lines.append(heading)
        lines += [f"  {name:{width}}  {_opening(text)}" for name, text in entries.items()]
    return "\n".join(lines)


def _opening(text: str) -> str:
    """Return the first sentence, on one line."""
    return " ".join(text.split()).partition(". ")[0].rstrip(".") + "."
