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
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import repeat
from operator import is_
from typing import TYPE_CHECKING, Any

import numpy as np
from threadpoolctl import ThreadpoolController

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

SharedState = dict[str, Any]  # name of a setting → its value; None where the system or the library has no such setting

PATCHABLE = ("builtins", "math", "time", "numpy", "scipy", "jacobench", "_jacobench_gate_cell")
"""Packages whose functions and classes are compared."""

LIMITS = ("RLIMIT_AS", "RLIMIT_CPU", "RLIMIT_FSIZE", "RLIMIT_NOFILE", "RLIMIT_STACK")
"""Resource limits that are compared. The harness itself sets RLIMIT_DATA."""

OURS = ("PYTHONPATH", "PYTEST_")
"""Variables that the harness sets: the registry adds the folders of plug-ins, for their child processes."""

WITNESS: list[str] = ["seen by the garbage collector unless it is exempt"]

ONE, SMALL = float("1"), float("1e-17")  # not literals, which the compiler would fold


@dataclass(frozen=True)
class Changes:
    """Settings that a strategy changed, each with details."""

    undone: tuple[str, ...] = ()  # they have their earlier values again
    lasting: tuple[str, ...] = ()  # they cannot be restored

    def __add__(self, other: Changes) -> Changes:
        """Return the changes of both, each once."""
        return Changes(
            tuple(dict.fromkeys(self.undone + other.undone)), tuple(dict.fromkeys(self.lasting + other.lasting))
        )

    def note(self) -> str:
        """Return a note for the strategy's rows; empty without changes."""
        undone = f"its changes to the process were undone: {', '.join(self.undone)}" if self.undone else ""
        lasting = (
            "its changes to the process cannot be undone, so no other strategy follows it in this process: "
            f"{', '.join(self.lasting)}"
            if self.lasting
            else ""
        )
        return "; ".join(filter(None, (undone, lasting)))


# ---- differences between two values of a setting: a description, empty if there is none


def _values(before: Any, after: Any) -> str:
    return "" if before == after else f"{before} → {after}"


def _unlike(before: Any, after: Any) -> str:
    return "" if before == after else "changed"


