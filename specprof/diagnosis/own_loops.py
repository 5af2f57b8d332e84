"""What can be done about a user's own recorded loop, in words: specprof can't run it again.

Rules name the run of specprof's engine that would settle a finding, and the options of
`specprof run` that would record missing evidence. The author of a recorded loop has to make the
experiment himself, and passes keywords to `specprof.record` instead of options.
"""

import re
from dataclasses import replace
from typing import Final

from specprof import limits
from specprof.findings import Finding, Found, Outcome, Unknown
from specprof.records import Header
from specprof.settings import Settings

RUN_COMMAND: Final = "specprof run"
CANT_PROBE: Final = (
    "a loop of your own recorded this capture, and specprof can't run it: make the experiment that "
    "stands behind `confirm` in the report, record it, and diagnose that capture"
)
_OPTION = re.compile(r"--([a-z-]+) (<[^>]*>|[^\s,;:]+)")
_LEADS: Final = (
    (
        ("--target <the draft>", "--drafter none"),
        "let the draft alone continue the same prompts{}, and record it as the target",
    ),
    (("--drafter none",), "decode the same prompts without a draft{}, and record that"),
    ((), "record your loop again{}"),
)
"""Options and the experiment they ask for, the most special first; {}: what else is changed."""
_CHANGES: Final = {
    "draft <the target>": "with the target as its own draft",
    "drafter self": "with the target as its own draft",
    "draft <one trained for longer texts>": "with a draft model trained for longer texts",
    "depth-policy fixed": "with the same number of drafts in every round",
    "context <the same>": "with prompts as long as these",
    "stops 1": "in one burst",
    "depth 1": "with 1 draft a round",
    "depth": "with {} drafts a round",
    "draft": "with {} as the draft",
    "temperature": "at temperature {}",
    "dtype": "with both models in {}",
    "context": "with prompts of {} tokens",
    "max-new-tokens": "with bursts of {} new tokens",
}
"""An option with or without its value, and what it changes."""
_HINTS: Final = (
    (
        "--backend native and --detail evidence",
        'detail="evidence", and pass both models\' rows to `now.drafted`',
    ),
    ("record with --backend native and rotary models", "`specprof.record` doesn't take it"),
    ("record with --backend native", "`specprof.record` doesn't take it"),
    ("--drafter none", "no drafts"),
    ("--detail rounds or evidence", 'detail="rounds" or "evidence"'),
    ("--recheck-context at least its context", "a recheck_context of at least its context"),
    (
        "record with --plain-steps 6",
        "time plain steps behind a burst's last round: `with log.plain_step():`",
    ),
    ("record without --ignore-eos", "pass the ids that end a text: stop=..."),
    ("set --max-new-tokens", "pass max_new_tokens=..."),
)
"""What to do about missing evidence, by the words that say it of specprof's own runs."""


def is_own_loop(header: Header | None) -> bool:
    """Return whether a user's loop recorded the capture by `specprof.record`."""
    return header is not None and header.spec.settings.backend == limits.RECORDED_BACKEND


def reword(outcome: Outcome) -> Outcome:
    """Return a rule's outcome with its advice worded for a loop that specprof can't run."""
    match outcome:
        case Found(finding=finding):
            return Found(finding=_reword_finding(finding))
        case Unknown(reason=reason):
            return Unknown(reason=_reword_hint(reason))
    return outcome


def describe_experiment(command: str) -> str:
    """Return the experiment that a `specprof run ...` stands for; another command stays."""
    if command.split()[:2] != RUN_COMMAND.split():
        return command
    options = [" ".join(each.groups()) for each in _OPTION.finditer(command)]
    done, lead = _find_lead(options)
    changes = [_describe_change(each) for each in options if f"--{each}" not in done]
    return lead.format(f" {', '.join(changes)}" if changes else "")


def _reword_finding(finding: Finding) -> Finding:
    experiments = dict.fromkeys(describe_experiment(each) for each in finding.confirm)
    return replace(finding, remedy=_reword_hint(finding.remedy), confirm=tuple(experiments))


def _reword_hint(text: str) -> str:
    """Return a hint with the keywords of `specprof.record` in place of a command's options."""
    for said, instead in _HINTS:
        if said in text:
            return text.replace(said, instead)
    return _OPTION.sub(lambda found: _as_keyword(*found.groups()), text)


def _as_keyword(option: str, value: str) -> str:
    name = option.replace("-", "_")
    if name not in Settings.__struct_fields__:
        return f"--{option} {value}"
    number = value.replace(".", "").isdigit() or value.isupper()
    return f"{name}={value}" if number else f'{name}="{value}"'


def _find_lead(options: list[str]) -> tuple[tuple[str, ...], str]:
    """Return the options that make the experiment one of its own kind, and its words."""
    given = {f"--{each}" for each in options}
    return next((done, lead) for done, lead in _LEADS if given.issuperset(done))


def _describe_change(option: str) -> str:
    name, _, value = option.partition(" ")
    known = _CHANGES.get(option) or _CHANGES.get(name)
    if known is None:  # a plug-in's
        return f"with {name.replace('-', ' ')} {value.strip('<>')}"
    return known.format(value.strip("<>"))
