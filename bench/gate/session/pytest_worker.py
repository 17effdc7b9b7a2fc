"""Worker of `gate --pytest`: a fresh process of one side that runs the benchmarks of one selection.

The side's interpreter runs this file by its path. The project under test may be any package. So this file imports only
the standard library, and by path `benchmark_plugin`, which is the plug-in of the pytest session, the files that it
imports, `side_finder`, and `bench/cell/heap_memory`. It reads a job (one JSON object) from standard
input and writes one JSON object per line to standard output. All other output goes to standard error.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from importlib import import_module
from importlib.machinery import PathFinder
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from itertools import repeat
from pathlib import Path
from sysconfig import get_path
from time import perf_counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

CELL = "_jacobench_gate_cell"
"""Name under which modules of `bench/cell` are loaded."""

SUITE = "_jacobench_gate_suite"
"""Name under which modules of this folder are loaded."""

KERNEL_ROUNDS, KERNEL_BYTES = 50, bytes(160 * 1024)
"""The calibration kernel is a digest of these bytes: the environment may not have NumPy. A round takes 100 µs.

Its shortest time differs by 0.3 % between processes of the same code (standard deviation). That of a loop of the
interpreter differs by 3 %.
"""

ROUNDS_BETWEEN = 20
"""Rounds of the calibration kernel before each benchmark: the machine's speed changes within a process, too."""

SWITCHES = "PYTEST_XDIST_WORKER", "PYTEST_XDIST_TESTRUNUID", "PYTEST_XDIST_WORKER_COUNT", "CODSPEED_ENV"
"""Variables of a pytest or pytest-codspeed that started the gate. They would switch pytest-benchmark off."""


@dataclass(frozen=True)
class PytestJob:
    """Job of one process."""

    action: str  # "time", "memory" (peak and retained bytes of one call), or "collect": nothing is run
    arguments: Sequence[str]  # of the pytest session
    ids: Sequence[str] | None  # benchmarks that run; None: all of the selection
    json_file: str  # for the times, in pytest-benchmark's format; its folder is empty and is not in a tree
    top: str  # top folder of the side's tree
    folder: str  # of the project in it; the paths of ids are relative to it
    rules: str = ""  # file with the rules of the side's imports; "": no rules
    max_seconds: float | None = None  # for the rounds of one benchmark, where the suite allows it
    machine_info: Mapping[str, Any] | None = None  # of pytest-benchmark; None: ask it, which takes a second
    cell: str = ""  # the folder bench/cell
    raw: bool = False  # the file contains all that pytest-benchmark writes, else only the shortest times


def load(name: str, path: Path) -> ModuleType:
    """Load a module by its path."""
    spec = spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    sys.modules[name] = module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def load_package(name: str, folder: Path) -> None:
    """Make the modules of a folder importable as those of a package; its own `__init__.py` is not run."""
    spec = spec_from_file_location(name, folder / "__init__.py", submodule_search_locations=[str(folder)])
    assert spec is not None
    sys.modules[name] = module_from_spec(spec)


class InstalledFirst:
    """Import finder: a package of the project comes from this side's installation, not from the source tree.

    pytest puts the folder of a test file's package first on the path. But the tree may lack what a build makes, such as
    compiled modules and the version. Only benchmark files and `conftest.py` come from the tree, and modules that the
    installation does not have.
    """

    def __init__(self, owned: Iterable[str], packages: Path, top: Path) -> None:
        tops = {name.partition(".")[0] for name in owned}
        self._tops = frozenset(name for name in tops if (packages / name / "__init__.py").is_file())
        self._packages, self._top = packages, top
        self.from_tree: set[Path] = set()  # benchmark files

    def find_spec(self, name: str, path: Sequence[str] | None = None, _target: object = None) -> ModuleSpec | None:
        """Find a module of an installed package of the project."""
        top, *rest = name.split(".")
        if top not in self._tops:
            return None
        if not rest:
            return PathFinder.find_spec(name, [str(self._packages)])
        in_tree = PathFinder.find_spec(name, [str(Path(entry, top, *rest[:-1])) for entry in self._entries()])
        origin = Path((in_tree and in_tree.origin) or "")
        if origin.name == "conftest.py" or origin in self.from_tree:
            return in_tree
        return PathFinder.find_spec(name, path) or in_tree

    def _entries(self) -> list[str]:
        """Return the entries of the path in the tree."""
        return [entry for entry in sys.path if entry and Path(entry).is_relative_to(self._top)]

    def import_package(self, file: Path) -> None:
        """Import the package that contains a file, if it is installed: pytest may import it without asking finders."""
        names: list[str] = []
        for folder in file.parents:
            if not (folder / "__init__.py").is_file():
                break
            names.insert(0, folder.name)
        if names and names[0] in self._tops:
            with suppress(ImportError):
                import_module(".".join(names))


def kernel_seconds(rounds: int = KERNEL_ROUNDS) -> float:
    """Return the shortest time of the calibration kernel."""
    fastest = float("inf")
    for _ in repeat(None, rounds):
        start = perf_counter()
        sha256(KERNEL_BYTES)
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
    for name in SWITCHES:
        os.environ.pop(name, None)
    here = Path(__file__).parent
    finder = load("_jacobench_gate_finder", here.parent / "installation" / "side_finder.py")
    load_package(SUITE, here)
    plugin, source = (import_module(f"{SUITE}.{name}") for name in ("benchmark_plugin", "benchmark_source"))
    rules = finder.read_rules(job.rules) if job.rules else finder.ImportRules()
    sources = source.Sources(Path(job.top), rules.concern)
    installed = InstalledFirst(rules.owned, Path(get_path("purelib")), Path(job.top))
    heap_memory = None
    if job.action == "memory":
        try:
            heap_memory = import_module(f"{CELL}.heap_memory")
        except ImportError as error:
            emit("no_memory", reason=str(error))
            return 0
    check = finder.OriginCheck(job.rules, lambda module, file: emit("foreign", module=module, file=file))

    def emit_calibrated(event: str, **content: Any) -> None:
        if event == "start":
            emit("calibration", seconds=kernel_seconds(ROUNDS_BETWEEN))
        emit(event, **content)

    emit("calibration", seconds=kernel_seconds())
    exit_code: int = plugin.run_session(job, emit_calibrated, check, sources, installed, heap_memory)
    check.check_all()
    emit("calibration", seconds=kernel_seconds())
    return exit_code


def main() -> None:
    """Do the job on standard input."""
    events = os.fdopen(os.dup(1), "w", encoding="utf-8", errors="replace")  # a file name may not be UTF-8
    os.dup2(2, 1)

    def emit(event: str, **content: Any) -> None:
        events.write(json.dumps({"event": event, **content}, ensure_ascii=False) + "\n")
        events.flush()

    job = PytestJob(**json.loads(sys.stdin.buffer.read()))
    if job.cell:
        load_package(CELL, Path(job.cell))
        import_module(f"{CELL}.process_limits").die_with_parent()
    emit("done", exit_code=run(job, emit))


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # does not wait for threads that a benchmark has left
