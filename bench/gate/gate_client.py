"""A gate worker's process as its parent sees it, and the status of a cell before it is timed."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from math import inf
from typing import TYPE_CHECKING, Any

from jacobench.bench.gate import gate_worker
from jacobench.bench.machine.worker_process import HarnessFailure, WorkerProcess
from jacobench.graphs.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jacobench.bench.gate.gate_worker import GateJob
    from jacobench.bench.gate.installation.side_environments import Side

STARTING_SECONDS = 60.0
"""Time that a process may take before its first report, in addition to the timeout. The calibration kernel does not count:
a pytest session then collects its benchmarks."""


@dataclass(frozen=True)
class CellStatus:
    """Status of one phase of a case under one strategy, on one side, before it is timed."""

    status: str
    reason: str = ""
    seconds: float | None = None  # approximate time of a call
    calls: int = 1  # per round
    counts: Mapping[str, int] = field(default_factory=dict)  # bytes, flops and non-zeros; what is unknown is missing


CellKey = tuple[str, str, str]  # case, strategy as the user named it, phase

CellStatuses = dict[CellKey, CellStatus]  # cells that a side has, with their status


@dataclass(frozen=True)
class Injection:
    """Work (`slower`) and memory (`larger`) that a self-test adds to the head's calls, relative to the calls' own."""

    slower: float = 0.0
    larger: float = 0.0


Reports = tuple[list[dict[str, Any]], tuple[CellKey, CellStatus] | None]
"""Events of a process, and the cell at which it was lost, if any, with its status."""


class TimeIsUp(Exception):  # noqa: N818  (the caller turns it into BadInput)
    """A process was ended because the time of the gate is used up."""


@dataclass(frozen=True)
class EndedProcess:
    """Events of a process that has ended, and how it was lost: its status, and the last line that it printed."""

    events: list[dict[str, Any]]
    lost: CellStatus | None = None
    last_words: str = ""


def run_process(
    side: Side, script: str, job: object, environment: Mapping[str, str], timeout_seconds: float, until: float = inf
) -> EndedProcess:
    """Run a job in a fresh process of a side, with the worker `script`.

    Raises BadInput if the process imports a module of the project that is not the side's own, or refuses the job, and
    TimeIsUp if it has not ended at `until` (`time.monotonic`).
    """
    command = [str(side.python), "-P", script]
    events: list[dict[str, Any]] = []
    step = ""
    with WorkerProcess(job, environment, command, side.tree.start) as process:
        limit = STARTING_SECONDS + timeout_seconds
        deadline = time.monotonic() + limit
        while (event := process.next_event(min(deadline, until))) is not None:
            if event["event"] == "step":
                step = event["name"]
                continue
            if event["event"] != "calibration":
                limit = timeout_seconds
                deadline = time.monotonic() + limit
            if event["event"] == "foreign":
                raise BadInput(_foreign(side, event["module"], event["file"]))
            if event["event"] == "refused":
                raise BadInput(f"{side.name} ({side.tree.revision}) cannot be measured: {event['reason']}")
            if event["event"] == "done":
                return EndedProcess(events)
            events.append(event)
        if time.monotonic() >= until:
            raise TimeIsUp
        status, reason = process.how_it_ended(limit, step)
        why = f"{reason}; timeout_seconds sets this limit" if status == "timeout" else reason
        return EndedProcess(events, CellStatus(status, why), process.last_words())


def run_job(side: Side, job: GateJob, environment: Mapping[str, str], timeout_seconds: float) -> Reports:
    """Run a job on cells in a fresh process of a side; it raises BadInput as `run_process` does.

    Raises HarnessFailure if it ends before it begins with a cell.
    """
    ended = run_process(side, str(gate_worker.__file__), asdict(job), environment, timeout_seconds)
    if ended.lost is None:
        return ended.events, None
    cells = [event["cell"] for event in ended.events if event["event"] == "start"]
    if not cells:
        raise HarnessFailure(f"{side.name} ({side.tree.revision}) cannot be measured: {ended.last_words}")
    case, strategy_spec, phase = cells[-1]
    return ended.events, ((case, strategy_spec, phase), ended.lost)


def _foreign(side: Side, module: str, file: str) -> str:
    """Return the message for a module that is not a side's own."""
    return (
        f"{side.name} ({side.tree.revision}) imported {module} from {file}: expected its own copy, in {side.tree.top} or "
        f"{side.packages}; remove what redirects the import, such as an import hook, a change of sys.path or of __path__"
    )
