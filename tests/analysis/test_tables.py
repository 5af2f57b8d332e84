"""Columns of a capture: what is taken from them for others to show."""

import ast

import numpy as np
import pytest

from specprof import registry
from specprof.analysis.tables import first_rounds

RULES = sorted((registry.PACKAGE / "diagnosis" / "rules").glob("*.py"))


@pytest.mark.parametrize(
    ("rounds", "where", "expected"),
    [
        ([3, 3, 1, 9], None, (1, 3, 9)),
        ([3, 3, 1, 9], [True, True, False, True], (3, 9)),
        ([3, 3, 1, 9], [False] * 4, ()),
        (list(range(40, 20, -1)), None, (21, 22, 23, 24, 25)),
        ([], None, ()),
    ],
)
def test_the_first_rounds_are_named_each_once(rounds, where, expected):
    """The lowest five of those that the mask holds, as plain integers."""
    mask = None if where is None else np.array(where)
    found = first_rounds(np.array(rounds, np.int64), mask)
    assert found == expected
    assert all(type(each) is int for each in found)


def test_places_of_entries_do_as_a_mask():
    """As `flatnonzero` of the mask gives them."""
    assert first_rounds(np.array([7, 5, 6]), np.array([0, 2])) == (6, 7)


@pytest.mark.parametrize("path", RULES, ids=lambda each: each.stem)
def test_no_rule_cuts_a_list_of_rounds_itself(path):
    """So that all findings name as many."""
    found = [
        each.value
        for each in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(each, ast.keyword) and each.arg == "rounds"
    ]
    assert not any("[:" in ast.unparse(each) and "tuple" in ast.unparse(each) for each in found)
