"""A rule, or all of them, on events made by hand."""

from specprof import registry
from specprof.analysis.columns import Columns
from specprof.analysis.evidence import Evidence
from specprof.diagnosis import diagnose
from specprof.extend import Rule


def judged(name, events):
    """Return a rule's outcome; raises as the rule does."""
    return registry.get(Rule, name)().judge(gathered(events))


def suspected(events):
    """Return the leading finding's rule and suspects, mere costs left aside."""
    found = [one for one in diagnose(gathered(events)).found if one.family != "cost"]
    lead = min(found, key=lambda one: one.place, default=None)
    return (None, ()) if lead is None else (lead.rule, lead.finding.suspects)


def bugs(events):
    """Return the rules that call something a bug."""
    return [one.rule for one in diagnose(gathered(events)).found if one.family == "bug"]


def gathered(events):
    """Return the events as evidence."""
    columns = Columns()
    columns.feed(events)
    return Evidence(columns, live=True)
