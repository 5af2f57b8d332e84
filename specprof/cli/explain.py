"""``specprof explain``: what a rule checks, what a metric, a setting or a known case is."""

import re
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from specprof.cli import app

if TYPE_CHECKING:
    from specprof.catalogue import Case


@app.command()
def explain(
    *,
    name: Annotated[
        str | None,
        typer.Argument(
            help="A rule, probe, check of tables, metric, case or setting, or another name of "
            "`specprof list`."
        ),
    ] = None,
) -> None:
    """Explain a rule, probe, metric, setting or known case. Without a name, list them all."""
    text = _list_all() if name is None else _explain(name)
    from specprof.plain import plain

    sys.stdout.write("".join(plain(line) + "\n" for line in cite_docs(text).splitlines()))


def cite_docs(text: str) -> str:
    """Return the text with "theory 5.7" replaced by "docs/theory.md, 5.7"."""
    return re.sub(r"\b[Tt]heory(\.md)?\s+(section )?(?=[A-Z]?\d)", "docs/theory.md, ", text)


def _explain(name: str) -> str:
    from specprof import plan, registry
    from specprof.catalogue import cases, id_of
    from specprof.errors import UnknownName
    from specprof.glossary import METRICS

    for kind in ("rule", "probe"):
        if name in (members := registry.members(kind)):
            return f"{name}: {members[name].docstring}{_decision_table_place(name)}"
    if name in METRICS:
        return f"{name}: {METRICS[name]}"
    if (known := id_of(name)) in cases():
        return _explain_case(known, cases()[known])
    if check := _find_check(name):
        return f"{name}: {check}"
    others, settings = _member_texts(), plan.describe_settings()
    texts = [f"{name}: {others[name]}"] if name in others else []
    if (field := name.replace("-", "_")) in settings:
        texts.append(f"{field}: {settings[field]}")  # a member may have a setting's name
    if texts:
        return "\n\n".join(texts)
    names = {*METRICS, *cases(), *others, *settings}
    raise UnknownName("rule, probe, metric, case or setting", name, names)


def _decision_table_place(name: str) -> str:
    """Return the place of a rule or probe in the decision table; empty text if it has none."""
    from specprof.decision_table import NAMES, find_group, place

    if (group := find_group(name)) is None:
        return ""
    place_text = (
        f'Stage "{group.stage.value}", place {place(name, group.stage):.0f} of {len(NAMES)}.'
    )
    return f"\n\nDecision table\n    {place_text}\n    {group.why}"


def _member_texts() -> dict[str, str]:
    """Return the full text of every member and profile, by name."""
    from specprof import plan, registry

    found = {name: plan.read_profile(name).about for name in plan.profiles()}
    for kind in registry.FOLDERS:
        found |= {name: each.docstring for name, each in registry.members(kind).items()}
    return found


def _explain_case(name: str, case: "Case") -> str:
    """Return the text on a case, with its drill if a fault of the catalogue reproduces it."""
    from specprof import registry

    lines = [f"{name}: {case.title}.", "", f"{case.kind}; shows as: {case.group.value}"]
    lines.append(f"remedy: {case.remedy}")
    lines.append(f"seen in: {', '.join(case.threads) or 'no report: it follows from theory'}")
    if case.alike:
        lines.append(f"looks like these in a capture: {', '.join(case.alike)}")
    if case.unseen:
        lines.append(f"no capture shows it: {case.unseen}")
    if fault := registry.members("fault").get(name):
        lines += ["", f"specprof drill {fault.name}", "", fault.docstring]
    return "\n".join(lines)


def _find_check(name: str) -> str | None:
    """Return the text on a check of printed tables; None if no check has this name."""
    from specprof.published.judge import checks

    return checks().get(name)


def _list_all() -> str:
    from specprof import plan, registry
    from specprof.catalogue import cases
    from specprof.glossary import METRICS

    parts = {
        "rules": {name: each.summary for name, each in registry.members("rule").items()},
        "probes": {name: each.summary for name, each in registry.members("probe").items()},
        "metrics": METRICS,
        "settings": plan.describe_settings(),
        "cases": {name: each.title for name, each in cases().items()},
    }
    lines = list[str]()
    for heading, entries in parts.items():
        width = max(map(len, entries), default=0)
        lines += [heading] if entries else []
        lines += [f"  {name:{width}}  {first_sentence(text)}" for name, text in entries.items()]
    return "\n".join(lines)


def first_sentence(text: str) -> str:
    """Return the first sentence of a text, on one line."""
    return " ".join(text.split()).partition(". ")[0].rstrip(".") + "."
