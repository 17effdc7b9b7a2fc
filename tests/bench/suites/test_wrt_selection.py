"""The key ``wrt``, the dtype of own graphs, and leaves that a graph brings along."""

from __future__ import annotations

import numpy as np
import pytest

from jacobench.bench.floor.predicted_rows import predicted_rows
from jacobench.bench.suites.case import build, graph_of, problem_of
from jacobench.bench.suites.suite_files import load_suite
from jacobench.bench.suites.sweep_expansion import expand, split_sweep
from jacobench.bench.suites.wrt_selection import swept_wrt, wrt_in_name
from jacobench.graphs.errors import BadInput

BUDGET = 2**28

GRAPH_FILE = """
import numpy as np
from jacobench.graphs.generators.mlp import mlp

def net(width=3, dtype="float64"):
    return mlp([width, 2], loss=None, dtype=dtype)[0]

def fixed(width=3):
    return mlp([width, 2], loss=None, wrt=["x", "b1"])[0]

def trained(change=""):
    graph, leaves = mlp([3, 2], loss=None)
    leaves["W1"][:] = np.arange(6).reshape(2, 3)
    if change == "name":
        leaves["W"] = leaves.pop("W1")
    if change == "shape":
        leaves["W1"] = leaves["W1"].T
    if change == "dtype":
        leaves["W1"] = leaves["W1"].astype("float32")
    if change == "kind":
        leaves = 3
    if change == "masked":
        leaves["W1"] = np.ma.masked_less(leaves["W1"], 1)
    return (graph, leaves, 1) if change == "three" else (graph, leaves)
"""


@pytest.fixture
def cases_of(tmp_path):
    """Return a function from a function in a file and keys of a sweep to the sweep's cases."""
    (tmp_path / "own.py").write_text(GRAPH_FILE)

    def load(function, keys=""):
        (tmp_path / "own.toml").write_text(f'[[sweep]]\ngraph = "own.py:{function}"\n{keys}')
        return load_suite(str(tmp_path / "own.toml")).cases

    return load


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("all", ["all"]),
        ("W1", [["W1"]]),
        (["W1", "x"], [["W1", "x"]]),
        (["inputs", "all"], ["inputs", "all"]),
        (["inputs", ["W1", "x"]], ["inputs", ["W1", "x"]]),
        ([["W1"], ["x", "b1"]], [["W1"], ["x", "b1"]]),
    ],
)
def test_a_list_of_names_is_one_value(value, found):
    assert swept_wrt(value) == found


def test_words_and_names_are_not_mixed():
    with pytest.raises(
        BadInput, match=r"^.wrt: expected names of leaves, or a list of inputs, .*write \['W1'\] as a list"
    ):
        swept_wrt(["inputs", "W1"])


def test_names_with_other_characters_and_long_names_stay_distinct():
    long = [f"weight_{k}" for k in range(9)]
    texts = [wrt_in_name(names) for names in (["a/b"], ["a:b"], ["a_b"], long, long[:8])]
    assert len(set(texts)) == 5
    assert max(map(len, texts)) <= 50
    assert not set("".join(texts)) & set("/:*?[]")


@pytest.mark.parametrize(
    ("sweep", "default", "names"),
    [
        ({"graph": "mlp", "width": 3, "depth": 1}, ("W1", "b1"), ("x", "target")),
        ({"graph": "architecture", "name": "pinn", "loss": "none"}, None, ("x",)),
        ({"graph": "op", "name": "affine", "size": 4}, ("z", "W", "b"), ("z",)),
        ({"graph": "chain", "ops": ["affine", "add"], "size": 4}, ("e",), ("e", "c2")),
    ],
)
def test_every_generator_selects_leaves(sweep, default, names):
    (usual,) = expand(sweep, None)
    assert "wrt" not in usual.name
    if default:
        assert graph_of(usual).wrt == default
    cases = expand({**sweep, "wrt": ["inputs", [names[0]]]}, None)
    assert graph_of(cases[0]).wrt == names
    assert graph_of(cases[1]).wrt == names[:1]
    assert cases[0].name == f"{usual.name}-wrtinputs"
    assert cases[0].knobs["wrt"] == "inputs"
    assert cases[1].knobs["wrt"] == names[0]
    again = [expand(single, None)[0] for single in split_sweep({**sweep, "wrt": ["inputs", [*names]]}, None)]
    assert [graph_of(case).wrt for case in again] == [names, names]
    assert again[1].knobs["wrt"] == ",".join(names)


