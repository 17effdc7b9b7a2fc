"""State of the process that all strategies share: read before a strategy runs, compared and restored after it.

A strategy may change how NumPy reports errors, the number of BLAS threads or the niceness, or replace a function of NumPy.
Without a check, such a change would affect the strategies after it.
"""

from __future__ import annotations

import ctypes
import gc
import locale
import math
import os
import random
import signal
import sys
import threading
import tracemalloc
import warnings
from itertools import repeat
from operator import is_
from typing import TYPE_CHECKING, Any

import numpy as np
from threadpoolctl import ThreadpoolController

from .library_originals import Originals
from .shared_setting import Changes, SharedSetting, changed_names, changed_start, common_changes, value_change

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SharedState = dict[str, Any]  # name of a setting → its value; None where the system or the library has no such setting

LIMITS = ("RLIMIT_AS", "RLIMIT_CPU", "RLIMIT_FSIZE", "RLIMIT_NOFILE", "RLIMIT_STACK")
"""Resource limits that are compared. The harness itself sets RLIMIT_DATA."""

OURS = ("PYTHONPATH", "PYTEST_")
"""Variables that the harness sets: the registry adds the folders of plug-ins, for their child processes."""

WITNESS: list[str] = ["seen by the garbage collector unless it is exempt"]

ONE, SMALL = float("1"), float("1e-17")  # not literals, which the compiler would fold


ORIGINALS = Originals()


def read_state() -> SharedState:
    """Return the values of all settings."""
    return {setting.name: setting.value() for setting in SETTINGS}


def undo_changes(state: SharedState) -> Changes:
    """Restore the settings that have changed since `state` was read, and return the changes; takes 1 to 2 ms.

    `state` has the present values afterwards: also those of modules that were imported in between.
    """
    changes = Changes()
    for setting in SETTINGS:
        state[setting.name], found = setting.undo(state[setting.name])
        changes += found
    return changes


# ---- NumPy, random numbers, BLAS, other libraries


def _restore_errors(before: Any) -> None:
    np.seterr(**before[0])
    np.seterrcall(before[1])


RANDOM: Any = np.random  # its stubs leave out two functions


def _numpy_random() -> Any:
    state = RANDOM.get_state(legacy=False)
    inner = {key: value.tolist() if isinstance(value, np.ndarray) else value for key, value in state["state"].items()}
    return RANDOM.get_bit_generator(), state | {"state": inner}


def _restore_numpy_random(before: Any) -> None:
    RANDOM.set_bit_generator(before[0])
    RANDOM.set_state(before[1])


class _Blas:
    """The BLAS and OpenMP libraries of this process, searched again when modules have been imported."""

    n_modules = -1
    libraries: tuple[Any, ...] = ()

    def _search(self) -> tuple[Any, ...]:
        if self.n_modules != len(sys.modules):
            self.libraries = tuple(ThreadpoolController().lib_controllers)
            self.n_modules = len(sys.modules)
        return self.libraries

    def threads(self) -> dict[str, int]:
        return {library.filepath: library.num_threads for library in self._search()}

    def restore(self, before: Mapping[str, int]) -> None:
        for library in self._search():
            if before.get(library.filepath, library.num_threads) != library.num_threads:
                library.set_num_threads(before[library.filepath])


def _thread_counts(before: Mapping[str, int] | None, after: Mapping[str, int] | None) -> str:
    before, after = before or {}, after or {}
    pairs = (f"{before[path]} → {after[path]}" for path in before if after.get(path, before[path]) != before[path])
    return ", ".join(dict.fromkeys(pairs))


BLAS = _Blas()


def _jax_flags() -> dict[str, Any]:
    return dict(sys.modules["jax"].config.values) if "jax" in sys.modules else {}


def _restore_jax(before: Mapping[str, Any]) -> None:
    now = _jax_flags()
    for name in before:
        if now[name] != before[name]:
            sys.modules["jax"].config.update(name, before[name])


