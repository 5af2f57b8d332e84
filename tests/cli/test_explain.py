"""``specprof explain``, as a user runs it."""

import subprocess
import sys

import pytest

from specprof import plan, registry
from specprof.catalogue import cases
from specprof.decision_table import NAMES, find_group
from specprof.glossary import METRICS
from specprof.settings import Settings


def specprof(*arguments) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "specprof", "explain", *arguments]
    return subprocess.run(command, capture_output=True, check=False, text=True)


def test_everything_is_listed_with_a_line():
    """Every rule, every probe, every metric, every setting, every case of the catalogue."""
    told = specprof().stdout
    members = [*registry.members("rule"), *registry.members("probe")]
    for name in [*members, *METRICS, *Settings.__struct_fields__, *cases()]:
        assert f"\n  {name} " in told


@pytest.mark.parametrize("name", ["cache-length-wrong", "too-few-rounds"])
def test_a_rule_is_explained_by_its_docstring(name):
    """Whole, as it stands in its file, with the page of theory spelled out."""
    told = specprof(name).stdout.replace("docs/theory.md, ", "theory ")
    whole, _, _ = told.partition("\n\nDecision table\n")
    assert whole == f"{name}: {registry.member('rule', name).docstring}"
    assert "Does not see" in whole


@pytest.mark.parametrize("name", ["cache-length-wrong", "head-scan"])
def test_a_judge_is_explained_with_its_place_in_the_decision_table(name):
    """A rule and a probe: the stage, the place and why the stage stands there."""
    *_, heading, place, why = specprof(name).stdout.splitlines()
    group = find_group(name)
    assert heading == "Decision table"
    number = NAMES.index(name) + 1
    assert place == f'    Stage "{group.stage.value}", place {number} of {len(NAMES)}.'
    assert why == f"    {group.why}"


def test_a_metric_is_explained_with_its_denominator():
    """Never a bare acceptance rate."""
    assert specprof("alpha_cond").stdout.startswith("alpha_cond: accepted / reached.")


@pytest.mark.parametrize("name", ["accept/always-accept", "accept-always-accept"])
def test_a_case_is_explained_with_its_fault(name):
    """By its id, or as its fault is called: what to do, where it was seen, how to drill it."""
    told = specprof(name).stdout
    assert told.startswith("accept/always-accept: Every drafted token is accepted.\n")
    for part in (
        "implementation bug; shows as: accept rule",
        f"remedy: {cases()['accept/always-accept'].remedy}",
        "seen in: huggingface/transformers#28508, ",
        "specprof drill accept/always-accept",
        registry.member("fault", "accept/always-accept").docstring,
    ):
        assert part in told


def test_a_case_says_why_nothing_shows_it_and_what_looks_like_it():
    """Where that is so."""
    assert "no capture shows it: a race" in specprof("kv/draft-loop-buffer-race").stdout
    told = specprof("kv/sliding-mask-size-mismatch").stdout
    assert "looks like these in a capture: kv/ring-cache-wrap-no-rollback, pos/streaming" in told


def test_an_unknown_name_lists_the_known_ones_nearest_first():
    """Exit code 2, nothing on stdout."""
    ended = specprof("accept_fraction")
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert "known: accept_frac," in ended.stderr


@pytest.mark.parametrize("name", ["draft-model", "sink-window", "speedscope", "long-context"])
def test_whatever_the_list_names_is_explained(name):
    """A drafter, a cache, an exporter, a profile: by its own description."""
    ended = specprof(name)
    assert ended.returncode == 0
    assert ended.stdout.startswith(f"{name}: ")
    assert len(ended.stdout) > len(name) + 20


@pytest.mark.parametrize("name", ["graphs", "path", "detail", "draft-cache"])
def test_a_setting_is_explained_as_it_is_given(name):
    """As a profile writes it, or as an option; with the words it can be and its default."""
    told = specprof(name).stdout
    field = name.replace("-", "_")
    assert told == f"{field}: {plan.describe_settings()[field]}\n"
    assert f"--set {field}=VALUE" in told


def test_a_setting_called_like_a_member_is_explained_beside_it():
    """`block` is a rule of acceptance, and what a windowed cache evicts at once."""
    member, setting = specprof("block").stdout.split("\n\nblock: ")
    assert member == f"block: {registry.member('acceptance', 'block').docstring}"
    assert setting.startswith("Cache `sink-window`: tokens evicted at once")


def test_explaining_loads_no_heavy_package():
    """It starts in a moment: names come from files, not from imports."""
    code = (
        "import sys; sys.argv = ['specprof', 'explain', 'kv-draft-rollback-over-trim']\n"
        "from specprof.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'numpy', 'scipy', 'torch', 'textual'} & set(sys.modules)\n"
        "print(heavy, file=sys.stderr); sys.exit(bool(heavy))"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert ended.returncode == 0, ended.stderr
