"""The gate worker uses one harness for both sides, and only lasting parts of a side."""

import ast
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from jacobench.bench.cell.prepared_cell import prepare_cell
from jacobench.bench.gate import gate_worker, paired_runner
from jacobench.bench.gate.gate_config import GateConfig
from jacobench.bench.gate.gate_worker import GateJob, GateTask, GateWorker
from jacobench.bench.gate.sides import here_twice
from jacobench.bench.suites.case import problem_of
from jacobench.bench.suites.suite_files import load_suite
from jacobench.graphs.ops import OPS
from jacobench.strategies import registry
from jacobench.strategies.contract import PHASES

LASTING = {
    "jacobench.strategies.registry",
    "jacobench.strategies.contract.PHASES",
    "jacobench.strategies.contract.Prediction",
    "jacobench.strategies.contract.Predictions",
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
    assert cell.problem.Problem.__module__ != "jacobench.bench.cell.problem"


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

    def run(strategy, budget, keys="", phases=PHASES):
        path.write_text(f'[[sweep]]\ngraph = "mlp"\nwidth = 4\ndepth = 2\n{keys}')
        found = {}

        def emit(event, **content):
            if event == "prechecked":
                found[content["phase"]] = content["status"], content["reason"]

        task = GateTask("case", str(path), strategy, strategy, phases)
        GateWorker(GateJob("precheck", (task,), budget, 0.5), gate_worker.load_cell(), emit).precheck_all()
        return problem_of(load_suite(str(path)).cases[0], 2**31), found

    return run


def test_a_precheck_draws_no_arrays_over_the_budget(precheck):
    _, found = precheck("dense", 64)
    assert {status for status, _ in found.values()} == {"over_budget"}
    assert all("leaves and seeds need" in reason for _, reason in found.values())


@pytest.mark.long
@pytest.mark.parametrize("budget", [1024, 2**31])
def test_a_precheck_finds_what_a_run_finds(precheck, budget):
    problem, found = precheck("dense", budget)
    failed = prepare_cell("dense", problem, budget, registry.load).failed
    assert found == dict.fromkeys(PHASES, ("ok", "")) | failed
    assert bool(failed) == (budget == 1024)


@pytest.mark.parametrize("strategy", ["vjp", "sparse", "forward-sparse"])
@pytest.mark.long
def test_a_precheck_knows_the_task(precheck, strategy):
    keys = 'loss = "none"\ntask = "jacobian"\nwrt = "all"'
    _, found = precheck(strategy, 2**31, keys, ("prepare", "jacobian"))
    assert found == dict.fromkeys(("prepare", "jacobian"), ("ok", ""))


def test_a_precheck_uses_the_leaves_of_a_graph(tmp_path):
    (tmp_path / "own.py").write_text(
        "import jacobench as jb\n\ndef net():\n    graph, leaves = jb.mlp([3, 2])\n"
        "    return graph, {name: 0 * leaf + 2 for name, leaf in leaves.items()}\n"
    )
    path = tmp_path / "own.toml"
    path.write_text('[[sweep]]\ngraph = "own.py:net"\n')
    task = GateTask("case", str(path), "vjp", "vjp", PHASES)
    worker = GateWorker(GateJob("precheck", (task,), 2**31, 0.5), gate_worker.load_cell(), lambda *_, **__: None)
    assert worker.problem(str(path), with_reference=True).leaves["W1"].tolist() == [[2, 2, 2], [2, 2, 2]]


def test_a_precheck_compares_the_reference_with_central_differences(precheck, monkeypatch):
    (rule,) = OPS["tanh"].arguments
    wrong = replace(rule, vjp=lambda y_bar, y, _xs, _ctx: y_bar * (1 - y * y * y))
    monkeypatch.setitem(vars(OPS["tanh"]), "arguments", (wrong,))
    _, found = precheck("vjp", 2**31)
    assert {status for status, _ in found.values()} == {"wrong"}
    assert "central differences" in found["gradient"][1]


CHANGING = """
    import gc
    class Mine(Right):
        def __init__(self):
            super().__init__()
            np.seterr(all="raise")
    class Lasting(Right):
        def prepare(self, graph):
            gc.get_referents(np.ndarray.__dict__)[0]["mine"] = print
            return super().prepare(graph)
"""


@pytest.mark.long
def test_changes_of_the_process_are_undone_and_noted(precheck, plugin_file):
    file = plugin_file(CHANGING)
    _, found = precheck(f"{file}:Mine", 2**31)
    assert np.geterr()["over"] == "warn"
    note = "its changes to the process were undone: NumPy's error handling"
    assert found == dict.fromkeys(PHASES, ("ok", note))


@pytest.mark.long
def test_a_strategy_whose_changes_cannot_be_undone_is_timed_apart(plugin_file, tmp_path, monkeypatch):
    file = plugin_file(CHANGING)
    names = (f"{file}:Lasting", "dense", "vjp")
    suite = tmp_path / "one.toml"
    suite.write_text('[[sweep]]\ngraph = "mlp"\nwidth = 4\ndepth = 1\n')
    jobs = []
    real = paired_runner.run_job
    monkeypatch.setattr(
        paired_runner, "run_job", lambda side, job, *rest: (jobs.append(job), real(side, job, *rest))[1]
    )
    with here_twice(GateConfig(suite=str(suite), strategies=names, timeout_seconds=60)) as runner:
        runner.precheck()
        assert {status.status for found in runner.statuses.values() for status in found.values()} == {"ok"}
        assert "cannot be undone" in runner.statuses["head"]["mlp-w4-d1-b1", names[0], "gradient"].reason
        rows = runner.measure(None, range(1), 1)
    assert all(row["seconds"] for row in rows)
    timed = [{task.strategy_spec for task in job.tasks} for job in jobs if job.action == "time"]
    assert sorted(timed, key=len) == [{names[0]}, {names[0]}, {"dense", "vjp"}, {"dense", "vjp"}]