TORCH = {
    "default dtype": ("get_default_dtype", "set_default_dtype"),
    "threads": ("get_num_threads", "set_num_threads"),
    "gradients": ("is_grad_enabled", "set_grad_enabled"),
    "deterministic algorithms": ("are_deterministic_algorithms_enabled", "use_deterministic_algorithms"),
    "precision of float32 products": ("get_float32_matmul_precision", "set_float32_matmul_precision"),
}
"""Setting of torch → the functions that read and set it."""


def _torch_flags() -> dict[str, Any]:
    torch: Any = sys.modules.get("torch")
    return {name: getattr(torch, read)() for name, (read, _) in TORCH.items()} if torch else {}


def _restore_torch(before: Mapping[str, Any]) -> None:
    for name, value in before.items():
        getattr(sys.modules["torch"], TORCH[name][1])(value)


# ---- the interpreter and the process


def _restore_filters(before: Any) -> None:
    warnings.resetwarnings()  # also marks caches of the old filters as outdated
    warnings.filters[:] = before  # type: ignore[index]


def _collector() -> Any:
    return gc.isenabled(), gc.get_threshold(), gc.get_debug()


def _restore_collector(before: Any) -> None:
    (gc.enable if before[0] else gc.disable)()
    gc.set_threshold(*before[1])
    gc.set_debug(before[2])


def _is_frozen() -> bool:
    """Return whether objects are exempt from collection. To count them took 7 ms, because it visits each of them."""
    return not any(map(is_, gc.get_objects(), repeat(WITNESS)))


def _restore_traces(before: Any) -> None:
    sys.setprofile(before[0])
    sys.settrace(before[1])
    threading.setprofile(before[2])  # type: ignore[arg-type, unused-ignore]
    threading.settrace(before[3])  # type: ignore[arg-type, unused-ignore]


def _monitoring() -> Any:
    tools: Any = sys.monitoring  # type: ignore[attr-defined, unused-ignore]  # from Python 3.12
    return {number: tools.get_events(number) for number in range(6) if tools.get_tool(number)}


def _restore_monitoring(before: Mapping[int, int]) -> None:
    tools: Any = sys.monitoring  # type: ignore[attr-defined, unused-ignore]
    for number in _monitoring():
        tools.set_events(number, before.get(number, 0))
        if number not in before:
            tools.free_tool_id(number)


def _timers() -> list[bool]:
    kinds = (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF)  # an alarm is an ITIMER_REAL
    return [signal.getitimer(kind)[0] > 0 for kind in kinds]


def _restore_timers(before: Sequence[bool]) -> None:
    for kind, was_set in zip((signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF), before, strict=True):
        if not was_set:
            signal.setitimer(kind, 0)


SIGNALS = {number.name: number for number in signal.Signals if number in signal.valid_signals()}


def _handlers() -> dict[str, Any]:
    return {name: signal.getsignal(number) for name, number in SIGNALS.items()}


def _restore_handlers(before: Mapping[str, Any]) -> None:
    for name, handler in _handlers().items():
        if handler != before[name]:
            signal.signal(SIGNALS[name], before[name])


def _limits() -> dict[str, Any]:
    import resource  # noqa: PLC0415  (POSIX only)

    return {name: resource.getrlimit(getattr(resource, name)) for name in LIMITS}


def _restore_limits(before: Mapping[str, Any]) -> None:
    import resource  # noqa: PLC0415

    for name, limits in before.items():
        resource.setrlimit(getattr(resource, name), limits)


def _umask() -> int:
    found = os.umask(0o077)
    os.umask(found)
    return found


def _variables() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(OURS)}


def _restore_variables(before: Mapping[str, str]) -> None:
    for name in _variables().keys() - before.keys():
        del os.environ[name]
    os.environ.update(before)


def _import_list(name: str) -> SharedSetting:
    """Return the setting of a list in `sys`. Restored, it has the earlier entries first, and new ones after them."""

    def restore(before: Sequence[Any]) -> None:
        current = getattr(sys, name)
        current[:] = [*before, *(entry for entry in current if entry not in before)]

    return SharedSetting(f"sys.{name}", lambda: list(getattr(sys, name)), restore, changed_start)


