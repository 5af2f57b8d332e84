"""The catalogue is complete and mutual, and holds all ids that rules, probes and faults name."""

import ast
import re

import pytest

from specprof import registry
from specprof.catalogue import case, cases, id_of
from specprof.errors import UnknownName

CASES = cases()
ID = re.compile(r"[a-z]+/[a-z0-9]+(-[a-z0-9]+)*")
JUDGES = [*registry.members("rule").values(), *registry.members("probe").values()]
READERS = sorted(
    {
        *(each.path for each in JUDGES if each.path.is_relative_to(registry.PACKAGE)),
        *(registry.PACKAGE / "diagnosis").rglob("*.py"),
        *(registry.PACKAGE / "analysis").rglob("*.py"),
    }
)
FAULTS = registry.members("fault")


def strings(path):
    """Return every text in a file's code that looks like an id of the catalogue."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    texts = (each.value for each in ast.walk(tree) if isinstance(each, ast.Constant))
    prefixes = {each.partition("/")[0] for each in CASES}
    return {
        text
        for text in texts
        if isinstance(text, str) and ID.fullmatch(text) and text.partition("/")[0] in prefixes
    }


def test_it_holds_every_known_case():
    """63 bugs, 7 numerics, 10 configuration errors, 6 mismatches, 16 costs, 27 of measuring."""
    kinds = [each.kind for each in CASES.values()]
    counted = {kind: kinds.count(kind) for kind in set(kinds)}
    assert counted == {
        "implementation bug": 63,
        "numerics": 7,
        "configuration error": 10,
        "distribution mismatch": 6,
        "performance": 16,
        "measurement": 27,
    }


@pytest.mark.parametrize("name", CASES)
def test_a_case_says_what_it_is(name):
    """It has a title of one line, a remedy, and threads that can be looked up."""
    each = CASES[name]
    assert ID.fullmatch(name)
    assert 15 < len(each.title) <= 90
    assert not each.title.endswith(".")
    assert each.title[0].isupper()
    assert len(each.remedy) > 20
    assert each.remedy[0].islower()
    assert not each.remedy.endswith(".")
    assert all(re.fullmatch(r"[\w.-]+/[\w.-]+#\d+", thread) for thread in each.threads)


def test_only_theory_stands_without_a_thread():
    """No user has reported the others."""
    bare = {name for name, each in CASES.items() if not each.threads}
    assert bare == {
        "accept/residual-not-subtracted",
        "accept/bonus-from-draft",
        "accept/final-from-wrong-row",
        "verify/rows-off-by-one",
        "eagle/fed-back-at-another-stage",
        "eagle/fed-back-own-answer",
        "eagle/fed-back-stale-state",
        "kv/request-reads-foreign-rows",
        "kv/stale-token-fed",
    }


@pytest.mark.parametrize("name", CASES)
def test_cases_alike_are_alike_both_ways(name):
    """Each of a pair names the other, and no case names itself."""
    for other in CASES[name].alike:
        assert other != name
        assert name in CASES[other].alike, other


@pytest.mark.parametrize("path", READERS, ids=lambda each: str(each.relative_to(registry.PACKAGE)))
def test_what_is_suspected_is_in_the_catalogue(path):
    """Every id is, in the code of a rule, of a probe, and of the code they share."""
    assert strings(path) - set(CASES) == set()


def test_ids_are_found_in_code(tmp_path):
    """The check above finds ids wherever they stand, and nothing else."""
    path = tmp_path / "rule.py"
    path.write_text('A = {"x": ("kv/no-such-case", "lossy/other")}\nB = f"{1} kv/this text"\n')
    assert strings(path) == {"kv/no-such-case"}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_a_case(name):
    """Its file's path is the case's id, and the case is one that signals show."""
    assert name in CASES


def test_a_name_with_dashes_is_found():
    """Faults once had such names; other texts are returned unchanged."""
    assert id_of("kv-draft-rollback-over-trim") == "kv/draft-rollback-over-trim"
    assert id_of("kv/draft-rollback-over-trim") == "kv/draft-rollback-over-trim"
    assert id_of("state-drifts") == "state-drifts"


def test_an_unknown_case_lists_the_nearest():
    """It does so as every unknown name does."""
    with pytest.raises(UnknownName) as refused:
        case("kv/draft-rollback-over-trimm")
    assert "known: kv/draft-rollback-over-trim," in refused.value.hint
