"""A probe's process as its parent sees it, and what is known of a cell when it has been heard."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from jacobench.bench.cell import data_limit, heap_memory, timing, verification
from jacobench.bench.gate import gate_job as jobs
from jacobench.bench.gate import gate_worker
from jacobench.bench.machine import calibration, lifeline
from jacobench.bench.machine.worker_process import HarnessFailure, WorkerProcess

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jacobench.bench.gate.gate_job import Job
    from jacobench.bench.gate.side_environments import Side

HARNESS = {
    module.__name__.rpartition(".")[2]: str(module.__file__)
    for module in (calibration, data_limit, jobs, lifeline, heap_memory, timing, verification)
}
"""What a probe loads from our files instead of the side's. They import nothing of ours but the contract."""

STARTING_SECONDS = 60.0
"""What a process may take beside the timeout before its first word."""


@dataclass(frozen=True)
class CellStatus:
    """What is known of one phase of a pair on one side before it is timed.

    Attributes
    ----------
    status, reason : str
        ``ok``, or what went wrong, and why.
    seconds : float or None
        About how long a call takes.
    counts : mapping of str to int
        Bytes, non-zeros and flops, what was found of them.
    """

    status: str
    reason: str = ""
    seconds: float | None = None
    counts: Mapping[str, int] = field(default_factory=dict)


CellStatuses = dict[tuple[str, str, str], CellStatus]
"""Case, strategy as asked for, phase → what is known of it. What a side lacks is not in it."""


@dataclass(frozen=True)
class Injection:
    """What is added to the head's calls, to see what a gate finds; relative to what they take.

    Attributes
    ----------
    slower : float
        Work.
    larger : float
        Memory held.
    """

    slower: float = 0.0
    larger: float = 0.0


Heard = tuple[list[dict[str, Any]], tuple[tuple[str, str, str], CellStatus] | None]
"""What a process reported, and the cell at which it was lost, if it was, with how."""


def listen(side: Side, job: Job, environment: Mapping[str, str], timeout_seconds: float) -> Heard:
    """Let a fresh process of a side do a job, and hear it out.

    Raises
    ------
    HarnessFailure
        If it ends before it has begun with anything.
    """
    command = [str(side.python), "-P", str(gate_worker.__file__)]
    events: list[dict[str, Any]] = []
    at: tuple[str, str, str] | None = None
    with WorkerProcess(asdict(job), environment, command, side.tree.folder) as process:
        deadline = time.monotonic() + STARTING_SECONDS + timeout_seconds
        while (event := process.next_event(deadline)) is not None:
            deadline = time.monotonic() + timeout_seconds
            if event["event"] == "done":
                return events, None
            if event["event"] == "start":
                case, key, phase = event["cell"]
                at = case, key, phase
            events.append(event)
        if at is None:
            raise HarnessFailure(f"{side.name} ({side.tree.revision}) cannot be measured: {process.last_words()}")
        return events, (at, CellStatus(*process.how_it_ended(timeout_seconds)))
