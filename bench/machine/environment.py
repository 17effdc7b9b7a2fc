"""Environment of worker processes, set before their interpreter starts and equal for all strategies.

- Threads: the same number for each library.
- malloc: with glibc's default thresholds, each large new array is mapped and page-faulted again in every call.
- BLAS kernel: the default may be a kernel for a ten-year-old processor.

docs/measurement.md lists the measured effect of each.
"""

from __future__ import annotations

import os
import platform
from typing import TYPE_CHECKING

from jacobench.bench.machine import blas_kernel

if TYPE_CHECKING:
    from collections.abc import Mapping

THREAD_VARIABLES = (
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OMP_NUM_THREADS",  # torch reads it, too
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NPROC",  # size of XLA's thread pool: jaxlib 0.10.2 uses two cores despite the flag below
)

MALLOC = {
    "MALLOC_MMAP_THRESHOLD_": str(2**34),
    "MALLOC_TRIM_THRESHOLD_": str(2**34),
    "MALLOC_TOP_PAD_": str(2**24),
    "MALLOC_ARENA_MAX": "1",
}
"""Thresholds of 16 GiB: never map single arrays, never return memory. The heap grows by 16 MiB at a time.

One arena, because the arena of another thread holds at most 64 MiB and larger arrays are mapped again. With JAX, which
allocates in its own threads, a Jacobian of 109 MiB took either 4 or 26 ms."""


def settings(controls: str, threads: int) -> dict[str, str]:
    """Return the environment variables to set for workers, as far as they have an effect here; "asis" sets nothing."""
    if controls == "asis":
        return {}
    chosen = dict.fromkeys(THREAD_VARIABLES, str(threads))
    chosen["XLA_FLAGS"] = _xla_flags(threads)
    if platform.libc_ver()[0] == "glibc":
        chosen |= MALLOC
    kernel = blas_kernel.choice().chosen
    if kernel:
        chosen[blas_kernel.VARIABLE] = kernel
    return chosen


def _xla_flags(threads: int) -> str:
    """Return the user's XLA flags plus ours: XLA's CPU client accepts no number of threads, only one or all."""
    found = os.environ.get("XLA_FLAGS", "")
    return f"{found} --xla_cpu_multi_thread_eigen={'false' if threads == 1 else 'true'}".strip()


def environment(chosen: Mapping[str, str], pass_number: int) -> dict[str, str]:
    """Return the whole environment of a worker: that of this process without pytest's variables, plus `chosen`.

    The number of the pass is the hash seed of strings, so that the order of sets differs between passes.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COV_CORE_"))}
    fixed = {"PYTHONHASHSEED": str(pass_number), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return inherited | dict(chosen) | fixed
