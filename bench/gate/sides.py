"""From what is asked of a gate to a gauge that can answer it; whatever was made on the way is gone afterwards."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from jacobench.bench.gate.case_files import write_cases
from jacobench.bench.gate.paired_runner import PairedRunner
from jacobench.bench.gate.revisions import Project, Tree, checked_out, commit_of
from jacobench.bench.gate.side_environments import INSTALL, Side, check_backend, check_template, install
from jacobench.bench.machine import machine_record
from jacobench.bench.machine.byte_sizes import DEFAULT_BUDGET, parse_bytes
from jacobench.bench.machine.environment import settings
from jacobench.bench.suites.case import select_cases
from jacobench.bench.suites.suite_files import load_suite
from jacobench.graphs.errors import BadInput
from jacobench.strategies.registry import DEFAULT_STRATEGIES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from jacobench.bench.gate.gate_config import GateConfig


@contextmanager
def two_revisions(
    project: Project, against: str, question: GateConfig, say: Callable[[str], None]
) -> Iterator[PairedRunner]:
    """Check out and install both sides; yield what measures them.

    Parameters
    ----------
    project : Project
        Under test.
    against : str
        The base's revision.
    question : GateConfig
        What to measure.
    say : callable
        ShapePredicate what is being done.

    Yields
    ------
    PairedRunner
        Not weighed yet.

    Raises
    ------
    BadInput
        For an unknown revision, suite or case, a project that cannot be installed, or one that registers no strategy.
    """
    load_suite(question.suite)
    check_template(question.install)
    commit = commit_of(project, against)
    with _folder() as folder, checked_out(project, commit, folder) as trees:
        for tree in trees if question.install == INSTALL else ():
            check_backend(tree)
        sides = []
        for name, tree in zip(("base", "head"), trees, strict=True):
            say(f"installing {name}: {tree.revision}")
            sides.append(install(name, tree, folder / f"{name}-env", project, question.install))
        registered = dict.fromkeys(name for side in reversed(sides) for name in side.registered())
        strategies = question.strategies or tuple(registered)
        if not strategies:
            raise BadInput(
                f"the project in {project.folder} registers no strategy: name one by --strategy path/to/file.py:Class"
            )
        yield _gauge(project, (sides[0], sides[1]), question, strategies, folder)


@contextmanager
def here_twice(question: GateConfig) -> Iterator[PairedRunner]:
    """Yield what measures the current environment against itself."""
    here = Path.cwd()
    python = Path(sys.executable)
    base, head = (Side(name, Tree("here", here, here), python, here) for name in ("base", "head"))
    with _folder() as folder:
        yield _gauge(Project(folder, folder), (base, head), question, question.strategies or DEFAULT_STRATEGIES, folder)


@contextmanager
def _folder() -> Iterator[Path]:
    with TemporaryDirectory(prefix="jacobench-gate-") as made:
        yield Path(made).resolve()


def _gauge(
    project: Project, sides: tuple[Side, Side], question: GateConfig, strategies: Sequence[str], folder: Path
) -> PairedRunner:
    cases = select_cases(load_suite(question.suite), question.cases).cases
    files = folder / "cases"
    files.mkdir()
    return PairedRunner(
        project,
        sides,
        cases,
        write_cases(question.suite, [case.name for case in cases], files),
        strategies,
        min(parse_bytes(DEFAULT_BUDGET), machine_record.memory_limit()),
        question.timeout_seconds,
        settings("tuned", 1),
    )
