"""Start and continue runs: measure the cells pass by pass, then write run.json once."""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from uuid import uuid4

from jacobench.bench.cell.timing import CONTROL
from jacobench.bench.floor.stored_profile import stored
from jacobench.bench.machine import machine_record
from jacobench.bench.machine.atomic_write import as_utf8
from jacobench.bench.machine.byte_sizes import parse_bytes
from jacobench.bench.machine.environment import joined_facts, settings, variable_facts
from jacobench.bench.run import run_folder as folders
from jacobench.bench.run.code_versions import code_versions
from jacobench.bench.run.pass_schedule import counted, repetitions
from jacobench.bench.run.passes import Passes, check_code
from jacobench.bench.run.row_summary import Header, rows_of
from jacobench.bench.run.run_document import document
from jacobench.bench.run.run_estimate import add_seconds
from jacobench.bench.run.run_folder import RunFolder, Settings
from jacobench.bench.run.run_options import RunOptions, command
from jacobench.bench.run.run_plan import MAX_SECONDS, MIN_ROUNDS, MIN_SECONDS, Plan, absolute, digest, plan
from jacobench.bench.suites.case import graph_of
from jacobench.graphs.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Callable


def start(options: RunOptions, out: Path | None = None) -> RunFolder:
    """Create the folder of a new run, by default ``runs/<when>-<id>``.

    Raises BadInput as `plan` and `check_free`, and Unsupported if a model of another library cannot be imported.
    """
    planned = plan(options)
    for case in planned.suite.cases:
        if case.files:  # a model that cannot be imported ends the command before anything is written
            graph_of(case)
    environment = settings(options.controls, options.threads)
    when = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    path = out or Path("runs") / f"{when}-{uuid4().hex[:6]}"
    folders.check_free(path)
    machine_info, commit_info = machine_record.pytest_benchmark_info()
    commit, no_commit = machine_record.commit()
    resolved = replace(
        absolute(options),  # and bytes: the budget of a run does not change
        memory_budget=f"{parse_bytes(options.memory_budget) if options.cluster else planned.budget_bytes}B",
    )
    folder = folders.create(
        path,
        Settings(
            **asdict(resolved),
            run_id=as_utf8(path.name).decode(),
            commit=commit,
            machine="" if options.cluster else machine_record.machine_key(),
            suite_digest=digest(planned),
            min_seconds=MIN_SECONDS,
            max_seconds=MAX_SECONDS,
            min_rounds=MIN_ROUNDS,
            environment=environment,
            machine_record={}
            if options.cluster
            else {
                **machine_record.record(environment),
                "variables": variable_facts(environment, options.controls),
            },
            machine_info=machine_info,
            commit_info=commit_info,
            code=code_versions(planned, resolved.suite),
        ),
    )
    folders.hide_from_git(path.parent)
    folder.notes += [no_commit] if no_commit else []
    return folder


class Measuring(Protocol):
    """What measures the passes of a run: `Passes`, or those on a cluster."""

    measured_seconds: float

    def remains(self) -> bool:
        """Return whether anything remains to measure."""

    def measure(self) -> None:
        """Measure it."""


def carry_on(
    folder: RunFolder,
    report: Callable[[Any], None],
    max_minutes: float | None = None,
    passes: Callable[[RunFolder, Plan, Callable[[Any], None], float | None], Measuring] = Passes,
) -> tuple[dict[str, Any], bool]:
    """Measure the remaining cells of a run and write its run.json.

    `passes` makes what measures, from the folder, the plan, `report`, and the deadline of further passes.

    `max_minutes` limits the passes of undecided cases. Default: the limit with which the run was started, and no such
    passes if the run is finished, that is, has a run.json.

    Returns the content of run.json, and whether it was written: not if it exists and no cell remained. Raises BadInput
    if the suite or the measured code has changed since the run was started, HarnessFailure if a worker fails for a reason other than a
    strategy.
    """
    planned = plan(folder.settings)
    if digest(planned) != folder.settings.suite_digest:
        raise BadInput(
            f"suite {folder.settings.suite!r} has changed since {str(folder.path)!r} was started; start a new run"
        )
    began = time.monotonic()
    if max_minutes is None and not folder.is_finished:
        max_minutes = folder.settings.limit_minutes
    run = passes(folder, planned, report, None if max_minutes is None else began + 60 * max_minutes)
    if run.remains():
        check_code(folder, code_versions(planned, folder.settings.suite))  # while the document is still there
        folder.remove_document()  # it would lack the measurements that follow
        run.measure()
    found = _document(folder, planned, time.monotonic() - began, run.measured_seconds)
    write = not folder.is_finished
    if write:
        folder.write_document(found)
    return found, write


def _document(folder: RunFolder, planned: Plan, wall_seconds: float, measured_seconds: float) -> dict[str, Any]:
    chosen = folder.settings
    header = Header(chosen.run_id, chosen.commit, chosen.machine, chosen.controls, planned.suite.name)
    rows = rows_of(header, planned.suite.cases, planned.cells, folder.measurements)
    add_seconds(
        rows, planned, machine_record.machine_key(), lambda dtype: stored(dtype, chosen.controls, chosen.threads)
    )
    machine = chosen.machine_record
    if chosen.cluster:
        machine = next(iter(chosen.machines.values())) if len(chosen.machines) == 1 else {}
        chosen = replace(chosen, machine_info=machine.get("machine_info", {"cpu": {}}))
    elif measured_seconds:  # perhaps in another environment than that in which the run was started
        now = variable_facts(chosen.environment, chosen.controls)
        machine = {**machine, "variables": joined_facts(machine.get("variables") or {}, now)}
    facts: dict[str, Any] = {
        "wall_seconds": round(wall_seconds, 3),
        "measured_seconds": round(measured_seconds, 3),
        "machine": machine,
        **(_cluster_facts(folder) if chosen.cluster else {}),
        "load_after": None if chosen.cluster else machine_record.load(),
        "command": command(chosen),
        "repetitions": [[one.pass_number, one.cause] for one in repetitions(folder.measurements)],
        "calibration_seconds": [min(m.seconds) for m in counted(folder.measurements) if m.spec == CONTROL],
    }
    return document(chosen, planned.cells, rows, counted(folder.measurements), facts)


def _cluster_facts(folder: RunFolder) -> dict[str, Any]:
    """Return the record of each machine of a cluster by its key, and the seconds of the calibration kernel by host."""
    seconds: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for measurement in counted(folder.measurements):
        if measurement.spec == CONTROL:
            seconds[measurement.machine][measurement.host].append(min(measurement.seconds))
    return {"machines": folder.settings.machines, "calibration_of_machines": seconds}
