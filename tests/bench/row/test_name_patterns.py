"""Selection of names by a pattern."""

from __future__ import annotations

import pytest

from jacobench.bench.row.name_patterns import matching

NAMES = ("tests/t.py::test_sum[10]", "tests/t.py::test_sum1", "tests/u.py::TestA::test_sum[10]", "net[1]", "net1")


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("tests/t.py::test_sum[10]", [0]),
        ("t.py::test_sum[10]", [0]),
        ("TestA::test_sum[10]", [2]),
        ("test_sum[10]", [0, 2]),
        ("test_sum[01]", [1]),  # a glob
        ("test_*", [0, 1, 2]),
        ("tests/u*", [2]),
        ("net[1]", [3]),
        ("net*", [3, 4]),
        ("tests/t.py::test_sum", [0]),
        ("test_sum", [0, 2]),
        ("tests/t.py", [0, 1]),
        ("TestA", [2]),
        ("net", []),
        ("sum", []),
    ],
)
def test_an_exact_name_a_short_form_or_a_glob(pattern, found):
    assert matching(pattern, NAMES) == [NAMES[k] for k in found]
