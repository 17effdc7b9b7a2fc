"""Thresholds from TOML: defaults, globs, and one-line errors."""

from __future__ import annotations

import tomllib
from dataclasses import replace

import pytest

from jacobench.bench.row.name_patterns import matching
from jacobench.graphs.errors import BadInput
from jacobench.reports.regression.thresholds import GateThresholds, Thresholds, read_thresholds

WHOLE = """
time = 0.03
memory = 0.05
memory_bytes = "1MiB"
counts = 0.02
exponent = 0.2
pairs = 20

[[rows]]
case = "mlp-*"
time = 0.10

[[rows]]
case = "mlp-w64*"
strategy = "sparse*"
time = 0.05
"""


def test_nothing_said_means_the_defaults():
    assert read_thresholds({}) == GateThresholds()
    assert GateThresholds().of("any", "thing") == Thresholds(0.02, 0.01, 65536, 0.01, 0.1)


def test_all_keys():
    limits = read_thresholds(tomllib.loads(WHOLE))
    assert limits.pairs == 20
    assert limits.tightest == 0.03
    assert limits.of("lenet", "vjp") == Thresholds(0.03, 0.05, 2**20, 0.02, 0.2)


@pytest.mark.parametrize(
    ("case", "strategy", "time"),
    [
        ("lenet", "sparse", 0.03),
        ("mlp-w16", "vjp", 0.10),
        ("mlp-w64-d2", "sparse-2", 0.05),
        ("mlp-w64-d2", "vjp", 0.10),
    ],
)
def test_a_later_rule_overrides_an_earlier_one(case, strategy, time):
    found = read_thresholds(tomllib.loads(WHOLE)).of(case, strategy)
    assert found.time == time
    assert found.memory == 0.05


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ({"tmie": 0.02}, ["unknown key in [tool.jacobench.gate] 'tmie'", "did you mean 'time'"]),
        ({"rows": [{"stratgy": "vjp"}]}, ["rows[0]", "'stratgy'", "did you mean 'strategy'"]),
        ({"rows": [{"pairs": 10}]}, ["rows[0]", "'pairs'"]),
        ({"time": "2%"}, ["time is '2%'", "a number"]),
        ({"time": 2}, ["time is 2", "0.02 for 2 %"]),
        ({"time": 0}, ["time is 0", "above 0"]),
        ({"time": True}, ["time is True"]),
        ({"memory": float("nan")}, ["memory is nan"]),
        ({"memory_bytes": "64KB!"}, ["'64KB!' is not a size"]),
        ({"memory_bytes": -1}, ["memory_bytes is -1"]),
        ({"memory_bytes": 0.5}, ["memory_bytes is 0.5", "whole number"]),
        ({"exponent": 0}, ["exponent is 0"]),
        ({"pairs": 7}, ["pairs is 7", "an even number from 10 to 64"]),
        ({"pairs": 66}, ["pairs is 66"]),
        ({"pairs": True}, ["pairs is True"]),
        ({"rows": {"case": "a"}}, ["[[tool.jacobench.gate.rows]]"]),
        ({"rows": [{"case": 3}]}, ["rows[0] case is 3", "a glob"]),
    ],
)
def test_what_cannot_be_used(table, expected):
    with pytest.raises(BadInput) as raised:
        read_thresholds(table)
    assert all(words in str(raised.value) for words in expected), raised.value
    assert "\n" not in str(raised.value)


def test_an_exact_name_comes_before_a_glob():
    rules = {"rows": [{"case": "test_sum[10]", "time": 0.5}, {"case": "mlp-*", "time": 0.3}]}
    thresholds = replace(read_thresholds(rules), cases=("a.py::test_sum[10]", "a.py::test_sum1", "mlp-w4"))
    assert [thresholds.of(case, "vjp").time for case in thresholds.cases] == [0.5, 0.02, 0.3]
    assert thresholds.of("a.py::test_sum1", "vjp").time == 0.02


def test_the_cases_of_a_rule_are_found_once(monkeypatch):
    calls = []
    monkeypatch.setattr(
        "jacobench.reports.regression.thresholds.matching",
        lambda pattern, names: (calls.append(len(names)), matching(pattern, names))[1],
    )
    cases = tuple(f"a.py::test_{number}" for number in range(100))
    thresholds = replace(read_thresholds({"rows": [{"case": "test_7", "time": 0.5}]}), cases=cases)
    assert [case for case in cases if thresholds.of(case, "s").time == 0.5] == ["a.py::test_7"]
    assert calls.count(100) == 1
