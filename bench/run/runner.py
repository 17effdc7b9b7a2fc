"""A run, from its folder to its run.json: a suite's cells measured in passes, each measurement journaled as it ends."""

from __future__ import annotations

import shlex
import time
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from jacobench.bench.machine import machine_record
from jacobench.bench.machine.calibration import CONTROL
from jacobench.bench.machine.environment import settings
from jacobench.bench.run import run_folder as folders
from jacobench.bench.run.passes import Passes, Progress
from jacobench.bench.run.row_summary import Header, rows_of
from jacobench.bench.run.run_document import document
from jacobench.bench.run.run_folder import RunFolder, Settings
from jacobench.bench.run.run_plan import MAX_SECONDS, MIN_ROUNDS, MIN_SECONDS, Plan, Request, digest, plan
from jacobench.bench.suites.case import select_cases
from jacobench.bench.suites.cells import cells_of
from jacobench.bench.suites.suite_files import load_suite
from jacobench.graphs.errors import BadInput
from jacobench.strategies import registry

if TYPE_CHECKING:
    from collections.abc import Callable


def start(request: Request, out: Path | None = None) -> RunFolder:
    """Make the folder of a new run.

    Parameters
    ----------
    request : Request
        What is asked.
    out : Path, optional
        The folder; default: ``runs/<when>-<id>`` here.

    Returns
    -------
    RunFolder
        Open; to be handed to `carry_on`.

    Raises
    ------
    BadInput
        As for `plan`, or if the folder is there already or cannot be written.
    """
    planned = plan(request)
    chosen = settings(request.controls, request.threads)
    when = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    path = out or Path("runs") / f"{when}-{uuid4().hex[:6]}"
    folders.check_free(path)
    machine_info, commit_info = machine_record.pytest_benchmark_info()
    return folders.create(
        path,
        Settings(
            run_id=path.name,
            commit=machine_record.commit(),
            machine=machine_record.machine_key(),
            controls=request.controls,
            suite=_lasting(request.suite),
            suite_digest=digest(planned),
            strategies=tuple(registry.absolute(spec) for spec in request.strategies),
            cases=request.cases,
            passes=request.passes,
            threads=request.threads,
            budget_bytes=planned.budget_bytes,
            timeout_seconds=request.timeout_seconds,
            min_seconds=MIN_SECONDS,
            max_seconds=MAX_SECONDS,
            min_rounds=MIN_ROUNDS,
            environment=chosen,
            machine_record=machine_record.record(chosen),
            machine_info=machine_info,
            commit_info=commit_info,
        ),
    )


def _lasting(suite: str) -> str:
    """Return a suite's name, or its path made absolute."""
    return str(Path(suite).absolute()) if suite.endswith(".toml") else suite


def carry_on(folder: RunFolder, report: Callable[[Progress], None]) -> bool:
    """Measure whatever a run has not measured yet, and write its run.json.

    Parameters
    ----------
    folder : RunFolder
        New, or resumed.
    report : callable
        Called with the progress whenever it changes.

    Returns
    -------
    bool
        Whether run.json was written: it is left alone if it is there and nothing was left to measure.

    Raises
    ------
    BadInput
        If the suite is no longer what it was.
    HarnessFailure
        If a worker fails for no reason of a strategy's.
    """
    settings_ = folder.settings
    suite = select_cases(load_suite(settings_.suite), settings_.cases)
    planned = Plan(suite, cells_of(suite, settings_.strategies), settings_.budget_bytes)
    if digest(planned) != settings_.suite_digest:
        raise BadInput(f"suite {settings_.suite!r} has changed since {str(folder.path)!r} was started: start a new run")
    began = time.monotonic()
    run = Passes(folder, planned, report)
    if run.finished() and (folder.path / folders.DOCUMENT).exists():
        return False
    for pass_number in range(settings_.passes):
        run.make_pass(pass_number)
    _conclude(folder, planned, time.monotonic() - began, run.measured_seconds)
    return True


def _conclude(folder: RunFolder, planned: Plan, wall_seconds: float, measured_seconds: float) -> None:
    settings_ = folder.settings
    header = Header(settings_.run_id, settings_.commit, settings_.machine, settings_.controls, planned.suite.name)
    rows = rows_of(header, planned.suite.cases, planned.cells, folder.measurements)
    facts: dict[str, Any] = {
        "wall_seconds": round(wall_seconds, 3),
        "measured_seconds": round(measured_seconds, 3),
        "machine": settings_.machine_record,
        "load_after": machine_record.load(),
        "command": command(settings_),
        "control_seconds": [min(m.seconds) for m in folder.measurements if m.spec == CONTROL],
    }
    folder.write_document(document(settings_, planned.cells, rows, folder.measurements, facts))


def command(settings_: Settings) -> str:
    """Return the command line that measures the same again, as a POSIX shell takes it."""
    words = ["jacobench", "run", "--suite", settings_.suite]
    for flag, values in (("--strategy", settings_.strategies), ("--case", settings_.cases)):
        for value in values:
            words += [flag, value]
    limits = {
        "--passes": str(settings_.passes),
        "--threads": str(settings_.threads),
        "--memory-budget": f"{settings_.budget_bytes}B",
        "--timeout": f"{settings_.timeout_seconds:g}",
        "--controls": settings_.controls,
    }
    return shlex.join([*words, *chain.from_iterable(limits.items())])
