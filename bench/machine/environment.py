"""Environment of worker processes, set before their interpreter starts and equal for all strategies.

- Threads: the same number for each library.
- malloc: with glibc's default thresholds, each large new array is mapped and page-faulted again in every call.
- BLAS kernel: the default may be a kernel for a ten-year-old processor.
- Variables that distort times are unset (`DISTORTING`). Others that may change times are recorded (`RECORDED`).

docs/measurement.md lists the measured effect of each.
"""

from __future__ import annotations

import os
import platform
import re
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jacobench.bench.machine import blas_kernel

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

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

DISTORTING: Mapping[str, str] = {
    # CPython
    "PYTHONMALLOC": "selects another allocator for Python objects, or one with checks",
    "PYTHONMALLOCSTATS": "prints statistics whenever Python's allocator maps memory",
    "PYTHONTRACEMALLOC": "records the traceback of each allocation",
    "PYTHONDEVMODE": "adds checks to each allocation and shows all warnings",
    "PYTHONASYNCIODEBUG": "adds checks to coroutines",
    "PYTHONPROFILEIMPORTTIME": "prints the time of each import",
    "PYTHONVERBOSE": "prints each import",
    "PYTHONDEBUG": "prints the parser's steps",
    "PYTHONPERFSUPPORT": "calls each Python function through a trampoline, for the profiler perf",
    "PYTHON_PERF_JIT_SUPPORT": "calls each Python function through a trampoline, for the profiler perf",
    "PYTHONDUMPREFS*": "keeps a list of all objects, in debug builds",
    "PYTHONSTATS": "counts the interpreter's instructions, in builds with statistics",
    "PYTHON_LLTRACE": "prints each instruction of the interpreter, in debug builds",
    # Tools that trace Python code
    "COVERAGE_PROCESS_*": "traces each line of Python (coverage)",
    "COV_CORE_*": "traces each line of Python (pytest-cov)",
    "LINE_PROFILE": "traces each line of Python (line_profiler)",
    "PYTHONHUNTER": "traces each line of Python (hunter)",
    # C library and dynamic linker
    "MALLOC_PERTURB_": "writes each block of memory when it is allocated and when it is freed",
    "MALLOC_CHECK_": "checks each block of memory when it is freed",
    "MALLOC_TRACE": "records each allocation in a file",
    "GLIBC_TUNABLES": "may select the checks above, another allocator setting or fewer processor features",
    "LD_DEBUG": "prints the steps of the dynamic linker",
    "LD_PROFILE": "counts the calls of functions of a shared library",
    "LD_AUDIT": "calls a function of an audit library at each symbol",
    "MallocStackLogging*": "records the stack of each allocation (macOS)",
    "MallocScribble": "writes each block of memory when it is freed (macOS)",
    "MallocPreScribble": "writes each block of memory when it is allocated (macOS)",
    "MallocGuardEdges": "protects the pages around each large block (macOS)",
    "MallocCheckHeap*": "checks the heap at intervals (macOS)",
    # NumPy, BLAS and OpenMP
    "NPY_DISABLE_CPU_FEATURES": "limits the instructions of one library, NumPy",
    "NPY_ENABLE_CPU_FEATURES": "limits the instructions of one library, NumPy",
    "MKL_ENABLE_INSTRUCTIONS": "limits the instructions of one library, MKL",
    "ONEDNN_MAX_CPU_ISA": "limits the instructions of one library, oneDNN",
    "DNNL_MAX_CPU_ISA": "limits the instructions of one library, oneDNN",
    "ATEN_CPU_CAPABILITY": "limits the instructions of one library, torch",
    "MKL_VERBOSE": "prints each call of MKL",
    "ONEDNN_VERBOSE": "prints each call of oneDNN",
    "DNNL_VERBOSE": "prints each call of oneDNN",
    "MKLDNN_VERBOSE": "prints each call of oneDNN",
    "ONEDNN_JIT_PROFILE": "reports each generated function to a profiler",
    "ONEDNN_JIT_DUMP": "writes each generated function to a file",
    "FLEXIBLAS_HOOK": "calls a hook, such as a profiler, at each call of the BLAS",
    "OMP_TOOL_LIBRARIES": "loads a tool that observes each parallel region",
    # JAX
    "JAX_DISABLE_JIT": "interprets instead of compiling",
    "JAX_DEBUG_NANS": "checks each result for NaN",
    "JAX_DEBUG_INFS": "checks each result for infinities",
    "JAX_DEBUG_KEY_REUSE": "checks each use of a random key",
    "JAX_DEBUG_LOG_MODULES": "logs each call of some modules",
    "JAX_ENABLE_CHECKS": "checks JAX's data structures in each call",
    "JAX_CHECK_TRACER_LEAKS": "disables caches of compiled functions",
    "JAX_LOG_COMPILES": "logs each compilation",
    "JAX_EXPLAIN_CACHE_MISSES": "logs each miss of a cache",
    "JAX_LOG_CHECKPOINT_RESIDUALS": "logs each checkpoint",
    "JAX_TRANSFER_GUARD*": "logs or forbids each transfer of an array",
    "JAX_ARRAY_GARBAGE_COLLECTION_GUARD": "logs or forbids the collection of each array",
    "JAX_DUMP_IR_TO": "writes each compiled function to a file",
    "JAX_NO_TRACING": "forbids compilation",
    "JAX_NO_EXECUTION": "forbids execution",
    "TF_CPP_MAX_VLOG_LEVEL": "logs the steps of XLA",
    "TF_CPP_VMODULE": "logs the steps of some modules of XLA",
    # torch, Numba, CUDA
    "PYTORCH_JIT": "may disable TorchScript's compiler",
    "TORCH_LOGS": "logs the steps of torch.compile",
    "TORCH_TRACE": "writes the steps of torch.compile to a file",
    "TORCH_COMPILE_DEBUG": "writes each step of torch.compile to a file",
    "TORCH_COMPILE_DISABLE": "may disable torch.compile",
    "TORCHDYNAMO_DISABLE": "may disable torch.compile",
    "TORCHDYNAMO_VERBOSE": "logs the steps of torch.compile",
    "TORCH_CPP_LOG_LEVEL": "may log calls of torch",
    "TORCH_SHOW_DISPATCH_TRACE": "prints each call of an operator, in debug builds",
    "PYTORCH_NO_CUDA_MEMORY_CACHING": "allocates each array from the driver",
    "CUDA_LAUNCH_BLOCKING": "waits for each kernel",
    "NUMBA_DISABLE_JIT": "interprets instead of compiling",
    "NUMBA_BOUNDSCHECK": "checks each index",
    "NUMBA_DEBUG*": "prints the steps of the compiler, or compiles without optimization",
    "NUMBA_OPT": "may disable optimization",
    "NUMBA_ENABLE_PROFILING": "reports each compiled function to a profiler",
}
"""Variables that are known to distort times → what they do. Workers unset them, except with controls "asis".

A name may end in ``*``. The names are from the documentation of CPython, glibc, Apple's libmalloc, NumPy, OpenBLAS, MKL,
oneDNN, FlexiBLAS, OpenMP, JAX, torch and Numba."""