def _names(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> str:
    before, after = before or {}, after or {}
    return ", ".join(sorted(str(name) for name in {*before, *after} if before.get(name) != after.get(name)))


def _common_names(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> str:
    """Return the names of changed values; those of a library that was loaded in between are not changes."""
    before, after = before or {}, after or {}
    return ", ".join(str(name) for name in before if name in after and before[name] != after[name])


def _start(before: Sequence[Any], after: Sequence[Any]) -> str:
    """Compare lists that are searched from the start; entries after the earlier ones hide nothing."""
    return "" if list(after[: len(before)]) == list(before) else "changed"


@dataclass(frozen=True)
class SharedSetting:
    """How one setting is read, restored and compared. `read` may raise where the system does not have the setting."""

    name: str
    read: Callable[[], Any]
    restore: Callable[[Any], object]
    difference: Callable[[Any, Any], str] = _unlike

    def value(self) -> Any:
        """Return the value; None where there is none."""
        try:
            return self.read()
        except Exception:  # noqa: BLE001  (the system has no such setting, or a strategy has broken it)
            return None

    def undo(self, before: Any) -> tuple[Any, Changes]:
        """Restore the value if it has changed; return the present value and the change."""
        value = self.value()
        found = self.difference(before, value)
        if not found:
            return value, Changes()
        with suppress(Exception):  # whether it has succeeded is read below
            self.restore(before)
        value = self.value()
        described = (self.name if found == "changed" else f"{self.name} ({found})",)
        return value, Changes(lasting=described) if self.difference(before, value) else Changes(undone=described)


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


# ---- functions and classes of libraries


ABSENT = object()  # in place of a method that a class did not have


@dataclass
class Originals:
    """The functions, classes and methods of the packages in `PATCHABLE`, as they were when they were first seen."""

    _seen: dict[str, tuple[Any, dict[str, Any]]] = field(default_factory=dict)  # name → module or class, its content

    def patched(self) -> dict[str, int]:
        """Return the qualified names of those that have been replaced, each with the identity of the replacement."""
        for name, module in list(sys.modules.items()):
            if name not in self._seen and name.partition(".")[0] in PATCHABLE:
                self._add(name, module)
        return {
            f"{name}.{key}": id(vars(owner).get(key, ABSENT))
            for name, (owner, content) in self._seen.items()
            if not _same(vars(owner), content)
            for key in self._replaced(owner, content)
        }

    def _add(self, name: str, module: Any) -> None:
        self._seen[name] = module, dict(vars(module))
        for value in vars(module).values():
            if isinstance(value, type) and value.__module__.partition(".")[0] in PATCHABLE:
                self._seen.setdefault(f"{value.__module__}.{value.__qualname__}", (value, dict(vars(value))))

    def _replaced(self, owner: Any, content: dict[str, Any]) -> list[str]:
        now = vars(owner)
        for key in now.keys() - content.keys():
            is_method = isinstance(owner, type) and _is_code(now[key])
            content[key] = ABSENT if is_method else now[key]  # else, for example, a module imported in between
        return [key for key, value in content.items() if _is_code(value) and now.get(key, ABSENT) is not value]

    def restore(self, before: Mapping[str, int]) -> None:
        """Put the originals back, except where they were already replaced in `before`."""
        for qualified in self.patched().keys() - before.keys():
            name, _, key = qualified.rpartition(".")
            owner, content = self._seen[name]
            if content[key] is ABSENT:
                delattr(owner, key)
            else:
                setattr(owner, key, content[key])


def _same(now: Mapping[str, Any], content: Mapping[str, Any]) -> bool:
    try:
        return len(now) == len(content) and bool(now == content)
    except Exception:  # noqa: BLE001  (the values are of any type: an array has no truth value)
        return False


def _is_code(value: Any) -> bool:
    return value is ABSENT or callable(value) or isinstance(value, property | staticmethod | classmethod)


ORIGINALS = Originals()


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

    return SharedSetting(f"sys.{name}", lambda: list(getattr(sys, name)), restore, _start)


def _float_mode() -> Any:
    """Return whether subnormal numbers are kept, and whether sums are rounded to the nearest number."""
    subnormal = math.ldexp(ONE, -1070)
    return subnormal * ONE > 0, ONE + SMALL == ONE == ONE - SMALL


def _restore_float_mode(_before: Any) -> None:
    ctypes.CDLL(None).fesetenv(ctypes.c_void_p(-1))  # FE_DFL_ENV of Linux


SETTINGS: tuple[SharedSetting, ...] = (
    SharedSetting("functions of libraries", ORIGINALS.patched, ORIGINALS.restore, _names),
    SharedSetting("NumPy's error handling", lambda: (np.geterr(), np.geterrcall()), _restore_errors),
    SharedSetting("NumPy's print options", np.get_printoptions, lambda before: np.set_printoptions(**before), _names),
    SharedSetting("NumPy's buffer size", np.getbufsize, np.setbufsize, _values),
    SharedSetting("NumPy's random state", _numpy_random, _restore_numpy_random),
    SharedSetting("Python's random state", random.getstate, random.setstate),
    SharedSetting("BLAS threads", BLAS.threads, BLAS.restore, _thread_counts),
    SharedSetting("flags of JAX", _jax_flags, _restore_jax, _common_names),
    SharedSetting("flags of torch", _torch_flags, _restore_torch, _common_names),
    SharedSetting("the floating-point mode", _float_mode, _restore_float_mode),
    SharedSetting("garbage collection", _collector, _restore_collector),
    SharedSetting(
        "objects exempt from garbage collection",
        _is_frozen,
        lambda before: gc.freeze() if before else gc.unfreeze(),
    ),
    SharedSetting("the switch interval", sys.getswitchinterval, sys.setswitchinterval, _values),
    SharedSetting("the recursion limit", sys.getrecursionlimit, sys.setrecursionlimit, _values),
    SharedSetting("the digits of integers", sys.get_int_max_str_digits, sys.set_int_max_str_digits, _values),
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
    SharedSetting("signal handlers", _handlers, _restore_handlers, _names),
    SharedSetting(
        "blocked signals",
        lambda: signal.pthread_sigmask(signal.SIG_BLOCK, ()),
        lambda before: signal.pthread_sigmask(signal.SIG_SETMASK, before),
    ),
    SharedSetting("environment variables", _variables, _restore_variables, _names),
    SharedSetting("the working directory", os.getcwd, os.chdir),
    SharedSetting("the umask", _umask, os.umask, lambda before, after: _values(f"{before:03o}", f"{after:03o}")),
    SharedSetting(
        "the locale", lambda: locale.setlocale(locale.LC_ALL), lambda it: locale.setlocale(locale.LC_ALL, it)
    ),
    SharedSetting("resource limits", _limits, _restore_limits, _names),
    SharedSetting(
        "the CPU affinity", lambda: os.sched_getaffinity(0), lambda before: os.sched_setaffinity(0, before), _values
    ),
    SharedSetting(
        "the scheduling policy",
        lambda: (os.sched_getscheduler(0), os.sched_getparam(0).sched_priority),
        lambda before: os.sched_setscheduler(0, before[0], os.sched_param(before[1])),
        _values,
    ),
    SharedSetting(
        "the niceness",
        lambda: os.getpriority(os.PRIO_PROCESS, 0),
        lambda before: os.setpriority(os.PRIO_PROCESS, 0, before),
        _values,
    ),
)
"""The settings. Functions of libraries come first, because the others use them."""
