"""Job of a gate worker: tasks, each one case under one strategy. The worker loads this file by its path."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class GateTask:
    """One case under one strategy.

    Attributes
    ----------
    case : str
        Name of the case.
    suite : str
        A suite file with this case only.
    strategy_spec : str
        The strategy as the user named it.
    load_spec : str
        What this side loads for it.
    blocks : int
        How often the process returns to the task.
    schedule : mapping of str to (int, int)
        Phase → calls per round, rounds per block. Only these phases are timed.
    slower, larger : float
        Work and memory that a self-test adds, relative to the call's; else 0.
    """

    case: str
    suite: str
    strategy_spec: str
    load_spec: str
    blocks: int = 0
    schedule: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    slower: float = 0.0
    larger: float = 0.0


@dataclass(frozen=True)
class GateJob:
    """Job of one process.

    Attributes
    ----------
    action : {"precheck", "time"}
        Verify each task and measure its memory, or time its phases.
    tasks : tuple of GateTask
        In order.
    budget_bytes : int
        A strategy predicted to need more is not computed. The process's data are limited accordingly.
    time_limit : float
        Seconds after which the rounds of one phase end in a block.
    """

    action: str
    tasks: tuple[GateTask, ...]
    budget_bytes: int
    time_limit: float
