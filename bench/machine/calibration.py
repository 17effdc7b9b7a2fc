"""The control kernel: a fixed piece of NumPy work, timed in every worker. If it moves, it was the machine that moved."""

from __future__ import annotations

import time

import numpy as np

SIDE, ROUNDS = 128, 30
CONTROL = "control"
"""The strategy and the phase under which it stands in the journal."""


def seconds() -> tuple[float, ...]:
    """Time the kernel: a matrix product, an elementary function, a sum, some 100 µs of each kind of work.

    Returns
    -------
    tuple of float
        Seconds of each of 30 rounds.
    """
    a = np.linspace(-1, 1, SIDE * SIDE).reshape(SIDE, SIDE)
    found = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        for _ in range(3):
            (np.tanh(a) @ a).sum()
        found.append((time.perf_counter() - start) / 3)
    return tuple(found)