RECORDED = (
    *("LD_PRELOAD", "LD_LIBRARY_PATH", "DYLD_INSERT_LIBRARIES", "DYLD_LIBRARY_PATH"),
    *(
        "MALLOC_*",
        "Malloc*",
        "GLIBC_*",
        "TCMALLOC_*",
        "MIMALLOC_*",
        "PYTHON*",
        "COVERAGE_*",
        "NPY_*",
        "NUMPY_*",
        "SCIPY_*",
    ),
    *("OPENBLAS_*", "GOTO*", "MKL_*", "BLIS_*", "VECLIB_*", "FLEXIBLAS*", "ONEDNN_*", "DNNL_*"),
    *("OMP_*", "KMP_*", "GOMP_*", "NPROC", "NUMEXPR_*", "NUMBA_*"),
    *("JAX_*", "XLA_*", "TF_CPP_*", "TORCH*", "PYTORCH_*", "ATEN_*", "CUDA_*"),
)
"""Groups of variables that may change times. A run records the names of those that its workers inherit."""

ALLOCATORS = (
    "jemalloc",
    "tcmalloc",
    "mimalloc",
    "tbbmalloc",
    "snmalloc",
    "rpmalloc",
    "hoard",
    "hardened_malloc",
    "scudo",
)
"""Parts of the names of libraries that replace malloc. They do not read glibc's variables."""

