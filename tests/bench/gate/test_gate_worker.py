"""The gate worker uses one harness for both sides, and only lasting parts of a side."""

import ast
from pathlib import Path

import pytest

from jacobench.bench.gate import gate_worker

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
