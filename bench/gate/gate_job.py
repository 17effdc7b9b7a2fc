"""What a probe is told to do: a job of tasks, one case under one strategy each."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Task:
    """One case under one strategy.

    Attributes
    ----------
    case : str
        The case's name.
    suite : str
        A suite file with that case alone.
    strategy : str
        What this side loads.
    key : str
        What the parent calls it.
    visits : int
        How often it is come back to in the course of the process.
    schedule : mapping of str to (int, int)
        Phase → calls in a round, rounds in a visit. Only these phases are timed.
    slower, larger : float
        Work and memory to be added, relative, to see what a gate finds; 0 but in a self-test.
    """

    case: str
    suite: str
    strategy: str
    key: str
    visits: int = 0
    schedule: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    slower: float = 0.0
    larger: float = 0.0


@dataclass(frozen=True)
class Job:
    """What a probe is to do.

    Attributes
    ----------
    doing : {"weigh", "time"}
        Prove each task and weigh each of its phases, or time them.
    tasks : tuple of Task
        In the order to take them in.
    budget_bytes : int
        A strategy predicted to need more is not tried, and the process's data are limited accordingly.
    patience : float
        Seconds after which a visit's rounds of one phase are broken off.
    harness : mapping of str to str
        Module → its file, of those that are loaded from the same file on both sides.
    """

    doing: str
    tasks: tuple[Task, ...]
    budget_bytes: int
    patience: float
    harness: Mapping[str, str]