@pytest.mark.parametrize(
    ("wrt", "message"),
    [
        (["W"], "unknown leaf in wrt 'W': expected one of .*W1.*did you mean 'W1'"),
        ("input", "unknown leaf in wrt 'input'.*did you mean 'inputs'"),
        ([], "expected `array` of length >= 1"),
    ],
)
def test_a_bad_selection_names_its_place(wrt, message):
    with pytest.raises(BadInput, match=rf"^\.wrt: .*{message}"):
        expand({"graph": "mlp", "width": 3, "depth": 1, "wrt": wrt}, None)


def test_a_selection_without_a_leaf_lists_the_leaves():
    with pytest.raises(BadInput, match=r"^\.wrt: wrt = 'parameters' selects no leaf: .* x \(input\)"):
        expand({"graph": "op", "name": "tanh", "wrt": "parameters"}, None)


def test_an_own_graph_keeps_its_leaves_unless_others_are_selected(cases_of):
    (usual,), (chosen,) = cases_of("fixed"), cases_of("fixed", 'wrt = "all"')
    assert (usual.name, graph_of(usual).wrt) == ("own.fixed", ("x", "b1"))
    assert (chosen.name, graph_of(chosen).wrt) == ("own.fixed-wrtall", ("x", "W1", "b1"))
    (row, *_) = predicted_rows(usual, ["vjp"])
    assert (row["wrt"], row["dtype"]) == ("x,b1", "float64")


def test_an_own_graph_gets_the_dtype_or_must_have_it(cases_of):
    both = cases_of("net", 'dtype = ["float64", "float32"]')
    assert [(case.name, graph_of(case).dtype.name, case.knobs["dtype"]) for case in both] == [
        ("own.net-dtypefloat64", "float64", "float64"),
        ("own.net-dtypefloat32", "float32", "float32"),
    ]
    (same,), (other,) = cases_of("fixed", 'dtype = "float64"'), cases_of("fixed", 'dtype = "float32"')
    assert same.name == "own.fixed-float64"
    assert graph_of(same).dtype == "float64"
    with pytest.raises(BadInput, match="fixed returned a graph of dtype float64: expected float32; give the function"):
        graph_of(other)
    with pytest.raises(BadInput, match="unknown dtype 'float16'"):
        cases_of("net", 'dtype = "float16"')


def test_trained_leaves_are_used_and_copied(cases_of):
    (case,) = cases_of("trained", 'wrt = "inputs"')
    graph, leaves = build(case)
    np.testing.assert_array_equal(leaves["W1"], np.arange(6).reshape(2, 3))
    problem = problem_of(case, BUDGET)
    np.testing.assert_array_equal(problem.leaves["W1"], leaves["W1"])
    assert graph.wrt == ("x",)
    np.testing.assert_allclose(problem.reference["x"], problem.seeds @ leaves["W1"])


def test_given_leaves_belong_to_the_problem(make_case):
    from dataclasses import replace

    from jacobench.graphs.generators.mlp import mlp

    made = mlp([3, 2])
    problem = problem_of(replace(make_case(), make=lambda: made), BUDGET)
    problem.leaves["W1"][:] = 0
    assert made[1]["W1"].all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("name", "leaves given: x, b1, W; expected exactly: x, W1, b1"),
        ("shape", r"leaf 'W1' has shape \(3, 2\): expected \(2, 3\)"),
        ("dtype", "leaf 'W1' has dtype float32: expected float64"),
        ("masked", "leaf 'W1' has masked entries"),
        ("kind", r"expected its generator to return a Graph or \(Graph, leaves\), got \(Graph, int\)"),
        ("three", r"expected its generator to return a Graph or \(Graph, leaves\), got \(Graph, dict, int\)"),
    ],
)
def test_leaves_that_do_not_fit_are_refused(cases_of, change, message):
    (case,) = cases_of("trained", f'change = "{change}"')
    with pytest.raises(BadInput, match=message):
        problem_of(case, BUDGET)
