"""Checks for sources of measurement noise on this machine, each with a measured size and a suggested fix."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import psutil

from jacobench.bench.cell import heap_memory
from jacobench.bench.machine import blas_kernel, environment, machine_record, noise
from jacobench.bench.machine import doctor_sentences as sentences
from jacobench.bench.machine.machine_record import total_memory
from jacobench.bench.machine.memory_limits import memory_limit
from jacobench.bench.machine.worker_process import run_python

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

T = TypeVar("T")
GOOD, NOTE, BAD = "good", "note", "bad"

WATCH_SECONDS = 0.5  # time during which other processes and stolen time are observed

FILL_PROBE = """
import time, numpy as np
def once():
    start = time.perf_counter()
    np.empty(2**23).fill(1.0)
    return time.perf_counter() - start
print(min(once() for _ in range(12)))
"""


@dataclass(frozen=True)
class HealthCheck:
    """Result of one check."""

    check: str
    status: str  # "bad" disturbs measurements; "note" may disturb them, or could not be read; else "good"
    measured: str  # what was found, with numbers
    fix: str = ""  # empty if none is needed


def examine() -> list[HealthCheck]:
    """Run all checks; takes about ten seconds."""
    return [found for name, check in CHECKS.items() for found in _result(name, check)]


def _result(name: str, check: Callable[[], list[HealthCheck]]) -> list[HealthCheck]:
    """Run a check. What this system does not provide, such as sensors or /proc, becomes a note."""
    try:
        return check()
    except Exception as error:  # noqa: BLE001  (it becomes a row; psutil raises errors of many types)
        cause = " ".join(f"{type(error).__name__}: {error}".split())
        return [HealthCheck(name, NOTE, sentences.unreadable(cause))]


def _other_load() -> list[HealthCheck]:
    """Observe other processes, and the time that the hypervisor gives to other machines."""
    others = [process for process in psutil.process_iter() if process.pid != os.getpid()]
    for process in others:
        _ask(process.cpu_percent, 0.0)
    before, start = machine_record.stolen_seconds(), time.perf_counter()
    time.sleep(WATCH_SECONDS)
    stolen, watched = machine_record.stolen_seconds() - before, time.perf_counter() - start
    busy = sorted(((_ask(process.cpu_percent, 0.0), process) for process in others), key=lambda pair: -pair[0])
    total = sum(share for share, _ in busy) / 100
    busiest = [(_ask(process.name, "ended"), process.pid, share) for share, process in busy[:3] if share > 5]
    status = GOOD if total < 0.1 else BAD if total > 0.5 else NOTE
    wait = "end these processes, or wait" if busiest else "wait until the machine is idle"
    measured = sentences.other_load(total, machine_record.load(), busiest)
    found = [HealthCheck("other load", status, measured, "" if status == GOOD else wait)]
    share = stolen / (watched * (os.cpu_count() or 1))
    virtual = "hypervisor" in machine_record.processor_flags()
    if virtual or share:
        measured = sentences.virtual_machine(is_virtual=virtual, stolen=share)
        fix = "use ratios of strategies, which are paired; for absolute times use a dedicated machine"
        found.append(HealthCheck("virtual machine", BAD if share > 0.01 else NOTE, measured, fix))
    return found


def _ask(question: Callable[[], T], otherwise: T) -> T:
    """Return what a process reports, or `otherwise` if it has ended or belongs to another user."""
    try:
        return question()
    except psutil.Error:
        return otherwise


def _frequency() -> list[HealthCheck]:
    governor, boost = machine_record.governor(), machine_record.boost()
    found = []
    if governor:
        slow = governor not in {"performance", "schedutil"}
        fix = "cpupower frequency-set -g performance" if slow else ""
        found.append(HealthCheck("governor", BAD if slow else GOOD, governor, fix))
    if boost:
        fix = "switch boost off for less variable, but slower, times" if boost == "on" else ""
        found.append(HealthCheck("boost", NOTE if boost == "on" else GOOD, boost, fix))
    return found or [HealthCheck("frequency", NOTE, "governor and boost cannot be read on this machine")]


def _blas_kernel() -> list[HealthCheck]:
    choice = blas_kernel.choice()
    if not choice.found:
        return [HealthCheck("BLAS kernel", NOTE, "cannot be selected: the BLAS is not OpenBLAS")]
    is_set = bool(os.environ.get(blas_kernel.VARIABLE))
    measured = sentences.kernel(choice.found, choice.chosen, choice.gain, is_set=is_set)
    if not choice.chosen:
        return [HealthCheck("BLAS kernel", GOOD, measured)]
    return [HealthCheck("BLAS kernel", BAD, measured, sentences.kernel_fix(choice.chosen, is_set=is_set))]


def _threads() -> list[HealthCheck]:
    threads = max((found.get("num_threads") or 1 for found in machine_record.blas_in_use({})), default=1)
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    fix = "" if threads == 1 else "'jacobench run' uses one thread unless --threads is given"
    measured = sentences.threads(threads, usable)
    found = [HealthCheck("BLAS threads", GOOD if threads == 1 else NOTE, measured, fix)]
    quota = machine_record.read("/sys/fs/cgroup/cpu.max").split()
    if quota and quota[0] != "max":
        cores = int(quota[0]) / int(quota[1])
        fix = "raise the CPU quota of the container"
        found.append(HealthCheck("CPU quota", BAD if cores < usable else NOTE, sentences.quota(cores), fix))
    return found


def _malloc() -> list[HealthCheck]:
    allocator = environment.preloaded_allocator()
    if allocator:
        measured = sentences.replaced_malloc(allocator)
        return [
            HealthCheck("malloc", NOTE, measured, "remove it from LD_PRELOAD to measure with the malloc of the system")
        ]
    tuned = {name: value for name, value in environment.settings("tuned", 1).items() if name in environment.MALLOC}
    if not tuned:
        return [HealthCheck("malloc", NOTE, "thresholds cannot be set: the C library is not glibc")]
    gain = _fill_seconds({}) / _fill_seconds(tuned)
    measured = sentences.malloc_gain(gain)
    return [
        HealthCheck("malloc", NOTE, measured, sentences.SET_BY_RUN)
        if gain > 1.1
        else HealthCheck("malloc", GOOD, measured)
    ]


def _fill_seconds(settings: Mapping[str, str]) -> float:
    variables = {**os.environ, **settings}
    return min(float(run_python("-c", FILL_PROBE, variables=variables)) for _ in range(2))


def _variables() -> list[HealthCheck]:
    unset = environment.unset_variables()
    kept = environment.kept_variables(environment.settings("tuned", 1))
    measured = sentences.distorting([(name, environment.effect(name)) for name in unset])
    return [
        HealthCheck("distorting variables", BAD if unset else GOOD, measured, sentences.unset(unset) if unset else ""),
        HealthCheck("other variables", NOTE if kept else GOOD, ", ".join(kept) or "none"),
    ]


def _swap() -> list[HealthCheck]:
    swap = psutil.swap_memory()
    if not swap.total:
        return [HealthCheck("swap", GOOD, "none")]
    found = sentences.swap(swap.used)
    return [
        HealthCheck("swap", BAD, found, "swapoff -a") if swap.used > 0.1 * 2**30 else HealthCheck("swap", GOOD, found)
    ]


def _battery() -> list[HealthCheck]:
    try:
        battery = psutil.sensors_battery() if hasattr(psutil, "sensors_battery") else None
    except FileNotFoundError:  # Linux without /sys/class/power_supply, as in containers
        battery = None
    if battery is None:
        return [HealthCheck("battery", GOOD, "none")]
    states = {
        True: HealthCheck("battery", GOOD, "plugged in"),
        None: HealthCheck("battery", NOTE, "the system does not tell whether it is plugged in"),
    }
    left = sentences.on_battery(battery.percent)
    return [states.get(battery.power_plugged, HealthCheck("battery", BAD, left, "plug in the power supply"))]


def _timer() -> list[HealthCheck]:
    ticks = []
    for _ in range(2000):
        start = time.perf_counter()
        while (now := time.perf_counter()) == start:
            pass
        ticks.append(now - start)
    tick = min(ticks)
    fix = "" if tick < 1e-6 else "select a faster clock source of the system"
    return [HealthCheck("timer", BAD if fix else GOOD, sentences.timer(tick), fix)]


def _memory_limit() -> list[HealthCheck]:
    limit, total = memory_limit(), total_memory()
    found = sentences.memory_limit(limit, total)
    if limit >= total:
        return [HealthCheck("memory limit", GOOD, found)]
    return [HealthCheck("memory limit", NOTE, found, "larger cases need a higher limit")]


def _memory_tool() -> list[HealthCheck]:
    if heap_memory.has_memray():
        return [HealthCheck("memory", GOOD, "memray: sees all allocations of the process")]
    return [HealthCheck("memory", NOTE, "tracemalloc: sees only allocations through Python", "pip install memray")]


def _noise() -> list[HealthCheck]:
    tuned = environment.settings("tuned", 1)
    found = noise.spreads([noise.sample(tuned) for _ in range(8)])
    worst = {kind: max(spread[kind] for spread in found.values()) for kind in ("inside", "between", "paired")}
    measured = sentences.noise(**worst)
    fix = "use more passes; fix the other problems in this table, if any" if worst["paired"] > 0.02 else ""
    status = BAD if worst["paired"] > 0.05 else NOTE if fix else GOOD
    return [HealthCheck("noise (8 processes)", status, measured, fix)]


CHECKS: Mapping[str, Callable[[], list[HealthCheck]]] = {
    "other load": _other_load,
    "frequency": _frequency,
    "BLAS kernel": _blas_kernel,
    "BLAS threads": _threads,
    "malloc": _malloc,
    "variables": _variables,
    "swap": _swap,
    "battery": _battery,
    "timer": _timer,
    "memory limit": _memory_limit,
    "memory": _memory_tool,
    "noise": _noise,
}
"""Name for the note if a check fails → function."""