def _float_mode() -> Any:
    """Return whether subnormal numbers are kept, and whether sums are rounded to the nearest number."""
    subnormal = math.ldexp(ONE, -1070)
    return subnormal * ONE > 0, ONE + SMALL == ONE == ONE - SMALL


def _restore_float_mode(_before: Any) -> None:
    ctypes.CDLL(None).fesetenv(ctypes.c_void_p(-1))  # FE_DFL_ENV of Linux


SETTINGS: tuple[SharedSetting, ...] = (
    SharedSetting("functions of libraries", ORIGINALS.patched, ORIGINALS.restore, changed_names),
    SharedSetting("NumPy's error handling", lambda: (np.geterr(), np.geterrcall()), _restore_errors),
    SharedSetting(
        "NumPy's print options", np.get_printoptions, lambda before: np.set_printoptions(**before), changed_names
    ),
    SharedSetting("NumPy's buffer size", np.getbufsize, np.setbufsize, value_change),
    SharedSetting("NumPy's random state", _numpy_random, _restore_numpy_random),
    SharedSetting("Python's random state", random.getstate, random.setstate),
    SharedSetting("BLAS threads", BLAS.threads, BLAS.restore, _thread_counts),
    SharedSetting("flags of JAX", _jax_flags, _restore_jax, common_changes),
    SharedSetting("flags of torch", _torch_flags, _restore_torch, common_changes),
    SharedSetting("the floating-point mode", _float_mode, _restore_float_mode),
    SharedSetting("garbage collection", _collector, _restore_collector),
    SharedSetting(
        "objects exempt from garbage collection",
        _is_frozen,
        lambda before: gc.freeze() if before else gc.unfreeze(),
    ),
    SharedSetting("the switch interval", sys.getswitchinterval, sys.setswitchinterval, value_change),
    SharedSetting("the recursion limit", sys.getrecursionlimit, sys.setrecursionlimit, value_change),
    SharedSetting("the digits of integers", sys.get_int_max_str_digits, sys.set_int_max_str_digits, value_change),
    SharedSetting(
        "profile or trace functions",
        lambda: (sys.getprofile(), sys.gettrace(), threading.getprofile(), threading.gettrace()),
        _restore_traces,
    ),
    SharedSetting("monitoring tools", _monitoring, _restore_monitoring),
    SharedSetting("tracemalloc", tracemalloc.is_tracing, lambda _before: tracemalloc.stop()),
    SharedSetting("warnings filters", lambda: list(warnings.filters), _restore_filters),
    *map(_import_list, ("path", "meta_path", "path_hooks")),
    SharedSetting("timers", _timers, _restore_timers),
    SharedSetting("signal handlers", _handlers, _restore_handlers, changed_names),
    SharedSetting(
        "blocked signals",
        lambda: signal.pthread_sigmask(signal.SIG_BLOCK, ()),
        lambda before: signal.pthread_sigmask(signal.SIG_SETMASK, before),
    ),
    SharedSetting("environment variables", _variables, _restore_variables, changed_names),
    SharedSetting("the working directory", os.getcwd, os.chdir),
    SharedSetting("the umask", _umask, os.umask, lambda before, after: value_change(f"{before:03o}", f"{after:03o}")),
    SharedSetting(
        "the locale", lambda: locale.setlocale(locale.LC_ALL), lambda it: locale.setlocale(locale.LC_ALL, it)
    ),
    SharedSetting("resource limits", _limits, _restore_limits, changed_names),
    SharedSetting(
        "the CPU affinity",
        lambda: os.sched_getaffinity(0),
        lambda before: os.sched_setaffinity(0, before),
        value_change,
    ),
    SharedSetting(
        "the scheduling policy",
        lambda: (os.sched_getscheduler(0), os.sched_getparam(0).sched_priority),
        lambda before: os.sched_setscheduler(0, before[0], os.sched_param(before[1])),
        value_change,
    ),
    SharedSetting(
        "the niceness",
        lambda: os.getpriority(os.PRIO_PROCESS, 0),
        lambda before: os.setpriority(os.PRIO_PROCESS, 0, before),
        value_change,
    ),
)
"""The settings. Functions of libraries come first, because the others use them."""
