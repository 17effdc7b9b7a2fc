"""Models from files: what a factory may return, which options apply, and what is refused."""

import numpy as np
import pytest

from jacobench.bench.suites.case import build
from jacobench.bench.suites.model_source import model_files, read_model
from jacobench.bench.suites.model_sweep import model_suite
from jacobench.bench.suites.suite_files import load_suite
from jacobench.graphs.errors import BadInput

FACTORIES = """
from json import dumps

import jacobench as jb

def network(batch=2):
    return jb.mlp([3, 4, 2], batch=batch)[0]

def trained(batch=2):
    graph, leaves = jb.mlp([3, 4, 2], batch=batch)
    leaves["W1"][...] = 7
    return graph, leaves

def fixed():
    return jb.mlp([3, 2])

def single():
    return jb.mlp([3, 2], dtype="float32")

def failing():
    raise KeyError("weights")

def leaving():
    raise SystemExit(3)

def wrong_leaf():
    graph, leaves = jb.mlp([3, 2])
    return graph, {**leaves, "W1": leaves["W1"][:1]}

def listed():
    graph, leaves = jb.mlp([3, 2])
    return graph, list(leaves)

def nothing():
    return None

def three():
    return 1, 2, 3

not_callable = 3
"""


@pytest.fixture
def factories(tmp_path):
    path = tmp_path / "nets.py"
    path.write_text(FACTORIES)
    return path


def test_a_factory_may_return_a_graph_with_or_without_leaves(factories):
    graph, leaves = read_model(f"{factories}:network", batch=5)
    assert graph.leaves["x"].shape == (5, 3)
    assert leaves is None
    graph, leaves = read_model(f"{factories}:trained")
    assert graph.leaves["x"].shape == (2, 3)
    assert np.all(leaves["W1"] == 7)


def test_the_leaves_to_differentiate_can_be_chosen(factories):
    assert read_model(f"{factories}:trained", wrt="inputs")[0].wrt == ("x", "target")
    assert read_model(f"{factories}:trained", wrt=["W2"])[0].wrt == ("W2",)


def test_a_case_has_the_leaves_of_the_factory(factories):
    (case,) = load_suite(model_suite(f"{factories}:trained")).cases
    assert case.name == "nets.trained"
    assert case.strategies == ("dense", "sparse", "vjp")
    assert np.all(build(case)[1]["W1"] == 7)


def test_cases_are_named_by_what_is_given(factories, tmp_path):
    text = (
        "[[sweep]]\ngraph = 'model'\nfile = 'nets.py:trained'\nbatch = [1, 8]\nwrt = ['inputs', 'all']\nn_seeds = 3\n"
    )
    (tmp_path / "own.toml").write_text(text)
    cases = load_suite(tmp_path / "own.toml").cases
    assert [case.name for case in cases] == [
        f"nets.trained-b{batch}-wrt{wrt}-seeds3" for batch in (1, 8) for wrt in ("inputs", "all")
    ]
    assert [build(case)[0].leaves["x"].shape[0] for case in cases] == [1, 1, 8, 8]
    assert {case.files for case in cases} == {(str(factories.resolve()),)}


def test_a_glob_selects_files_in_order(tmp_path):
    for name in ("b.onnx", "a.onnx", "c.txt"):
        (tmp_path / name).write_text("")
    assert model_files("*.onnx", tmp_path) == [str((tmp_path / name).resolve()) for name in ("a.onnx", "b.onnx")]


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("nets.py:nobody", {}, "unknown function of .*nets.py 'nobody': expected one of .*trained"),
        ("nets.py:not_callable", {}, "unknown function of .*nets.py 'not_callable'"),
        ("nets.py:failing", {}, "nets.py:failing raised KeyError: 'weights'"),
        ("nets.py:leaving", {}, "nets.py:leaving raised SystemExit: 3"),
        ("nets.py:wrong_leaf", {}, r"nets.py:wrong_leaf: leaf 'W1' has shape \(1, 3\): expected \(2, 3\)"),
        ("nets.py:listed", {}, r"nets.py:listed returned \(Graph, list\): expected"),
        ("nets.py:nothing", {}, r"nets.py:nothing returned NoneType: expected \(module, example_inputs\), "),
        ("nets.py:three", {}, r"nets.py:three returned \(int, int, int\): expected"),
        ("nets.py:fixed", {"batch": 3}, "the batch of .*nets.py:fixed is fixed, because the factory takes no argument"),
        ("nets.py:fixed", {"dims": {"n": 3}}, "dims apply to ONNX models, not to .*nets.py:fixed"),
        ("nets.py:single", {"dtype": "float64"}, "nets.py:single: the graph is in float32: expected float64"),
        ("nets.py:trained", {"wrt": ["W3"]}, "nets.py:trained: unknown leaf in wrt 'W3'"),
        ("nets.py", {}, "nets.py names no factory: expected file.py:factory"),
        ("nobody.py:f", {}, "there is no file .*nobody.py"),
        ("*.tflite", {}, r"no file matches '\*.tflite': expected an ONNX file"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line(factories, name, options, message):
    with pytest.raises(BadInput, match=message) as caught:
        read_model(*model_files(name, factories.parent), **options)
    assert "\n" not in str(caught.value)


def test_only_the_functions_of_a_file_are_proposed(factories):
    with pytest.raises(BadInput) as caught:
        read_model(f"{factories}:nobody")
    assert "network" in str(caught.value)
    assert "dumps" not in str(caught.value)


@pytest.mark.models
def test_a_batch_that_a_model_ignores_is_not_in_its_case(tmp_path):
    helper = pytest.importorskip("onnx.helper")
    onnx = pytest.importorskip("onnx")

    def write(name, batch):
        ends = [helper.make_tensor_value_info(end, onnx.TensorProto.FLOAT, (batch, 4)) for end in "xy"]
        graph = helper.make_graph([helper.make_node("Tanh", ["x"], ["y"])], "g", ends[:1], ends[1:])
        opset = helper.make_opsetid("", 17)
        onnx.save(helper.make_model(graph, opset_imports=[opset], ir_version=8), str(tmp_path / name))

    write("fixed.onnx", 2)
    write("free.onnx", "N")
    cases = load_suite(model_suite(str(tmp_path / "*.onnx"), batch=3, wrt="inputs")).cases
    assert [(case.name, case.knobs["batch"]) for case in cases] == [
        ("fixed-wrtinputs", None), ("free-b3-wrtinputs", 3),
    ]  # fmt: skip
    assert [build(case)[0].output_shape for case in cases] == [(2, 4), (3, 4)]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("", r"\.file: |: expected `file`, an ONNX file"),
        (
            "file = 'nets.py:fixed'\nbatch = [1, 2]",
            r"\.file: the batch of .*fixed is fixed: expected at most one batch",
        ),
        ("file = 'nets.py:fixed'\nbatch = 0", r"\.batch: expected `int` >= 1, got 0"),
        ("file = 'gone.onnx'", r"\.file: there is no file .*gone.onnx"),
        ("file = 'nets.py:fixed'\nwidth = 3", "unknown key 'width'"),
    ],
)
def test_a_bad_sweep_is_one_line(factories, lines, message):
    suite = factories.parent / "bad.toml"
    suite.write_text(f"[[sweep]]\ngraph = 'model'\n{lines}\n")
    with pytest.raises(BadInput, match=message):
        load_suite(suite)
