"""Probes from end to end, in this process: on a sound pair, and past a trained length."""

import runs
from specprof.analysis.columns import Columns
from specprof.analysis.evidence import Evidence
from specprof.backends.native import Native
from specprof.diagnosis import diagnose
from specprof.diagnosis.probing import run_probes
from specprof.findings import Clear
from specprof.settings import RunSpec, Settings


def played(_, settings):
    columns = Columns()
    columns.feed(list(Native().run(RunSpec(id="x", profile="test", settings=settings), [])))
    return Evidence(columns, live=True)


def test_a_real_pairs_fall_past_its_training_is_named():
    """Seeing less, the draft is owed more; shifted, nothing is left of the overlap."""
    settings = Settings(
        context=1100, stops=2, max_new_tokens=48, temperature=1.0, threads=1, plain_steps=0,
        recheck_context=0, ignore_eos=True,
    )  # fmt: skip
    capture = played("", settings)
    after = run_probes(diagnose(capture), capture, ["short-view", "shifted-control"], played)
    view, shifted = after.verdicts[-2:]
    assert view.finding.suspects == ("mismatch/context-beyond-training",)
    assert view.finding.measures[-1].value > 0.1
    assert shifted.finding is None
    assert not [each for each in after.found if each.family == "bug"]


def test_a_sound_pair_clears_every_control(pair):
    """A tiny pair of random weights: what its controls owe they get."""
    settings = runs.settings(pair, temperature=1.0, max_new_tokens=48)
    capture = played("", settings)
    names = ["self-draft", "perturbed-self", "temperature-extremes", "position-offset"]
    after = run_probes(diagnose(capture), capture, names, played)
    told = {each.rule: each.outcome for each in after.verdicts if each.probe}
    assert list(told) == names
    assert all(isinstance(each, Clear) for each in told.values()), told
