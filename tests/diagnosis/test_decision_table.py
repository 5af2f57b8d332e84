"""Which of several findings leads: one order over all rules and probes."""

from specprof import registry
from specprof.diagnosis.diagnose import Diagnosis, Verdict, _rules
from specprof.extend import Probe
from specprof.findings import Finding, Found

LEADING = """
capture-contradicts-itself
limit-overshot nothing-proposed text-goes-past-stop token-outside-vocabulary drafts-constant
logits-not-finite
accepted-not-committed cache-length-wrong emitted-count-broken extra-target-forwards
target-state-drifts baseline-twice
another-accept-rule drafts-not-drawn accept-rule-unfair
draft-law-differs
final-law-differs output-not-greedy residual-unsupported output-law-differs
head-scan
draft-state-drifts recompute temp-zero self-draft-disagrees dtype self-draft perturbed-self
temperature-extremes k-sweep
rope-not-as-configured vocabularies-differ worse-than-constant
state-rounded near-ties-flipped
position-offset position-range-exceeded short-view position-gap window-sweep repetition-text
draft-ladder drafts-mismatched
too-little-drafted cache-holds-too-much drafting-given-up depth-change-slow host-gap-large
draft-step-slow plain-rounds-slow verification-expensive draft-too-expensive depth-too-deep
no-speedup
capture-incomplete clock-coarse round-too-cheap text-loops too-few-rounds warm-up-included
shifted-control
""".split()
"""As the float rows of the first decision table had it, ties decided by family and name."""


def verdicts():
    """A finding of every rule and every probe, in the order a diagnosis holds them."""
    found = Found(finding=Finding(message="x", measures=(), remedy=""))
    rules = [(name, rule, False) for name, rule in _rules(())]
    probes = [(name, probe, True) for name, probe in registry.usable(Probe).items()]
    return [
        Verdict(name, one.family, found, one.row, probe=probe)
        for name, one, probe in [*rules, *probes]
    ]


def test_of_all_that_is_built_in_the_findings_lead_in_this_order():
    """The leading finding taken away, the next one leads; so with all, the ties included."""
    rest, led = verdicts(), []
    while rest:
        led.append(Diagnosis("run", "", None, None, tuple(rest)).leading)
        rest.remove(led[-1])
    assert [each.rule for each in led] == LEADING
