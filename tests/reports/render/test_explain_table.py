"""The explanation on the terminal: complete at 80 and at 120 columns."""

import io

import pytest
from rich.console import Console

import jacobench as jb
from jacobench.reports.explain.jacobian_costs import jacobian_costs
from jacobench.reports.render.explain_table import ExplanationTable


def shown(graph, width):
    console = Console(file=io.StringIO(), width=width)
    console.print(ExplanationTable(jacobian_costs(graph), "mine", 2**34))
    return console.file.getvalue()


@pytest.mark.parametrize("width", [80, 120])
def test_nothing_is_cut_off(width):
    graph = jb.mlp([784, 256, 10], batch=32, weight_density=0.5)[0]
    text = shown(graph, width)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    for cost in jacobian_costs(graph).jacobians:
        assert cost.jacobian in text
        assert cost.structure in text
        assert f"{cost.n_rows:,}\u00a0×\u00a0{cost.n_columns:,}" in text
    for heading in ("dense", "not zero", "sparse", "VJP extra", "build", "apply dense", "apply sparse", "peak"):
        assert heading in text


def test_the_numbers_are_those_of_the_rows():
    lines = [line.split() for line in shown(jb.mlp([784, 256, 10])[0], 120).splitlines()]
    bytes_line, flops_line = (line for line in lines if line[:1] == ["∂affine1/∂W1"])
    assert bytes_line[-7:] == ["392", "MiB", "201k", "2.30", "MiB", "0", "B"]
    assert flops_line[1:] == ["0", "103M", "401k", "401k"]


def test_brackets_in_a_name_are_no_markup():
    g = jb.GraphBuilder()
    text = shown(g.build(g.tanh(g.parameter("[red]p[/red]", (3,)))), 80)
    assert "∂tanh/∂[red]p[/red]" in text


def test_a_graph_without_jacobians_is_shown():
    g = jb.GraphBuilder()
    assert "Each Jacobian by itself fits" in shown(g.build(g.parameter("p", (3,))), 80)