PYTEST = "PYTEST_*"  # variables that would change the options of a worker's pytest; never inherited


def matches(name: str, patterns: Iterable[str]) -> bool:
    """Return whether the name of a variable matches any pattern."""
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def unset_variables(controls: str = "tuned") -> list[str]:
    """Return the names of this process's variables that workers do not inherit because they distort times."""
    return [] if controls == "asis" else sorted(name for name in os.environ if matches(name, DISTORTING))


def kept_variables(chosen: Mapping[str, str], controls: str = "tuned") -> list[str]:
    """Return the names of the variables that workers inherit and that may change times, without those in `chosen`."""
    left_out = {*unset_variables(controls), *chosen, *_fixed(0)}
    return sorted(name for name in os.environ if name not in left_out and matches(name, (*RECORDED, *DISTORTING)))


def effect(name: str) -> str:
    """Return what a variable in `DISTORTING` does."""
    return next(text for pattern, text in DISTORTING.items() if fnmatchcase(name, pattern))


def variable_facts(chosen: Mapping[str, str], controls: str = "tuned") -> dict[str, Any]:
    """Return what a run records of its workers' other variables: names, and the library that replaces malloc, if any."""
    return {
        "unset": unset_variables(controls),
        "kept": kept_variables(chosen, controls),
        "preloaded_allocator": preloaded_allocator(),
    }


def joined_facts(facts: Mapping[str, Any], later: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts of a run that was resumed in another environment: the names of both."""
    lists = {key: sorted({*facts.get(key, ()), *later[key]}) for key in ("unset", "kept")}
    return {**lists, "preloaded_allocator": facts.get("preloaded_allocator") or later["preloaded_allocator"]}


def preloaded_allocator() -> str:
    """Return the file of a library that replaces malloc in each process; empty if there is none."""
    variables = [os.environ.get(name, "") for name in ("LD_PRELOAD", "DYLD_INSERT_LIBRARIES")]
    with_system = [*variables, _text("/etc/ld.so.preload") if platform.system() == "Linux" else ""]
    files = [word for text in with_system for word in re.split(r"[:\s]+", text)]
    return next((Path(file).name for file in files if any(name in Path(file).name for name in ALLOCATORS)), "")


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def settings(controls: str, threads: int) -> dict[str, str]:
    """Return the environment variables to set for workers, as far as they have an effect here; "asis" sets nothing."""
    if controls == "asis":
        return {}
    chosen = dict.fromkeys(THREAD_VARIABLES, str(threads))
    chosen["XLA_FLAGS"] = _xla_flags(threads)
    return chosen | _library_settings()


def suite_settings() -> dict[str, str]:
    """Return the environment variables to set for the processes of a pytest suite: those that the caller has not set.

    A suite uses as many threads as it does without the gate.
    """
    return {name: value for name, value in _library_settings().items() if name not in os.environ}


def _library_settings() -> dict[str, str]:
    """Return the thresholds of malloc and the BLAS kernel, as far as they have an effect here."""
    chosen: dict[str, str] = {}
    if platform.libc_ver()[0] == "glibc" and not preloaded_allocator():
        chosen |= MALLOC
    kernel = blas_kernel.choice().chosen
    if kernel:
        chosen[blas_kernel.VARIABLE] = kernel
    return chosen


def _xla_flags(threads: int) -> str:
    """Return the user's XLA flags plus ours: XLA's CPU client accepts no number of threads, only one or all."""
    found = os.environ.get("XLA_FLAGS", "")
    return f"{found} --xla_cpu_multi_thread_eigen={'false' if threads == 1 else 'true'}".strip()


def _fixed(pass_number: int) -> dict[str, str]:
    return {"PYTHONHASHSEED": str(pass_number), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}


def environment(chosen: Mapping[str, str], pass_number: int, controls: str = "tuned") -> dict[str, str]:
    """Return the whole environment of a worker: that of this process without `unset_variables`, plus `chosen`.

    The number of the pass is the hash seed of strings, so that the order of sets differs between passes.
    """
    left_out = (PYTEST, *unset_variables(controls))
    inherited = {name: value for name, value in os.environ.items() if not matches(name, left_out)}
    return inherited | dict(chosen) | _fixed(pass_number)
