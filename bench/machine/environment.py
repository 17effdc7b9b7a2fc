"""What is set about a worker's process before its interpreter starts, equally for every strategy.

- Threads, for each library alike.
- glibc's thresholds: as found, each large fresh array is mapped and page-faulted anew at each call.
- OpenBLAS's kernel: as found, it may be one for a processor of ten years ago.

docs/measurement.md says what each of them was measured to gain.
"""

from __future__ import annotations

import os
import platform
from typing import TYPE_CHECKING

from jacobench.bench.machine import blas_kernel

if TYPE_CHECKING:
    from collections.abc import Mapping

CONTROLS = ("tuned", "asis")

THREAD_VARIABLES = (
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OMP_NUM_THREADS",  # torch goes by it, too
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NPROC",  # the size of XLA's thread pool: jaxlib 0.10.2 spreads its work over two cores in spite of the flag below
)

MALLOC = {
    "MALLOC_MMAP_THRESHOLD_": str(2**34),
    "MALLOC_TRIM_THRESHOLD_": str(2**34),
    "MALLOC_TOP_PAD_": str(2**24),
    "MALLOC_ARENA_MAX": "1",
}
"""16 GiB: never map an array apart, never give memory back; and grow the heap by 16 MiB at a time.

One arena, because another thread's own holds 64 MiB at most, and what is larger is mapped after all: with JAX, which
allocates in threads of its own, a Jacobian of 109 MiB took now 4 and now 26 ms."""


def settings(controls: str, threads: int) -> dict[str, str]:
    """Return the environment variables that a run's workers are given.

    Parameters
    ----------
    controls : {"tuned", "asis"}
        ``asis``: nothing is set.
    threads : int
        For every library alike.

    Returns
    -------
    dict of str to str
        To be laid over the environment. What cannot be set on this system is not in it.
    """
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
    """Return XLA's flags, the reader's own first: its CPU client takes no number of threads, only one or all."""
    found = os.environ.get("XLA_FLAGS", "")
    return f"{found} --xla_cpu_multi_thread_eigen={'false' if threads == 1 else 'true'}".strip()


def environment(chosen: Mapping[str, str], pass_number: int) -> dict[str, str]:
    """Return a worker's environment.

    Parameters
    ----------
    chosen : mapping of str to str
        The run's settings.
    pass_number : int
        Counted from 0; fixes the order of sets of strings, differently in each pass.

    Returns
    -------
    dict of str to str
        This process's environment with the settings, without what would change the worker's pytest.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COV_CORE_"))}
    fixed = {"PYTHONHASHSEED": str(pass_number), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONSAFEPATH": "1"}
    return inherited | dict(chosen) | fixed
