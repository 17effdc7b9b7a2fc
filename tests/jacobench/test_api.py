"""The public Python API, as the contract writes it."""

from __future__ import annotations

import subprocess
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

import jacobench as jb
from jacobench import api
from jacobench.bench.row.columns import COLUMNS


def test_the_contracts_own_lines():
    graph, leaves = jb.mlp([784, 300, 100, 10], batch=32)
    lin = jb.strategy("vjp").prepare(graph).linearize(leaves)
    grads = lin.pullback(np.ones((1, *lin.output.shape)))
    assert {name: grad.shape for name, grad in grads.items()} == {
        name: (1, *leaves[name].shape) for name in ("W1", "b1", "W2", "b2", "W3", "b3")
    }


def test_a_graph_of_the_user():
    g = jb.GraphBuilder(dtype="float64")
    x = g.input("x", (32, 7))
    W, b = g.parameter("W1", (5, 7)), g.parameter("b1", (5,))
    graph = g.build(output=g.tanh(g.affine(x, W, b)), wrt=None)
    leaves = graph.sample(rng_seed=0)
    y = graph.evaluate(leaves, xp=np)
    np.testing.assert_allclose(y, np.tanh(leaves["x"] @ leaves["W1"].T + leaves["b1"]))
    assert isinstance(graph, jb.Graph)


def test_strategies_is_the_subpackage_and_strategy_names_lists_them():
    assert isinstance(jb.strategies, ModuleType)
    assert jb.strategies.__name__ == "jacobench.strategies"
    assert not callable(jb.strategies)
    names = jb.strategy_names()
    assert names[:1] == ["dense"]
    assert {"dense", "dense-blocks", "sparse", "vjp", "forward-dense", "forward-sparse", "linear-operator"} <= set(
        names
    )
    from jacobench.strategies.contract import Unsupported

    assert jb.Unsupported is Unsupported


def test_everything_that_is_offered_is_there():
    for name in dir(jb):
        assert getattr(jb, name) is not None
    assert {
        "run",
        "load",
        "plot",
        "mlp",
        "strategy",
        "strategies",
        "strategy_names",
        "GraphBuilder",
        "Graph",
        "BadInput",
    } <= set(dir(jb))
    with pytest.raises(AttributeError, match="no_such_thing"):
        _ = jb.no_such_thing


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("api")
    (folder / "tiny.toml").write_text('[[sweep]]\ngraph = "mlp"\nwidth = 3\ndepth = 1\nbatch = [1, 2]\n')
    table = jb.run(str(folder / "tiny.toml"), out=folder / "run", strategies=["vjp"], cases=["*-b2"], passes=1)
    return table, folder / "run"


def test_run_returns_the_table_that_load_reads(made):
    table, folder = made
    assert list(table.columns) == list(COLUMNS)
    assert set(table["strategy"]) == {"forward", "vjp"}
    assert set(table["case"]) == {"mlp-w3-d1-b2"}
    pd.testing.assert_frame_equal(table, jb.load(folder))
    pd.testing.assert_frame_equal(table, jb.load(str(folder / "run.json")))


def test_run_prints_its_notes_to_standard_error(made, monkeypatch, capsys):
    given = []
    folder = SimpleNamespace(notes=["no commit: it is unknown"])
    monkeypatch.setattr("jacobench.bench.run.runner.start", lambda *_: folder)
    monkeypatch.setattr(api, "finish", lambda *arguments, **_more: given.append(arguments) or jb.read(made[1]))
    jb.run("smoke", passes=1)
    given[0][2]("not drawn: no font")
    assert tuple(capsys.readouterr()) == ("", "no commit: it is unknown\nnot drawn: no font\n")


def test_a_notebook_displays_a_run_that_was_read(made):
    run = jb.read(made[1])
    html = run._repr_html_()
    assert "mlp-w3-d1-b2" in html
    assert "<img" in html
    assert type(run)(run.table)._repr_html_() is None, "data do not import what displays them"


def test_growth_and_crossovers_are_had_from_a_run(made):
    table, folder = made
    passes = jb.load_passes(folder)
    assert len(passes) == (table["status"] == "ok").sum()
    assert jb.growth(table, passes)["knob"].tolist() == []  # no knob has three sizes here
    assert set(jb.crossovers(table, passes)["first"]) <= {"vjp"}
    assert jb.reuse(passes).empty  # vjp alone was measured
    assert set(jb.recommend(table, passes)["decision"]) == {"alone"}
    assert {"run.json", "measurements.csv", "journal.jsonl", "plots"} <= {path.name for path in folder.iterdir()}


def test_plot_returns_figures(made):
    figures = jb.plot(made[0])
    assert figures
    assert all(isinstance(figure, Figure) for figure in figures.values())


def test_a_run_is_complete_without_its_plots(tmp_path, monkeypatch):
    def no_plots(_run):
        raise ValueError("no\nfont")

    monkeypatch.setattr("jacobench.reports.plots.all_plots.all_plots", no_plots)
    said = []
    api._draw(None, tmp_path / "plots", said.append)
    assert said == [f"not drawn: ValueError: no font. To try again: jacobench plot {tmp_path}"]


def test_a_full_disk_is_an_error_because_resuming_draws_the_plots(tmp_path, monkeypatch):
    def full(_run):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("jacobench.reports.plots.all_plots.all_plots", full)
    with pytest.raises(OSError, match="No space left"):
        api._draw(None, tmp_path / "plots", print)


def test_bad_input_is_a_value_error_that_offers_the_nearest_match(tmp_path):
    with pytest.raises(jb.BadInput, match="did you mean 'smoke'"):
        jb.run("smok", out=tmp_path / "run")
    with pytest.raises(ValueError, match="did you mean 'vjp'"):
        jb.strategy("vpj")
    with pytest.raises(jb.BadInput, match="no run at"):
        jb.load(tmp_path / "nowhere")
    (tmp_path / "out-of-the-way").write_text("mine")
    with pytest.raises(ValueError, match="out-of-the-way"):
        jb.run("smoke", out=tmp_path / "out-of-the-way")
    assert [path.name for path in tmp_path.iterdir()] == ["out-of-the-way"]


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import jacobench", ["numpy", "jacobench.graphs", "jacobench.strategies", "jacobench.bench"]),
        ("import jacobench.graphs", ["jacobench.strategies", "jacobench.bench", "jacobench.reports", "pandas"]),
        ("import jacobench.strategies", ["jacobench.bench", "jacobench.reports", "pandas", "matplotlib"]),
        ("import jacobench; jacobench.mlp", ["jacobench.bench", "jacobench.reports", "matplotlib"]),
        ("import jacobench; jacobench.strategy_names()", ["jacobench.bench", "jacobench.reports", "matplotlib"]),
        ("import jacobench.reports", ["jacobench.api"]),
        ("import jacobench.commands", ["numpy", "pandas", "matplotlib", "jacobench.bench.run.runner"]),
    ],
)
def test_what_is_imported_loads_that_and_no_more(statement, absent):
    program = f"import sys\n{statement}\nprint(*(name for name in {absent!r} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == []
