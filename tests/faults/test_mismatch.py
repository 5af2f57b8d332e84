"""Genuine mismatches: the draft is owed less, and nothing is broken."""

import pytest

from drilled import assert_still, load_fault, play_drill
from specprof import registry
from specprof.faults._settings import DRILL_SETTINGS, drill_settings
from specprof.limits import check

NAMES = [name for name in registry.members("fault") if name.startswith("mismatch/")]


@pytest.mark.parametrize("name", NAMES)
def test_its_settings_can_be_run(name):
    """And differ from those of every drill, unless the weights are what differs."""
    kind = load_fault(name)
    check(drill_settings(kind))
    differs = any(DRILL_SETTINGS.get(field) != value for field, value in kind.settings.items())
    assert differs is (name != "mismatch/adapter-or-finetune")


def test_a_target_tuned_further_is_owed_less_with_nothing_broken(family):
    """Its recheck knows of the tuning: laws used and recomputed agree."""
    run, sound = play_drill(family, "mismatch/adapter-or-finetune"), play_drill(family, None)
    for role in ("target", "draft"):
        assert_still(run, role)
    assert owed(run) < owed(sound)


def owed(run):
    places = [place.overlap for _, place in run.places]
    return sum(places) / len(places)
