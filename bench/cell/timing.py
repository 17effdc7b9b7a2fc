"""The gate's stopwatch: one round of calls, and work that a self-test adds to them."""

from __future__ import annotations

import time
from itertools import repeat
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

TURNS = 20_000
"""Turns of the idle loop that are timed to know how long one takes."""


def elapsed(batch: Callable[[], None]) -> float:
    """Return how many seconds a batch of calls takes."""
    start = time.perf_counter()
    batch()
    return time.perf_counter() - start


def calls(call: Callable[[], Any], n: int) -> None:
    """Call n times."""
    for _ in repeat(None, n):
        call()


def slowed(call: Callable[[], Any], n: int, turns: int) -> None:
    """Call n times, and do some work that is nobody's."""
    calls(call, n)
    spin(turns)


def spin(turns: int) -> None:
    """Do nothing, so many times."""
    for _ in repeat(None, turns):
        pass


def turn_seconds() -> float:
    """Return how long one turn of `spin` takes."""
    return min(elapsed(lambda: spin(TURNS)) for _ in range(5)) / TURNS
