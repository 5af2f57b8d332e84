"""Judge events made by hand, by one rule or by all rules."""

from specprof import registry
from specprof.analysis.columns import Columns
from specprof.analysis.evidence import Evidence
from specprof.diagnosis import diagnose
from specprof.extend import Rule


def judged(name, events):
    """Return a rule's outcome; raises as the rule does."""
    return registry.get(Rule, name)().judge(gather_evidence(events))


def suspected(events):
    """Return the leading finding's rule and suspects; findings of cost do not count."""
    found = [one for one in diagnose(gather_evidence(events)).found if one.family != "cost"]
    lead = min(found, key=lambda one: one.place, default=None)
    return (None, ()) if lead is None else (lead.rule, lead.finding.suspects)


def bugs(events):
    """Return the rules that find a bug."""
    return [one.rule for one in diagnose(gather_evidence(events)).found if one.family == "bug"]


def gather_evidence(events):
    """Return the events as evidence."""
    columns = Columns()
    columns.feed(events)
    return Evidence(columns, live=True)
