"""Which machine and which code: what a figure means nothing without."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from hashlib import sha256
from pathlib import Path
from typing import Any

import psutil
from pytest_benchmark import plugin, utils

GIB = 2**30


def machine_info() -> dict[str, Any]:
    """Return pytest-benchmark's own description of the machine; takes about a second."""
    info: dict[str, Any] = plugin.pytest_benchmark_generate_machine_info()
    return info


def commit_info() -> dict[str, Any]:
    """Return pytest-benchmark's own description of the commit."""
    info: dict[str, Any] = utils.get_commit_info()
    return info


def commit() -> str:
    """Return the commit that is checked out here, with ``-dirty`` where files differ from it; empty outside git."""
    try:
        command = ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return ""


def machine_key() -> str:
    """Return what says which runs may be compared: processor, cores, memory and system; no clock reading.

    Returns
    -------
    str
        Such as ``"AMD EPYC, 2 cores, 23 GiB, Linux x86_64 (1a2b3c)"``; the digest is of all of it, and of the
        processor's capabilities.
    """
    model, flags = _processor()
    cores = os.cpu_count() or 1
    memory = round(psutil.virtual_memory().total / GIB)
    said = f"{model}, {cores} cores, {memory} GiB, {platform.system()} {platform.machine()}"
    return f"{said} ({sha256(f'{said} {flags}'.encode()).hexdigest()[:6]})"


def _processor() -> tuple[str, str]:
    """Return the processor's name and its capabilities, as far as the system tells."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return platform.processor() or platform.machine(), ""
    found = [re.search(rf"^{key}\s*:\s*(.*)$", text, re.MULTILINE) for key in ("model name", "flags")]
    model, flags = (match[1].strip() if match else "" for match in found)
    return model or platform.processor() or platform.machine(), flags
