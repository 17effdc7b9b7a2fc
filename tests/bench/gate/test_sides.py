"""Cases in files of their own: together they are the suite, and they say no more than it does."""

from __future__ import annotations

import tomllib

import numpy as np
import pytest

from jacobench.bench.gate.sides import write_cases
from jacobench.bench.suites.case import build
from jacobench.bench.suites.suite_files import load_suite, suite_names

GRAPH_FILE = """
from jacobench.graphs.generators.mlp import mlp_graph

def make_graph(width, hidden=(3,)):
    return mlp_graph([width, *hidden, 2])
"""


@pytest.mark.parametrize("name", suite_names())
def test_each_case_of_a_suite_is_made_again_from_its_own_file(name, tmp_path):
    suite = load_suite(name)
    files = write_cases(name, [case.name for case in suite.cases], tmp_path)
    assert list(files) == [case.name for case in suite.cases]
    for case in suite.cases:
        (again,) = load_suite(str(files[case.name])).cases
        assert (again.name, again.knobs, again.rng_seed, again.seeds) == (
            case.name,
            case.knobs,
            case.rng_seed,
            case.seeds,
        )
    _, leaves = build(suite.cases[0])
    _, others = build(load_suite(str(files[suite.cases[0].name])).cases[0])
    assert all(np.array_equal(leaves[key], others[key]) for key in leaves)


def test_only_the_cases_that_are_wanted_are_written(tmp_path):
    wanted = load_suite("smoke").cases[1].name
    assert list(write_cases("smoke", [wanted], tmp_path)) == [wanted]


def test_a_graph_of_ones_own_is_found_from_anywhere_and_strategies_are_left_out(tmp_path):
    (tmp_path / "mine.py").write_text(GRAPH_FILE)
    text = '[[sweep]]\ngraph = "mine.py:make_graph"\nwidth = [4, 5]\nhidden = [[3], [6, 7]]\nstrategies = ["dense"]\n'
    (tmp_path / "my.toml").write_text(text)
    suite = load_suite(str(tmp_path / "my.toml"))
    (tmp_path / "elsewhere").mkdir()
    files = write_cases(str(tmp_path / "my.toml"), [case.name for case in suite.cases], tmp_path / "elsewhere")
    assert len(files) == 4
    for case in suite.cases:
        (again,) = load_suite(str(files[case.name])).cases
        assert again.name == case.name
        assert again.make().leaves.keys() == case.make().leaves.keys()
        (sweep,) = tomllib.loads(files[case.name].read_text())["sweep"]
        assert sweep.keys() == {"graph", "width", "hidden"}
