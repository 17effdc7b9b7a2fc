"""Machine profile: the rates at which this machine writes, reads and calculates, each measured once per process."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from jacobench.bench.cell import timing

if TYPE_CHECKING:
    from collections.abc import Callable

LARGEST = 2**26  # largest array that is written and read to measure the bandwidths: 64 MiB, more than caches hold

READ_COLUMNS = 1024
"""Row length of the matrix that is read. Its products read 64 MiB at 43 GB/s, the dot product of one long vector at 30,
because several rows are read at once."""

PRODUCT_SIDE = 384  # side of the matrix product that measures the rate of arithmetic
MIN_SECONDS, ROUNDS = 5e-4, 7  # shortest round, and the number of rounds; the fastest counts


def fastest(call: Callable[[], Any]) -> float:
    """Return the seconds of a call: the fastest of seven rounds of at least half a millisecond."""
    return timing.fastest(call, ROUNDS, MIN_SECONDS)


def write_seconds(n_bytes: int) -> float:
    """Return the seconds to write this number of bytes.

    Not half of a copy, which reads each line of its target before writing it. With half a copy, `dense` was faster than
    its floor.
    """
    return _in_proportion(_write, n_bytes)


def read_seconds(n_bytes: int) -> float:
    """Return the seconds to read this number of bytes, in the fastest matrix-vector product."""
    return _in_proportion(_read, n_bytes)


def _in_proportion(seconds: Callable[[int], float], n_bytes: int) -> float:
    """Measure at the power of two below, once per process, so that the sizes of a suite cost little."""
    if not n_bytes:
        return 0.0
    size = min(LARGEST, 1 << (n_bytes.bit_length() - 1))
    return seconds(size) * n_bytes / size


@cache
def _write(size: int) -> float:
    target = np.empty(size, np.uint8)
    return fastest(lambda: target.fill(0))


@cache
def _read(size: int) -> float:
    source = np.ones((max(1, size // (8 * READ_COLUMNS)), min(READ_COLUMNS, max(1, size // 8))))
    left, right = np.ones(len(source)), np.ones(source.shape[1])
    return min(fastest(lambda: np.dot(left, source)), fastest(lambda: np.dot(source, right)))


@cache
def seconds_per_flop(dtype: str) -> float:
    """Return the seconds of one arithmetic operation at the rate of a matrix product; measured once."""
    a = np.ones((PRODUCT_SIDE, PRODUCT_SIDE), dtype)
    product = np.empty_like(a)
    return fastest(lambda: np.matmul(a, a, out=product)) / (2 * PRODUCT_SIDE**3)
