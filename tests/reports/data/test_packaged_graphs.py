"""Graphs built again: only of suites of ours, only where they are the same, and nothing of a run's file is run."""

import pytest

from jacobench.bench.row.columns import tidy
from jacobench.bench.suites.suite_files import load_suite
from jacobench.reports.data.packaged_graphs import rebuilt


def table_of(suite="standard", **more):
    cases = load_suite("standard").cases
    rows = [
        {"suite": suite, "case": case.name, "strategy": "vjp", "phase": "gradient", "status": "ok"}
        | {"n_parameters": case.make().n_parameters}
        | dict(case.knobs)
        | more
        for case in cases
    ]
    return tidy(rows)


def test_every_case_of_a_suite_of_ours_comes_back():
    found = rebuilt(table_of())
    assert list(found) == [case.name for case in load_suite("standard").cases]
    for name, (case, graph) in found.items():
        assert case.name == name
        assert graph.n_parameters == case.make().n_parameters


@pytest.mark.parametrize(
    "other", [{"width": 17}, {"activation": "relu"}, {"n_parameters": 1}, {"n_seeds": 77}, {"loss": None}]
)
def test_a_case_of_the_same_name_that_differs_is_another_one(other):
    assert rebuilt(table_of(**other)) == {}


def test_no_file_that_a_run_names_is_opened(tmp_path):
    trap = tmp_path / "trap.py"
    trap.write_text("raise SystemExit('run')\n")
    suite = tmp_path / "standard.toml"
    suite.write_text(f'[[sweep]]\ngraph = "{trap}:make"\n')
    for named in (str(suite), "standard.toml", "../standard", f"{trap}:make", None):
        assert rebuilt(table_of(named)) == {}
