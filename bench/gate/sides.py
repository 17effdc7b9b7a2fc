"""Both sides of a gate, checked out and installed in a temporary folder, with the runner that measures them."""

from __future__ import annotations

import json
import os
import sys
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from jacobench.bench.gate.gate_config import new_folder
from jacobench.bench.gate.installation.installer import check_template
from jacobench.bench.gate.installation.side_environments import Side
from jacobench.bench.gate.installation.side_installation import OPTIONS, install_sides
from jacobench.bench.gate.installation.side_requirements import read_requirements
from jacobench.bench.gate.paired_runner import PairedRunner
from jacobench.bench.gate.suite.benchmark_runner import BenchmarkRunner
from jacobench.bench.gate.suite.pytest_selection import read_selection
from jacobench.bench.gate.suite.suite_processes import SuiteProcesses
from jacobench.bench.gate.trees.revisions import Project, SideSource, Tree, checked_out, commit_of, suite_checked_out
from jacobench.bench.machine.atomic_write import DISK_FULL
from jacobench.bench.machine.byte_sizes import DEFAULT_BUDGET, parse_bytes
from jacobench.bench.machine.environment import settings, suite_settings
from jacobench.bench.machine.git_command import MORE_SPACE
from jacobench.bench.machine.interrupts import CleanupStack
from jacobench.bench.machine.memory_limits import memory_limit
from jacobench.bench.machine.worker_process import check_temporary_folder
from jacobench.bench.suites.case import select_cases
from jacobench.bench.suites.suite_files import load_suite, read_toml, suite_file
from jacobench.bench.suites.sweep_expansion import expand, split_sweep
from jacobench.graphs.errors import BadInput, UnsuitableEnvironment
from jacobench.strategies.registry import DEFAULT_STRATEGIES

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from jacobench.bench.gate.gate_config import GateConfig


@contextmanager
def two_revisions(
    project: Project, base: SideSource, head: SideSource, config: GateConfig, report: Callable[[str], None]
) -> Iterator[PairedRunner | BenchmarkRunner]:
    """Check out and install both sides; yield the runner that measures them, not prechecked yet.

    `report` is called with a sentence about each step. Raises BadInput for an
    unknown revision, suite or case, or a project that cannot be installed or registers no strategy.
    """
    if config.pytest:
        new_folder(config.out)
    else:
        load_suite(config.suite)
    check_template(config.install)
    project = replace(project, here=project.folder) if config.in_project else project
    for option, source in zip(OPTIONS, (base, head), strict=True):
        read_requirements(option, source.requirements)
    old, new = (source.revision and commit_of(project, source.revision) for source in (base, head))
    with (
        _folder() as folder,
        checked_out(project, old, new, folder, parse_bytes(config.untracked)) as trees,
        suite_checked_out(project, head.suite, folder) as suite_tree,
    ):
        if forbids_execution(folder):
            report(
                f"{folder.parent} is mounted noexec, so compiled modules cannot be loaded from it; if the project builds "
                "some, set TMPDIR to another folder"
            )
        sides, code = install_sides(project, trees, (base, head), folder, config.install, report)
        if config.pytest:
            yield replace(_benchmark_runner(project, sides, config, folder), code=code, suite_tree=suite_tree)
        else:
            yield replace(_cell_runner(project, sides, config, folder), code=code)


@contextmanager
def here_twice(config: GateConfig) -> Iterator[PairedRunner]:
    """Yield a runner that measures the current environment against itself."""
    here = Path.cwd()
    python = Path(sys.executable)
    base, head = (Side(name, Tree("here", here, here), python, here) for name in ("base", "head"))
    with _folder() as folder:
        yield _runner(Project(folder, folder), (base, head), config, config.strategies or DEFAULT_STRATEGIES, folder)


@contextmanager
def _folder() -> Iterator[Path]:
    check_temporary_folder()
    with CleanupStack() as undo:
        temporary = TemporaryDirectory(prefix="jacobench-gate-", ignore_cleanup_errors=True)
        folder = Path(undo.enter_context(temporary)).resolve()
        try:
            yield folder
        except OSError as error:
            names = f"{error.filename} {error.filename2}"
            if error.errno in DISK_FULL and str(folder) in names:
                raise UnsuitableEnvironment(f"{folder.parent}: {error.strerror}; {MORE_SPACE}") from None
            raise


def forbids_execution(folder: Path) -> bool:
    """Return whether a folder's file system is mounted ``noexec``, as far as the system reports it."""
    flag = getattr(os, "ST_NOEXEC", 0)
    return bool(flag and os.statvfs(folder).f_flag & flag)


def _cell_runner(project: Project, sides: tuple[Side, Side], config: GateConfig, folder: Path) -> PairedRunner:
    """Return the runner of the strategies that the configuration names, or that the project registers."""
    registered = dict.fromkeys(name for side in reversed(sides) for name in side.registered())
    strategies = config.strategies or tuple(registered)
    if not strategies:
        raise BadInput(
            f"the project in {project.folder} registers no strategy: name one with --strategy path/to/file.py:Class, or "
            "measure a pytest-benchmark suite with --pytest"
        )
    return _runner(project, sides, config, strategies, folder)


def _benchmark_runner(project: Project, sides: tuple[Side, Side], config: GateConfig, folder: Path) -> BenchmarkRunner:
    processes = folder / "processes"
    processes.mkdir()
    selections, out = [read_selection(text) for text in config.pytest], new_folder(config.out)
    settings, timeout = suite_settings(), config.timeout_seconds
    return BenchmarkRunner(
        SuiteProcesses(project, sides, selections, processes, out, timeout, settings), config.cases, config.suite_from
    )


def _runner(
    project: Project, sides: tuple[Side, Side], config: GateConfig, strategies: Sequence[str], folder: Path
) -> PairedRunner:
    cases = select_cases(load_suite(config.suite), config.cases).cases
    files = folder / "cases"
    files.mkdir()
    return PairedRunner(
        project,
        sides,
        cases,
        write_cases(config.suite, [case.name for case in cases], files),
        strategies,
        min(parse_bytes(DEFAULT_BUDGET), memory_limit()),
        config.timeout_seconds,
        settings("tuned", 1),
    )


def write_cases(suite: str, names: Collection[str], folder: Path) -> dict[str, Path]:
    """Write each named case of a suite into a suite file of its own; return the file of each case."""
    source = suite_file(suite)
    suite_folder = Path(str(source)).parent
    found: dict[str, Path] = {}
    for sweep in read_toml(source)["sweep"]:
        for single in split_sweep(sweep, suite_folder):
            (case,) = expand(single, suite_folder)
            if case.name in names and case.name not in found:
                path = folder / f"{len(found):04d}.toml"
                path.write_text(_toml(single), encoding="utf-8")
                found[case.name] = path
    return found


def _toml(sweep: Mapping[str, Any]) -> str:
    """Return a sweep as TOML, which writes scalars and lists as JSON does."""
    return "[[sweep]]\n" + "".join(
        f"{json.dumps(key)} = {json.dumps(value, ensure_ascii=False)}\n" for key, value in sweep.items()
    )
