"""``jacobench explain``: the real command."""

from __future__ import annotations

import csv
import io
import json
import sys

import pytest

import jacobench as jb
from jacobench.__main__ import main

GRAPH = """
import jacobench as jb


def gated(width, batch=1):
    g = jb.GraphBuilder()
    x = g.input("x", (batch, width))
    h = g.affine(x, g.parameter("W", (width, width)), g.parameter("b", (width,)))
    return g.build(output=g.multiply(h, g.sigmoid(h)))
"""


@pytest.fixture
def explained(jacobench, tmp_path):
    """Return a function from options to what the command says in JSON."""
    (tmp_path / "my_graph.py").write_text(GRAPH)

    def explain(*arguments):
        done = jacobench("explain", *arguments, "--json", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        return json.loads(done.stdout)

    return explain


def test_the_answer_to_the_question_is_on_the_screen(jacobench, tmp_path):
    done = jacobench("explain", "--widths", "784,256,10", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    told = " ".join(done.stdout.split())
    assert "∂affine1/∂W1 has 51,380,224 entries (392 MiB), of which 200,704 are not zero; its VJP is the outer" in told
    assert max(map(len, done.stdout.splitlines())) <= 120
    assert not list(tmp_path.iterdir())


def test_an_architecture_of_a_petabyte(explained):
    found = explained("--architecture", "transformer-ffn-large", "--batch", 8192)
    assert sum(row["dense_bytes"] for row in found["jacobians"]) > 2**50
    assert any("Would not fit" in sentence for sentence in found["follows"])


def test_an_op_at_a_size(explained):
    found = explained("--op", "tanh", "--size", 1000, "--batch", 2, "--dtype", "float32")
    assert found["name"] == "tanh-w1000-b2-float32"
    (row,) = found["jacobians"]
    assert (row["n_rows"], row["n_columns"], row["n_nonzeros"], row["dense_bytes"]) == (2000, 2000, 2000, 4 * 2000**2)


def test_a_graph_of_ones_own_with_its_arguments(explained):
    found = explained("--graph", "my_graph.py:gated", "--set", "width=7", "--batch", 3)
    assert found["jacobians"][0]["n_rows"] == 21
    assert found["n_parameters"] == 56


def test_every_knob_of_a_perceptron(explained):
    found = explained(
        "--widths", "8,8,4", "--activation", "relu", "--loss", "none", "--weight-density", "0.5", "--residual",
        "--normalization", "layer_norm", "--n-seeds", 3,
    )  # fmt: skip
    ops = [row["op"] for row in found["jacobians"]]
    assert set(ops) == {"masked_affine", "layer_norm", "relu"} | {"add"}
    assert found["n_seeds"] == 3


def test_csv_and_plots_at_once(jacobench, tmp_path):
    done = jacobench("explain", "--widths", "5,4,3", "--csv", "--plot", "plots", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    expected = jb.explain(jb.mlp([5, 4, 3])[0]).to_dict("records")
    assert rows == [{key: str(value) for key, value in row.items()} for row in expected]
    names = {f"plots/{name}.{ending}" for name in ("patterns", "bytes") for ending in ("png", "svg", "csv")}
    assert set(done.stderr.split()) == names
    assert {str(path.relative_to(tmp_path)) for path in (tmp_path / "plots").iterdir()} == names


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("", ["exactly one of --widths, --architecture, --op, --graph, --model, got none of them"]),
        ("--widths 3,2 --op tanh", ["exactly one of", "got --widths and --op"]),
        ("--widths 3,two", ["--widths is '3,two'", "784,300,10"]),
        ("--widths 3", ["--widths", "at least two"]),
        ("--widths 3,0", ["--widths", "got 0"]),
        ("--widths 3,2 --batch 0", ["--batch", "got 0"]),
        ("--widths 3,2 --activation rleu", ["--activation", "unknown activation 'rleu'", "did you mean 'relu'"]),
        ("--widths 3,2 --weight-density 2", ["--weight-density", "got 2.0"]),
        ("--widths 3,2 --size 4", ["--size", "unknown key 'size'"]),
        (
            "--architecture lenet-300",
            ["--architecture", "unknown architecture 'lenet-300'", "did you mean 'lenet-300-100'"],
        ),
        ("--op tnah --size 3", ["--op", "unknown op 'tnah'", "did you mean 'tanh'"]),
        ("--op tanh --size 0", ["--size", "got 0"]),
        ("--graph nowhere.py:f", ["--graph", "nowhere.py"]),
        ("--graph my_graph.py:gated", ["width"]),
        ("--graph my_graph.py:gated --set width", ["--set is 'width'", "KEY=VALUE"]),
        ("--graph my_graph.py:gated --set width=[2,3]", ["selects 2 graphs", "expected one"]),
        ("--widths 3,2 --csv --json", ["--csv and --json", "one of them"]),
    ],
)
def test_bad_input_is_one_line(arguments, expected, tmp_path, monkeypatch, capsys):
    """In this process: the way from BadInput to exit code 2 is that of all commands, see test_bad_input."""
    (tmp_path / "my_graph.py").write_text(GRAPH)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["jacobench", "explain", *arguments.split()])
    code = main()
    said = capsys.readouterr()
    assert (code, said.out, said.err.count("\n")) == (2, "", 1)
    assert all(part in said.err for part in expected), said.err


@pytest.mark.parametrize(
    ("wrt", "found"),
    [(None, ["∂affine/∂W1", "∂affine/∂b1"]), ("inputs", ["∂affine/∂x"]), ("x,b1", ["∂affine/∂x", "∂affine/∂b1"])],
)
def test_the_leaves_are_selected(wrt, found, capsys, monkeypatch):
    options = [] if wrt is None else ["--wrt", wrt]
    monkeypatch.setattr(sys, "argv", ["jacobench", "explain", "--widths", "4,3", "--loss", "none", "--json", *options])
    assert main() == 0
    content = json.loads(capsys.readouterr().out)
    assert [cost["jacobian"] for cost in content["jacobians"]] == found
    graph, _ = jb.mlp([4, 3], loss=None)
    assert jb.explain(graph, wrt=wrt.split(",") if wrt == "x,b1" else wrt)["jacobian"].tolist() == found


def test_the_cotangents_of_a_whole_jacobian_are_its_rows(capsys, monkeypatch):
    options = ["--widths", "4,3", "--batch", "2", "--loss", "none", "--set", "task=jacobian", "--json"]
    monkeypatch.setattr(sys, "argv", ["jacobench", "explain", *options])
    assert main() == 0
    assert json.loads(capsys.readouterr().out)["n_seeds"] == 6
