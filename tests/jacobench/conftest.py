"""The real command in a fresh process, in a folder that has everything to lead it astray."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from textwrap import dedent

import msgspec
import pytest

from jacobench.bench.floor.stored_profile import StoredProfile
from jacobench.bench.machine import blas_kernel

# A shell starts what runs in its background with SIGINT ignored, and children inherit that; a handler of ours they do not.
signal.signal(signal.SIGINT, signal.default_int_handler)

COMMAND = Path(sys.executable).with_name("jacobench")

TINY = """
[[sweep]]
graph = "mlp"
width = 4
depth = 1
batch = [1, 2]
strategies = ["dense", "vjp"]
"""

RIGHT = """
from jacobench.strategies.vjp import vjp


class Right:
    name = "right"

    def prepare(self, graph):
        return Prepared(vjp().prepare(graph), self)

    def before_linearize(self):
        pass

    def after_pullback(self, bars):
        return bars


class Prepared:
    def __init__(self, prepared, strategy):
        self.prepared, self.strategy = prepared, strategy

    def linearize(self, leaves):
        self.strategy.before_linearize()
        return Linearized(self.prepared.linearize(leaves), self.strategy)


class Linearized:
    def __init__(self, linearized, strategy):
        self.linearized, self.strategy, self.output = linearized, strategy, linearized.output

    def pullback(self, seeds):
        return self.strategy.after_pullback(self.linearized.pullback(seeds))

"""


def environment() -> dict[str, str]:
    """Return this process's environment without what pytest has put into it."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COLUMNS"))}


@pytest.fixture(scope="session")
def jacobench():
    """Return a function that runs the command and returns the finished process."""

    def run(*arguments: object, cwd: Path, timeout: float = 120, **more: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [COMMAND, *map(str, arguments)],
            cwd=cwd, env=environment(), capture_output=True, text=True, check=False, timeout=timeout, **more,
        )  # fmt: skip

    return run


STORE = """
import sys, msgspec
from jacobench.bench.floor.stored_profile import StoredProfile, keep
keep(msgspec.json.decode(sys.stdin.buffer.read(), type=StoredProfile))
"""


@pytest.fixture
def with_profile(known_times, tmp_path_factory, monkeypatch):
    """Let the command find a stored machine profile with known rates, measured two hours ago."""
    folder = tmp_path_factory.mktemp("caches")
    shutil.copytree(blas_kernel.cache_folder(), folder / "jacobench", dirs_exist_ok=True)  # the kernel's choice
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    content = msgspec.json.encode(StoredProfile(time.time() - 7200, 0.05, known_times[0]))
    subprocess.run([sys.executable, "-P", "-c", STORE], env=environment(), input=content, check=True)


@pytest.fixture(scope="session")
def popen():
    """Return a function that starts the command and returns the process under way."""

    def start(*arguments: object, cwd: Path, **more: object) -> subprocess.Popen[str]:
        return subprocess.Popen([COMMAND, *map(str, arguments)], cwd=cwd, env=environment(), text=True, **more)

    return start


def lead_astray(folder: Path) -> Path:
    """Fill a folder with what has the names of our rooms, of pytest's files and of modules that Python needs."""
    trap = 'raise RuntimeError("led astray")\n'
    for room in ("bench", "reports", "graphs", "strategies", "jacobench"):
        (folder / room).mkdir(parents=True)
        (folder / room / "__init__.py").write_text(trap)
        (folder / room / "conftest.py").write_text(trap)
    for module in ("conftest", "random", "numpy", "typing", "sitecustomize", "msgspec", "test_cells"):
        (folder / f"{module}.py").write_text(trap)
    (folder / "pytest.ini").write_text("[pytest]\naddopts = --no-such-option\n")
    (folder / "pyproject.toml").write_text("[tool.pytest.ini_options\n")
    return folder


@pytest.fixture(scope="session")
def strange(tmp_path_factory) -> Path:
    folder = lead_astray(tmp_path_factory.mktemp("strange folder [1]"))
    (folder / "tiny.toml").write_text(TINY)
    return folder


@pytest.fixture(scope="session")
def finished(strange, jacobench):
    """Return a finished run of the tiny suite, two passes, and the process that made it."""
    done = jacobench("run", "--suite", "tiny.toml", "--passes", 2, "--out", "runs/first", cwd=strange)
    assert done.returncode == 0, done.stderr
    return strange / "runs" / "first", done


@pytest.fixture(scope="session")
def right() -> str:
    """Return the text of a file with a right strategy `Right` to inherit from."""
    return RIGHT


@pytest.fixture
def plugin_file(tmp_path):
    """Return a function from the body of a file to the file, which has a right strategy `Right` to inherit from."""

    def write(body: str, name: str = "plugin.py") -> Path:
        path = tmp_path / name
        path.write_text(RIGHT + dedent(body))
        return path

    return write
