"""Configuration of pytest: both cores for the whole suite, and none of xdist where pytest-benchmark measures."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).parents[1]


def pytest_prints(*arguments: str) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *arguments],
        cwd=TOP,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.long
def test_pytest_bench_reports_times() -> None:
    printed = pytest_prints("bench", "--suite", "smoke", "-k", "vjp and gradient and w16", "-p", "no:cacheprovider")
    assert "Name (time in" in printed
    assert "gradient]" in printed
    assert "workers" not in printed


@pytest.mark.long
def test_the_whole_suite_uses_several_processes() -> None:
    assert "workers" in pytest_prints(
        "-k", "no_test_has_this_name or test_the_readme_is_short", "-p", "no:cacheprovider"
    )
