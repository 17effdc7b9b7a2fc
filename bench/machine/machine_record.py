"""Record of the machine and the code that produced a measurement."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import psutil

from jacobench.bench.machine.atomic_write import as_utf8
from jacobench.bench.machine.git_command import git
from jacobench.bench.machine.worker_process import run_python
from jacobench.graphs.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Mapping

INSTRUCTION_SETS = frozenset((
    "sse", "sse2", "pni", "ssse3", "sse4_1", "sse4_2", "sse4a", "popcnt", "abm", "cx16", "movbe", "fma", "fma4",
    "xop", "f16c", "bmi1", "bmi2", "adx", "aes", "pclmulqdq", "sha_ni", "gfni", "avx", "avx2", "vaes", "vpclmulqdq",
    "avx512f", "avx512dq", "avx512cd", "avx512bw", "avx512vl", "avx512er", "avx512pf", "avx512ifma", "avx512vbmi",
    "avx512_vbmi2", "avx512_vnni", "avx512_bitalg", "avx512_vpopcntdq", "avx512_bf16",
))  # fmt: skip
"""Flags of x86 that name instruction sets and that Linux reports since version 5.5. Others change with the kernel."""

LABEL = "JACOBENCH_MACHINE_LABEL"
"""Variable whose value is part of the machine's key: it tells apart what the record cannot, such as partitions of a cluster."""

CACHES = Path("/sys/devices/system/cpu/cpu0/cache")

PACKAGES = ("jacobench", "numpy", "scipy", "pandas", "pytest", "pytest-benchmark", "memray", "torch", "jax", "autograd")

SEEN_FROM_INSIDE = """
import json, numpy, scipy.linalg
from threadpoolctl import threadpool_info
keys = ("internal_api", "version", "architecture", "num_threads", "threading_layer")
print(json.dumps([{key: found.get(key) for key in keys} for found in threadpool_info()]))
"""


def pytest_benchmark_info() -> tuple[dict[str, Any], dict[str, Any]]:
    """Return pytest-benchmark's descriptions of the machine and the commit; takes about a second."""
    from pytest_benchmark import plugin, utils  # noqa: PLC0415  (only the start of a run needs it)

    try:
        machine = plugin.pytest_benchmark_generate_machine_info()
    except Exception as error:  # noqa: BLE001  (py-cpuinfo raises this type where it does not know the processor)
        machine = {"cpu": {}, "error": str(error)}
    commit_info = utils.get_commit_info()  # with the name of the folder, which may not be UTF-8
    return machine, {
        name: as_utf8(value).decode() if isinstance(value, str) else value for name, value in commit_info.items()
    }


def commit() -> tuple[str, str]:
    """Return the current commit, with ``-dirty`` if files differ from it, and why it is unknown.

    Outside git, both are empty.
    """
    here = Path.cwd()
    try:
        return git(here, "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*", timeout=10).strip(), ""
    except BadInput as error:
        is_in_git = any((folder / ".git").exists() for folder in (here, *here.parents))
        return "", f"the commit is not recorded: {error}" if is_in_git else ""


def machine_key() -> str:
    """Return the key of the machine, such as ``"AMD EPYC, 2 cores, 23 GiB, Linux x86_64 (1a2b3c4d)"``.

    Only runs with equal keys are comparable. Nothing in the key changes over time, also not with the kernel; see `digest`.
    The value of `LABEL` is part of it.
    Keys of earlier versions have six digits; `former_names` in `reports/data` maps them.
    """
    return f"{_description()} ({digest()})"


def digest() -> str:
    """Return eight hexadecimal digits that identify the machine, including the instruction sets of its processor."""
    known = sorted(INSTRUCTION_SETS.intersection(processor_flags()))
    return sha256(f"{_description()} {' '.join(known)}".encode()).hexdigest()[:8]


def label() -> str:
    """Return the label of this machine; empty without one."""
    return as_label(os.environ.get(LABEL, ""))


def as_label(value: str) -> str:
    """Return a value of `LABEL` as it is compared and shown: on one line, without spaces at its ends."""
    return " ".join(value.split())


