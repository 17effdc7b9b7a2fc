"""Number of calls of each phase in a gate process, chosen once from the first calls and equal on both sides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from jacobench.bench.cell.timing import ROUND_SECONDS

if TYPE_CHECKING:
    from collections.abc import Mapping

PROCESS_SECONDS = 2.0
"""Time of all timed calls of one process."""

MOST_SECONDS = 0.03
"""Largest time per row and process, so that processes with few rows are short."""

BLOCKS, LEAST_BLOCKS, LEAST_ROUNDS = 6, 2, 2


@dataclass(frozen=True)
class BlockSchedule:
    """Calls of one case under one strategy in a process.

    blocks: how often the process returns to it: a disturbance then affects only some of its blocks.
    phases: phase → calls per round, rounds per block.
    """

    blocks: int
    phases: Mapping[str, tuple[int, int]]


def block_schedule(calls: Mapping[str, tuple[float, int]], row_seconds: float) -> BlockSchedule:
    """Choose blocks and rounds for one case under one strategy. Each block begins with one untimed call of each phase.

    calls: phase → seconds of a call, calls per round; see `timing.calls_per_round`.
    row_seconds: time of one phase in a process. Slow calls take longer: there are at least two blocks of two rounds.
    """
    once = sum((1 + LEAST_ROUNDS) * max(seconds, ROUND_SECONDS) for seconds, _ in calls.values())
    affordable = int(row_seconds * len(calls) / once) if once else BLOCKS
    blocks = min(BLOCKS, max(LEAST_BLOCKS, affordable))
    return BlockSchedule(
        blocks,
        {
            phase: (n_calls, max(LEAST_ROUNDS, round(row_seconds / blocks / (n_calls * seconds))))
            for phase, (seconds, n_calls) in calls.items()
        },
    )


def row_seconds(n_rows: int) -> float:
    """Return the time of one row in a process with `n_rows` rows, in seconds."""
    return min(MOST_SECONDS, PROCESS_SECONDS / max(1, n_rows))
