"""The fastest OpenBLAS kernel of this machine: measured once, then read from a cache.

OpenBLAS selects its kernel by the processor's name, and selects an old one if it does not know the name. The variable
``OPENBLAS_CORETYPE`` overrides this. OpenBLAS reads it when it is loaded, that is, only in a fresh process.
"""

from __future__ import annotations

import os
import subprocess
from contextlib import suppress
from hashlib import sha256
from math import exp, log
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from jacobench.bench.machine import machine_record
from jacobench.bench.machine.atomic_write import write_whole
from jacobench.bench.machine.worker_process import run_python

if TYPE_CHECKING:
    from collections.abc import Mapping

VARIABLE = "OPENBLAS_CORETYPE"

_AVX2 = {"avx2", "fma"}
_AVX512 = _AVX2 | {"avx512f", "avx512cd", "avx512bw", "avx512dq", "avx512vl"}
NEEDS: Mapping[str, set[str]] = {
    "Haswell": _AVX2,
    "Zen": _AVX2,
    "SkylakeX": _AVX512,
    "Cooperlake": _AVX512 | {"avx512_bf16"},
    "SapphireRapids": _AVX512 | {"avx512_bf16", "amx_bf16", "amx_tile"},
}
"""Processor flags (Linux names) that each kernel needs; without them it ends with an illegal instruction."""

CLEARLY_FASTER = 1.03  # minimum speed-up over the default kernel; more than the noise of the probe

PROBE = """
import time, numpy as np
from threadpoolctl import threadpool_info
kernels = sorted({b.get("architecture", "") for b in threadpool_info() if b["internal_api"] == "openblas"})
def fastest(call, rounds=12):
    times = []
    for _ in range(rounds):
        start = time.perf_counter(); call(); times.append(time.perf_counter() - start)
    return min(times)
times = []
for dtype in (np.float64, np.float32):
    for shape in ((256, 256, 256), (32, 256, 256)):
        a, b = np.ones(shape[:2], dtype), np.ones(shape[1:], dtype)
        a @ b
        times.append(fastest(lambda: a @ b))
    W, z = np.ones((512, 512), dtype), np.ones(512, dtype)
    times.append(fastest(lambda: W @ z))
print(*kernels, *times)
"""


class Choice(msgspec.Struct, frozen=True):
    """Result of the probe."""

    found: str  # the kernel that OpenBLAS or the environment selects; empty if the BLAS is not OpenBLAS
    chosen: str  # the kernel to set; empty if none is clearly faster
    gain: float  # speed-up of the chosen kernel: geometric mean over matrix products in float64 and float32


def choice() -> Choice:
    """Return the kernel for this machine from the cache, or else by probing, which takes a few seconds."""
    depends_on = f"{machine_record.digest()} {np.__version__} {os.environ.get(VARIABLE)}"
    path = cache_folder() / f"blas-{sha256(depends_on.encode()).hexdigest()[:12]}.json"
    with suppress(OSError, msgspec.MsgspecError):
        return msgspec.json.decode(path.read_bytes(), type=Choice)
    found = probe()
    with suppress(OSError):  # the cache cannot be written: the next call probes again
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, msgspec.json.encode(found))
    return found


def cache_folder() -> Path:
    """Return the user's folder for caches. For a user without a home it is one that does not exist."""
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "jacobench"
    except RuntimeError:
        return Path(os.devnull) / "jacobench"


def probe() -> Choice:
    """Time each kernel that the processor supports twice, alternating, in fresh processes with one thread."""
    flags = set(machine_record.processor_flags())
    candidates = ["", *(kernel for kernel, needs in NEEDS.items() if needs <= flags)]
    best: dict[str, list[float]] = {}
    found = ""
    for kernel in candidates * 2:
        kernels, times = _time(kernel)
        if not kernel:
            found = "/".join(kernels)
            if not found:
                return Choice("", "", 1.0)
        if times:
            best[kernel] = [min(pair) for pair in zip(best.get(kernel, times), times, strict=True)]
    gains = {
        kernel: exp(sum(log(old / new) for old, new in zip(best[""], times, strict=True)) / len(times))
        for kernel, times in best.items()
        if kernel
    }
    chosen = max(gains, key=lambda kernel: gains[kernel], default="")
    if not chosen or gains[chosen] < CLEARLY_FASTER:
        return Choice(found, "", 1.0)
    return Choice(found, chosen, gains[chosen])


def _time(kernel: str) -> tuple[list[str], list[float]]:
    """Return the kernels in use and the seconds of each product; both empty if the process crashes."""
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"} | ({VARIABLE: kernel} if kernel else {})
    try:
        words = run_python("-c", PROBE, variables=environment).decode().split()
    except (OSError, subprocess.SubprocessError):
        return [], []
    return words[:-6], [float(word) for word in words[-6:]]