def _description() -> str:
    memory = round(total_memory() / 2**30)
    parts = (
        _processor(),
        f"{os.cpu_count() or 1} cores",
        f"{memory} GiB",
        f"{platform.system()} {platform.machine()}",
        label(),
    )
    return ", ".join(filter(None, parts))


def _processor() -> str:
    return _arm_cores() or _cpuinfo("model name") or _mac_brand() or platform.processor() or platform.machine()


def _arm_cores() -> str:
    """Return implementer, part and variant of each kind of core, such as ``"ARM 0x41 0xd0c 0x3"``; empty elsewhere.

    Linux names no model on ARM. The names of the numbers are in the tool ``lscpu``.
    """
    keys = ("CPU implementer", "CPU part", "CPU variant")
    cores = read("/proc/cpuinfo").split("\n\n")
    kinds = {" ".join(filter(None, (_value(core, key) for key in keys))) for core in cores if _value(core, keys[0])}
    return " + ".join(f"ARM {kind}" for kind in sorted(kinds))


def _mac_brand() -> str:
    """Return the brand of the processor on macOS, such as ``"Apple M2 Pro"``; empty elsewhere."""
    if platform.system() != "Darwin":
        return ""
    try:
        command = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def processor_flags() -> list[str]:
    """Return the processor's flags on Linux; empty elsewhere."""
    return _cpuinfo("flags").split()


def _cpuinfo(key: str) -> str:
    return _value(read("/proc/cpuinfo"), key)


def _value(text: str, key: str) -> str:
    match = re.search(rf"^{key}[^\S\n]*:(.*)$", text, re.MULTILINE)
    return match[1].strip() if match else ""


def read(path: str | Path) -> str:
    """Return the stripped text of a file; empty if it cannot be read."""
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def record(settings: Mapping[str, str]) -> dict[str, Any]:
    """Return the record of the machine as a worker with these environment variables sees it."""
    return {
        "label": label(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "cores_usable": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "caches": [
            f"L{read(c / 'level')} {read(c / 'type')} {read(c / 'size')}" for c in sorted(CACHES.glob("index*"))
        ],
        "memory_bytes": total_memory(),
        "system": f"{platform.system()} {platform.release()}",
        "libc": " ".join(platform.libc_ver()),
        "governor": governor(),
        "boost": boost(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "packages": {name: found for name in PACKAGES if (found := package_version(name))},
        "blas": blas_in_use(settings),
        "settings": dict(settings),
        "load": load(),
    }


def governor() -> str:
    """Return the frequency governor of the first core; empty if it cannot be read, as in most virtual machines."""
    return read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")


def boost() -> str:
    """Return whether frequency boost is "on" or "off"; empty if it cannot be read."""
    cpufreq = read("/sys/devices/system/cpu/cpufreq/boost")
    no_turbo = read("/sys/devices/system/cpu/intel_pstate/no_turbo")
    return {"1": "on", "0": "off"}.get(cpufreq) or {"0": "on", "1": "off"}.get(no_turbo, "")


def total_memory() -> int:
    """Return the memory of the machine, in bytes."""
    try:
        return psutil.virtual_memory().total
    except (OSError, RuntimeError):  # without /proc
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def load() -> float | None:
    """Return the load average of the last minute; None where the system has none."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None


def stolen_seconds() -> float:
    """Return the time of all cores that the hypervisor gave to other machines since the start; 0 where unknown."""
    seconds: float = getattr(psutil.cpu_times(), "steal", 0.0)
    return seconds


def blas_in_use(settings: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return each BLAS and OpenMP library loaded by a fresh process with these variables, with kernel and threads."""
    try:
        found = run_python("-c", SEEN_FROM_INSIDE, variables={**os.environ, **settings})
        return msgspec.json.decode(found, type=list[dict[str, Any]])
    except (OSError, subprocess.SubprocessError, msgspec.MsgspecError):
        return []


def package_version(package: str) -> str:
    """Return the version of an installed package; empty if it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
