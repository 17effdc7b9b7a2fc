"""What is set about a worker's process before its interpreter starts, equally for every strategy.

Threads, and glibc's thresholds: with those as found, each large fresh array is mapped and page-faulted anew at each call.
"""

from __future__ import annotations

import os
import platform
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

CONTROLS = ("tuned", "asis")

THREAD_VARIABLES = (
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OMP_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)

MALLOC = {"MALLOC_MMAP_THRESHOLD_": str(2**34), "MALLOC_TRIM_THRESHOLD_": str(2**34), "MALLOC_TOP_PAD_": str(2**24)}
"""16 GiB: never map, never give back; and grow the heap by 16 MiB at a time."""


def settings(controls: str, threads: int, pass_number: int) -> dict[str, str]:
    """Return the environment variables that a worker is given.

    Parameters
    ----------
    controls : {"tuned", "asis"}
        ``asis``: threads and malloc are left as found.
    threads : int
        For every library alike.
    pass_number : int
        Counted from 0; fixes the order of sets of strings, differently in each pass.

    Returns
    -------
    dict of str to str
        To be laid over the environment.
    """
    chosen = {"PYTHONHASHSEED": str(pass_number), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONSAFEPATH": "1"}
    if controls == "tuned":
        chosen |= dict.fromkeys(THREAD_VARIABLES, str(threads))
        chosen |= MALLOC if platform.libc_ver()[0] == "glibc" else {}
    return chosen


def environment(chosen: Mapping[str, str]) -> dict[str, str]:
    """Return this process's environment with the worker's settings, and without what would change its pytest."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COV_CORE_"))}
    return inherited | dict(chosen)
