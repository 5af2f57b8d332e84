"""``specprof explain``: what a rule looks at, a metric or a setting means, a known case is."""

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
            help="A rule, a probe, a check of tables, a metric, a case, a setting, or what else "
            "`specprof list` names; none: list rules, probes, metrics, settings and cases."
        ),
    ] = None,
) -> None:
    """Explain a rule, probe, metric, setting or known case. Without a name, list them."""
    text = _all() if name is None else _one(name)
    from specprof.plain import plain

    sys.stdout.write("".join(plain(line) + "\n" for line in cited(text).splitlines()))


def cited(text: str) -> str:
    """Return the text with "theory 5.7" spelled out as "docs/theory.md, 5.7", page and label."""
    return re.sub(r"\b[Tt]heory(\.md)?\s+(section )?(?=[A-Z]?\d)", "docs/theory.md, ", text)


def _one(name: str) -> str:
    from specprof import plan, registry
    from specprof.catalogue import cases, id_of
    from specprof.errors import UnknownName
    from specprof.glossary import METRICS

    for kind in ("rule", "probe"):
        if name in (members := registry.members(kind)):
            return f"{name}: {members[name].docstring}{_standing(name)}"
    if name in METRICS:
        return f"{name}: {METRICS[name]}"
    if (known := id_of(name)) in cases():
        return _case(known, cases()[known])
    if check := _check(name):
        return f"{name}: {check}"
    others, settings = _members(), plan.describe_settings()
    told = [f"{name}: {others[name]}"] if name in others else []
    if (field := name.replace("-", "_")) in settings:
        told.append(f"{field}: {settings[field]}")  # a few are called like who reads them
    if told:
        return "\n\n".join(told)
    names = {*METRICS, *cases(), *others, *settings}
    raise UnknownName("rule, probe, metric, case or setting", name, names)


def _standing(name: str) -> str:
    """Return where a rule or probe stands in the decision table; nothing of one not listed."""
    from specprof.decision_table import NAMES, listed, place

    if (group := listed(name)) is None:
        return ""
    told = f'Stage "{group.stage.value}", place {place(name, group.stage):.0f} of {len(NAMES)}.'
    return f"\n\nDecision table\n    {told}\n    {group.why}"


def _members() -> dict[str, str]:
    """Return what is said of everything that `specprof list` names."""
    from specprof import plan, registry

    found = {name: plan.read_profile(name).about for name in plan.profiles()}
    for kind in registry.FOLDERS:
        found |= {name: each.docstring for name, each in registry.members(kind).items()}
    return found


def _case(name: str, case: "Case") -> str:
    """Return the case, and how it is drilled where there is a fault of it."""
    from specprof import registry

    lines = [f"{name}: {case.title}.", "", f"{case.kind}; shows as: {case.group.value}"]
    lines.append(f"remedy: {case.remedy}")
    lines.append(f"seen in: {', '.join(case.threads) or 'none: it follows from theory'}")
    if case.alike:
        lines.append(f"a capture can't tell it from: {', '.join(case.alike)}")
    if case.unseen:
        lines.append(f"no capture shows it: {case.unseen}")
    if fault := registry.members("fault").get(name):
        lines += ["", f"specprof drill {fault.name}", "", fault.docstring]
    return "\n".join(lines)


def _check(name: str) -> str | None:
    """Return what a check of printed tables looks for."""
    from specprof.published.judge import checks

    return checks().get(name)


def _all() -> str:
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
        lines += [f"  {name:{width}}  {opening(text)}" for name, text in entries.items()]
    return "\n".join(lines)


def opening(text: str) -> str:
    """Return the first sentence, on one line."""
    return " ".join(text.split()).partition(". ")[0].rstrip(".") + "."
