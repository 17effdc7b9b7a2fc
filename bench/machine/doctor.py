"""What on this machine spoils measurements: each check with its measured size, and the mend.

A check is one entry of `CHECKS`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

import psutil

from jacobench.bench.cell import heap_memory
from jacobench.bench.machine import blas_kernel, environment, machine_record, noise

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

GOOD, NOTE, BAD = "good", "note", "bad"

WATCH_SECONDS = 0.5
"""How long other processes and stolen time are watched."""

FILL_PROBE = """
import time, numpy as np
def once():
    start = time.perf_counter()
    np.empty(2**23).fill(1.0)
    return time.perf_counter() - start
print(min(once() for _ in range(12)))
"""


@dataclass(frozen=True)
class Finding:
    """What one check found.

    Attributes
    ----------
    check : str
        What was looked at.
    status : {"good", "note", "bad"}
        Whether it spoils measurements; "note": it may, or cannot be read.
    measured : str
        What was found, with its size.
    mend : str
        What to do; empty if nothing is needed.
    """

    check: str
    status: str
    measured: str
    mend: str = ""


def examine() -> list[Finding]:
    """Run every check; takes about ten seconds."""
    return [finding for check in CHECKS for finding in check()]


def _other_load() -> list[Finding]:
    """Watch who else runs, and what the hypervisor keeps for itself."""
    processes = {process.pid: process for process in psutil.process_iter() if process.pid != os.getpid()}
    for process in processes.values():
        _percent(process)
    before = psutil.cpu_times()
    time.sleep(WATCH_SECONDS)
    after = psutil.cpu_times()
    busy = sorted(((_percent(process), process) for process in processes.values()), key=lambda pair: -pair[0])
    total = sum(share for share, _ in busy) / 100
    names = ", ".join(
        f"{_name(process)} (process {process.pid}, {share:.0f} %)" for share, process in busy[:3] if share > 5
    )
    status = GOOD if total < 0.1 else BAD if total > 0.5 else NOTE
    load = machine_record.load()
    told = f"others use {total:.2f} cores" + (f", load {load:.2f} over a minute" if load is not None else "")
    found = [
        Finding("other load", status, f"{told}{f': {names}' if names else ''}", "end them, or wait" if names else "")
    ]
    stolen = getattr(after, "steal", 0.0) - getattr(before, "steal", 0.0)
    share = stolen / (WATCH_SECONDS * (os.cpu_count() or 1))
    virtual = "hypervisor" in machine_record.processor_flags()
    if virtual or share:
        status = BAD if share > 0.01 else NOTE
        found.append(
            Finding(
                "virtual machine",
                status,
                f"{'yes' if virtual else 'no'}; {share:.1%} of the time went to others (steal)",
                "compare only pairs measured in one process; for absolute figures use a machine of your own",
            )
        )
    return found


def _percent(process: psutil.Process) -> float:
    try:
        return float(process.cpu_percent())
    except psutil.Error:
        return 0.0


def _name(process: psutil.Process) -> str:
    try:
        return process.name()
    except psutil.Error:
        return "gone"


def _frequency() -> list[Finding]:
    governor, boost = machine_record.governor(), machine_record.boost()
    if not governor and not boost:
        return [Finding("frequency", NOTE, "governor and boost cannot be read here", "")]
    found = []
    if governor:
        slow = governor not in {"performance", "schedutil"}
        mend = "cpupower frequency-set -g performance" if governor != "performance" else ""
        found.append(Finding("governor", BAD if slow else GOOD, governor, mend))
    if boost:
        mend = "switch it off for steadier, slower figures" if boost == "on" else ""
        found.append(Finding("boost", NOTE if boost == "on" else GOOD, boost, mend))
    return found


def _blas_kernel() -> list[Finding]:
    choice = blas_kernel.choice()
    if not choice.found:
        return [Finding("BLAS kernel", NOTE, "the BLAS is not OpenBLAS: its kernel is not ours to choose")]
    if not choice.chosen:
        return [Finding("BLAS kernel", GOOD, f"{choice.found}, the fastest that this processor runs")]
    asked = os.environ.get(blas_kernel.VARIABLE)
    mend = f"unset {blas_kernel.VARIABLE}" if asked else f"export {blas_kernel.VARIABLE}={choice.chosen}"
    return [
        Finding(
            "BLAS kernel",
            BAD,
            f"{choice.found}{' (the environment asks for it)' if asked else ''}; {choice.chosen} is {choice.gain:.2f}× as fast",
            f"{mend}; 'jacobench run' sets it for its workers unless --controls asis",
        )
    ]


def _threads() -> list[Finding]:
    threads = max((found.get("num_threads") or 1 for found in machine_record.blas_in_use({})), default=1)
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    found = [
        Finding(
            "BLAS threads",
            GOOD if threads == 1 else NOTE,
            f"{threads} as found, {usable} cores usable",
            "" if threads == 1 else "'jacobench run' takes one unless --threads says otherwise",
        )
    ]
    quota = machine_record.read("/sys/fs/cgroup/cpu.max").split()
    if quota and quota[0] != "max":
        cores = int(quota[0]) / int(quota[1])
        found.append(
            Finding("CPU quota", BAD if cores < usable else NOTE, f"{cores:g} cores", "lift the container's quota")
        )
    return found


def _malloc() -> list[Finding]:
    tuned = {name: value for name, value in environment.settings("tuned", 1).items() if name in environment.MALLOC}
    if not tuned:
        return [Finding("malloc", NOTE, "the C library is not glibc: its thresholds are not ours to set")]
    plain, set_ = _fill_seconds({}), _fill_seconds(tuned)
    gain = plain / set_
    return [
        Finding(
            "malloc",
            NOTE if gain > 1.1 else GOOD,
            f"filling a fresh array of 64 MiB is {gain:.2f}× as fast with glibc's thresholds set",
            "'jacobench run' sets them for its workers unless --controls asis" if gain > 1.1 else "",
        )
    ]


def _fill_seconds(settings: Mapping[str, str]) -> float:
    found = []
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-P", "-c", FILL_PROBE],
            env={**os.environ, **settings},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        found.append(float(done.stdout))
    return min(found)


def _swap() -> list[Finding]:
    swap = psutil.swap_memory()
    if not swap.total:
        return [Finding("swap", GOOD, "none")]
    used = swap.used / machine_record.GIB
    return [Finding("swap", BAD if used > 0.1 else GOOD, f"{used:.1f} GiB in use", "swapoff -a" if used > 0.1 else "")]


def _battery() -> list[Finding]:
    battery = psutil.sensors_battery() if hasattr(psutil, "sensors_battery") else None
    if battery is None:
        return [Finding("battery", GOOD, "none")]
    if battery.power_plugged:
        return [Finding("battery", GOOD, "plugged in")]
    return [Finding("battery", BAD, f"on battery, {battery.percent:.0f} % left", "plug in")]


def _timer() -> list[Finding]:
    ticks = []
    for _ in range(2000):
        start = time.perf_counter()
        while (now := time.perf_counter()) == start:
            pass
        ticks.append(now - start)
    tick = min(ticks)
    return [Finding("timer", GOOD if tick < 1e-6 else BAD, f"resolution {ceil(tick * 1e9)} ns, reading included")]


def _memory_tool() -> list[Finding]:
    if heap_memory.has_memray():
        return [Finding("memory", GOOD, "memray: every allocation of the process is seen")]
    return [Finding("memory", NOTE, "tracemalloc: only what goes through Python is seen", "pip install memray")]


def _noise() -> list[Finding]:
    """Measure the noise by an A/A run of a few seconds."""
    tuned = environment.settings("tuned", 1)
    found = noise.spreads([noise.sample(tuned) for _ in range(8)])
    worst = {kind: max(spread[kind] for spread in found.values()) for kind in ("inside", "between", "paired")}
    told = f"±{worst['inside']:.1%} inside a process, ±{worst['between']:.1%} between processes, ±{worst['paired']:.1%} paired"
    mend = "mend what stands above, and take more passes" if worst["paired"] > 0.02 else ""
    return [Finding("noise (8 processes)", BAD if worst["paired"] > 0.05 else NOTE if mend else GOOD, told, mend)]


CHECKS: tuple[Callable[[], list[Finding]], ...] = (
    _other_load,
    _frequency,
    _blas_kernel,
    _threads,
    _malloc,
    _swap,
    _battery,
    _timer,
    _memory_tool,
    _noise,
)
