"""Checks on systems that lack what they read."""

from __future__ import annotations

from types import SimpleNamespace

import psutil
import pytest

from jacobench.bench.machine import doctor, machine_record
from jacobench.bench.machine.doctor import HealthCheck


def test_a_check_that_the_system_does_not_allow_is_a_note(monkeypatch):
    def swap_memory():
        raise FileNotFoundError(2, "No such file or directory", "/proc/meminfo")

    monkeypatch.setattr(psutil, "swap_memory", swap_memory)
    cause = "FileNotFoundError: [Errno 2] No such file or directory: '/proc/meminfo'"
    expected = HealthCheck("swap", "note", f"cannot be read on this machine: {cause}")
    assert doctor._result("swap", doctor.CHECKS["swap"]) == [expected]


@pytest.mark.parametrize(
    ("plugged", "status"), [(True, "good"), (False, "bad"), (None, "note")], ids=["plugged in", "on battery", "unknown"]
)
def test_the_battery(plugged, status, monkeypatch):
    battery = SimpleNamespace(power_plugged=plugged, percent=None)
    monkeypatch.setattr(psutil, "sensors_battery", lambda: battery, raising=False)
    assert [found.status for found in doctor.CHECKS["battery"]()] == [status]


def _missing():
    raise FileNotFoundError(2, "No such file or directory", "/sys/class/power_supply")


@pytest.mark.parametrize("sensors", [lambda: None, _missing, None], ids=["none", "no folder", "no function"])
def test_no_battery(sensors, monkeypatch):
    if sensors is None:
        monkeypatch.delattr(psutil, "sensors_battery", raising=False)
    else:
        monkeypatch.setattr(psutil, "sensors_battery", sensors, raising=False)
    assert doctor.CHECKS["battery"]() == [HealthCheck("battery", "good", "none")]


def test_the_memory_is_known_without_proc(monkeypatch):
    expected = psutil.virtual_memory().total
    monkeypatch.setattr(psutil, "virtual_memory", _missing)
    assert machine_record.total_memory() == pytest.approx(expected, rel=0.01)
