"""Worker of `gate --pytest`: a fresh process of one side that runs the benchmarks of one selection.

The side's interpreter runs this file by its path. The project under test may be any package, so this file imports only
the standard library, and the files next to it by path: `benchmark_plugin`, the plug-in of the pytest session, and
`side_finder`. It reads a job (one JSON object) from standard input and writes one JSON object per line to standard
output. All other output goes to standard error.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from itertools import repeat
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import ModuleType

CELL = "_jacobench_gate_cell"
"""Name under which modules of `bench/cell` are loaded."""

KERNEL_ROUNDS, KERNEL_TURNS = 50, 15_000
"""The calibration kernel is a loop of the interpreter: the environment may not have NumPy. A round takes 100 µs."""

OF_PARENT = "PYTEST_XDIST_WORKER", "PYTEST_XDIST_TESTRUNUID", "PYTEST_CURRENT_TEST", "PYTEST_VERSION"
"""Variables of a pytest that started the gate. They would switch benchmarks off."""


@dataclass(frozen=True)
class PytestJob:
    """Job of one process."""

    action: str  # "time", or "memory": peak and retained bytes of one call
    arguments: Sequence[str]  # of the pytest session
    ids: Sequence[str] | None  # benchmarks that run; None: all of the selection
    json_file: str  # that pytest-benchmark writes; its folder is empty and is not in a tree
    top: str  # top folder of the side's tree
    folder: str  # of the project in it; the paths of ids are relative to it
    rules: str = ""  # file with the rules of the side's imports; "": no rules
    max_seconds: float | None = None  # for the rounds of one benchmark, where the suite allows it
    machine_info: Mapping[str, Any] | None = None  # of pytest-benchmark; None: ask it, which takes a second
    cell: str = ""  # the folder bench/cell


def load(name: str, path: Path) -> ModuleType:
    """Load a module by its path."""
    spec = spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    sys.modules[name] = module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def kernel_seconds() -> float:
    """Return the shortest time of the calibration kernel."""
    fastest = float("inf")
    for _ in repeat(None, KERNEL_ROUNDS):
        start = perf_counter()
        for _ in repeat(None, KERNEL_TURNS):
            pass
        fastest = min(fastest, perf_counter() - start)
    return fastest


def missing_package() -> str:
    """Return which package this side lacks, with the fix; empty if it has both."""
    for module, package in (("pytest", "pytest"), ("pytest_benchmark", "pytest-benchmark")):
        if find_spec(module) is None:
            return f"{package} is not installed in this environment; run pip install {package}"
    return ""


def run(job: PytestJob, emit: Callable[..., None]) -> int:
    """Run the pytest session; return its exit code."""
    if reason := missing_package():
        emit("refused", reason=reason)
        return 4
    for name in OF_PARENT:
        os.environ.pop(name, None)
    here = Path(__file__).parent
    finder = load("_jacobench_gate_finder", here / "side_finder.py")
    plugin = load("_jacobench_gate_plugin", here / "benchmark_plugin.py")
    check = finder.OriginCheck(job.rules, lambda module, file: emit("foreign", module=module, file=file))
    emit("calibration", seconds=kernel_seconds())
    exit_code: int = plugin.run_session(job, emit, check)
    check.check_all()
    emit("calibration", seconds=kernel_seconds())
    return exit_code


def main() -> None:
    """Do the job on standard input."""
    events = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def emit(event: str, **content: Any) -> None:
        events.write(json.dumps({"event": event, **content}) + "\n")
        events.flush()

    job = PytestJob(**json.loads(sys.stdin.buffer.read()))
    if job.cell:
        load(f"{CELL}.process_limits", Path(job.cell) / "process_limits.py").die_with_parent()
    emit("done", exit_code=run(job, emit))


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # does not wait for threads that a benchmark has left
