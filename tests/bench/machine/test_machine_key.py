"""Key of the machine: it tells processors apart, and does not change with the kernel."""

from __future__ import annotations

import platform
import subprocess

import pytest

from jacobench.bench.machine import machine_record

X86 = "processor\t: 0\nmodel name\t: AMD EPYC\nflags\t\t: fpu sse4_2 avx2 {}\n"
ARM = "processor\t: {}\nBogoMIPS\t: 243.75\nFeatures\t: {}\nCPU implementer\t: 0x41\nCPU variant\t: {}\nCPU part\t: {}\nCPU revision\t: 1\n"
ALONE = ARM.format(0, "fp", "0x3", "0xd0c")


@pytest.fixture
def key_of(monkeypatch):
    """Return a function from the text of /proc/cpuinfo to the key."""

    def key(text, **system):
        monkeypatch.setattr(machine_record, "read", lambda path: text if str(path) == "/proc/cpuinfo" else "")
        for name, value in system.items():
            monkeypatch.setattr(platform, name, lambda value=value: value)
        return machine_record.machine_key()

    return key


def test_flags_of_the_kernel_do_not_change_the_key(key_of):
    assert key_of(X86.format("ibrs")) == key_of(X86.format("ibrs user_shstk amx_tile"))
    assert key_of(X86.format("")) != key_of(X86.format("avx512f"))


@pytest.mark.parametrize("other", [ARM.format(0, "fp", "0x1", "0xd40"), ARM.format(0, "fp", "0x1", "0xd0c")])
def test_arm_cores_are_distinguished(key_of, other):
    assert key_of(ALONE) != key_of(other)
    assert key_of(ALONE).startswith("ARM 0x41 0xd0c 0x3, ")


def test_all_kinds_of_arm_cores_count_and_features_do_not(key_of):
    both = [ARM.format(0, "fp", "0x3", "0xd0c"), ARM.format(1, "fp", "0x0", "0xd05")]
    assert key_of("\n".join(both)) == key_of("\n".join(reversed(both)))
    assert key_of("\n".join(both)).startswith("ARM 0x41 0xd05 0x0 + ARM 0x41 0xd0c 0x3, ")
    assert key_of(ALONE) == key_of(ALONE.replace("fp", "fp sve"))


@pytest.mark.parametrize("brand", ["Apple M2 Pro", ""])
def test_macos_names_the_brand(key_of, monkeypatch, brand):
    def run(*_args, **_options):
        if not brand:
            raise FileNotFoundError
        return subprocess.CompletedProcess((), 0, f"{brand}\n")

    monkeypatch.setattr(subprocess, "run", run)
    assert key_of("", system="Darwin", processor="arm").startswith(f"{brand or 'arm'}, ")
