"""Time of a call: the clock, the number of calls per round, the fastest round, and the calibration kernel.

For rounds, callers switch the garbage collector off: `run` with pytest-benchmark's option, the gate for its process.
"""

from __future__ import annotations

import gc
import time
from dataclasses import dataclass
from itertools import repeat
from math import ceil, inf
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

Result = TypeVar("Result")

ROUND_SECONDS = 1e-3  # minimum length of a round, in `run` and in the gate
LONGEST = 5  # largest multiple of the minimum length that a round may take, so that strategies share a number of calls
CONTROL = "control"  # strategy and phase of the calibration kernel in the journal


@dataclass(frozen=True)
class Schedule:
    """How a call is timed: the number of rounds, each of which gives one number, and the calls per round."""

    rounds: int
    calls: int


def timed_call(call: Callable[[], Result]) -> tuple[Result, float]:
    """Return the result of one call, and its seconds, with the garbage collector switched off."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        start = time.perf_counter()
        result = call()
        return result, time.perf_counter() - start
    finally:
        if was_enabled:
            gc.enable()


def round_seconds(call: Callable[[], Any], n_calls: int) -> float:
    """Return the seconds that `n_calls` calls take together."""
    start = time.perf_counter()
    for _ in repeat(None, n_calls):
        call()
    return time.perf_counter() - start


def calls_per_round(
    call: Callable[[], Any], min_seconds: float = ROUND_SECONDS, settled: int | None = None, shared: int | None = None
) -> tuple[int, float]:
    """Return the number of calls in a round of at least `min_seconds`, and the length of such a round.

    settled: number of an earlier pass, which is used again.
    shared: number of another strategy in the same case and phase. It is used if a round then takes one to `LONGEST`
    times the minimum.
    """
    if shared and not settled and round_seconds(call, 1) > LONGEST * min_seconds:
        shared = None  # checked with one call: the shared number took 20 s where this strategy compiles
    n_calls = settled or shared or 1
    seconds = round_seconds(call, n_calls)
    if settled:
        return n_calls, seconds
    if seconds > LONGEST * min_seconds and n_calls > 1:
        n_calls = 1
        seconds = round_seconds(call, n_calls)
    while seconds < min_seconds:
        needed = ceil(1.2 * n_calls * min_seconds / max(seconds, 1e-7))
        n_calls = min(10 * n_calls, needed)
        seconds = round_seconds(call, n_calls)
    return n_calls, seconds


def fastest_round(call: Callable[[], Any], schedule: Schedule, time_limit: float = inf) -> float:
    """Return the seconds per call of the fastest round; no round begins after `time_limit` seconds."""
    end = time.perf_counter() + time_limit
    best = inf
    for _ in repeat(None, schedule.rounds):
        best = min(best, round_seconds(call, schedule.calls))
        if time.perf_counter() > end:
            break
    return best / schedule.calls


def fastest(call: Callable[[], Any], rounds: int, min_seconds: float, time_limit: float = inf) -> float:
    """Return the seconds of a call: the fastest of some rounds of about `min_seconds`, after one untimed call.

    No round begins after `time_limit` seconds.
    """
    call()
    n_calls = max(1, int(min_seconds / max(round_seconds(call, 1), 1e-7)))
    return fastest_round(call, Schedule(rounds, n_calls), time_limit)


def kernel_seconds() -> tuple[float, ...]:
    """Time 30 rounds of the calibration kernel, 100 µs each. If their time changes, the machine has changed."""
    a = np.linspace(-1, 1, 128 * 128).reshape(128, 128)

    def kernel() -> None:
        (np.tanh(a) @ a).sum()

    return tuple(round_seconds(kernel, 3) / 3 for _ in range(30))
