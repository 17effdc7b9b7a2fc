"""Processes of both sides of `gate --pytest`, without running them."""

from __future__ import annotations

from jacobench.bench.gate.benchmark_runner import suite_environment


def test_a_suite_gets_the_variables_of_the_caller(monkeypatch):
    given = {"PYTEST_DATA_DIR": "data", "OMP_NUM_THREADS": "4", "PYTHONTRACEMALLOC": "1", "A": "mine"}
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("PYTHONHASHSEED", raising=False)
    found = suite_environment({"A": "ours", "B": "ours"}, 3)
    assert found.items() >= (given | {"B": "ours", "PYTHONHASHSEED": "3"}).items()
    assert "PYTEST_DISABLE_PLUGIN_AUTOLOAD" not in found
    monkeypatch.setenv("PYTHONHASHSEED", "0")
    assert suite_environment({}, 3)["PYTHONHASHSEED"] == "0"
