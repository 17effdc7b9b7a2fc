"""Marks: ``peers`` for tests that need a library of the extra ``peers``. ``long`` is set in the tests themselves."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from functools import cache
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

NEEDS_EXTRA = re.compile(r"torch|asdex")  # jax and autograd are in the extra ``test``
FOLDERS = {"graphs", "strategies"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if FOLDERS & set(item.path.parts) and NEEDS_EXTRA.search(item.name):
            item.add_marker(pytest.mark.peers)


@pytest.fixture(autouse=True)
def _restored_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    """Restore what the import of a plug-in's file changes for later imports and for child processes."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("PYTHONPATH", os.environ.get("PYTHONPATH", ""))


@pytest.fixture(scope="session")
def help_of() -> Callable[[tuple[str, ...]], str]:
    """Return a function from a command, such as ``("history", "add")``, to the text of its ``--help``."""

    @cache
    def text(command: tuple[str, ...]) -> str:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "jacobench", *command, "--help"],
            env=os.environ | {"COLUMNS": "1000", "NO_COLOR": "1"},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout

    return text
