"""The gate worker uses one harness for both sides, and only lasting parts of a side."""

import ast
from dataclasses import replace
from pathlib import Path

import pytest

from jacobench.bench.cell.prepared_cell import prepare_cell
from jacobench.bench.gate import gate_worker
from jacobench.bench.gate.gate_worker import GateJob, GateTask, GateWorker
from jacobench.bench.suites.case import problem_of
from jacobench.bench.suites.suite_files import load_suite
from jacobench.graphs.ops import OPS
from jacobench.strategies import registry
from jacobench.strategies.contract import PHASES

LASTING = {
    "jacobench.strategies.registry",
    "jacobench.strategies.contract.PHASES",
    "jacobench.strategies.contract.placed",
}
"""If these change incompatibly, the gate cannot measure a base older than the change."""

HARNESS = [Path(gate_worker.__file__), *Path(gate_worker.__file__).parents[1].glob("cell/*.py")]


def imports_of_ours(path):
    """Return what a file imports from jacobench at run time."""
    found = set()
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("jacobench"):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name.startswith("jacobench")}
    return found


@pytest.mark.parametrize("path", HARNESS, ids=lambda path: path.stem)
def test_the_harness_uses_only_lasting_parts_of_a_side(path):
    assert imports_of_ours(path) <= LASTING


def test_the_harness_is_loaded_by_path_next_to_the_sides_own():
    from jacobench.bench.cell import timing

    cell = gate_worker.load_cell()
    assert cell.timing is not timing
    assert cell.prepared_cell.Problem.__module__ != "jacobench.bench.cell.prepared_cell"


def test_a_base_of_the_old_layout_has_its_suites_elsewhere(monkeypatch):
    def old_layout(name):
        if name == "jacobench.bench.suite":
            return type("Module", (), {"load_suite": "the old one"})
        raise ModuleNotFoundError(name=name)

    monkeypatch.setattr(gate_worker, "import_module", old_layout)
    gate_worker.load_suite.cache_clear()
    assert gate_worker.load_suite() == "the old one"
    gate_worker.load_suite.cache_clear()


@pytest.fixture
def precheck(tmp_path):
    """Return a function that prechecks a strategy in this process and returns phase → (status, reason)."""
    path = tmp_path / "one.toml"
    path.write_text('[[sweep]]\ngraph = "mlp"\nwidth = 4\ndepth = 2\n')

    def run(strategy, budget):
        found = {}

        def emit(event, **content):
            if event == "prechecked":
                found[content["phase"]] = content["status"], content["reason"]

        task = GateTask("case", str(path), strategy, strategy)
        GateWorker(GateJob("precheck", (task,), budget, 0.5), gate_worker.load_cell(), emit).precheck_all()
        return problem_of(load_suite(str(path)).cases[0]), found

    return run


@pytest.mark.parametrize("budget", [64, 2**31])
def test_a_precheck_finds_what_a_run_finds(precheck, budget):
    problem, found = precheck("dense", budget)
    failed = prepare_cell("dense", problem, budget, registry.load).failed
    assert found == dict.fromkeys(PHASES, ("ok", "")) | failed
    assert bool(failed) == (budget == 64)


def test_a_precheck_compares_the_reference_with_central_differences(precheck, monkeypatch):
    (rule,) = OPS["tanh"].arguments
    wrong = replace(rule, vjp=lambda y_bar, y, _xs, _ctx: y_bar * (1 - y * y * y))
    monkeypatch.setitem(vars(OPS["tanh"]), "arguments", (wrong,))
    _, found = precheck("vjp", 2**31)
    assert {status for status, _ in found.values()} == {"wrong"}
    assert "central differences" in found["gradient"][1]
