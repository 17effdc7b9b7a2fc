"""Marks: ``peers`` for tests that need a library of the extra ``peers``. ``long`` is set in the tests themselves."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
from functools import cache
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

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


def sentence_names(module: ModuleType) -> set[str]:
    """Return the public functions of a module: in a module of sentences, each returns text for readers."""
    functions = inspect.getmembers(module, inspect.isfunction)
    return {name for name, one in functions if one.__module__ == module.__name__ and not name.startswith("_")}


FLAWS = {
    "no number": r"\b(?:nan|inf|None)\b|-0\.0+(?!\d)",
    "plural of one": r"(?<![\d.,])1 (?:\w+ )?(?:rows|pairs|passes|cases|cells|strategies|results|runs|files|sizes|lines|graphs|products|uses|seeds|cores|processes|blocks|are)\b",
    "singular of many": r"(?<![\d.,])(?:[02-9]|\d[\d,]*\d) (?:row|pair|pass|case|cell|strategy|result|file|line|size|graph|product|use|seed|core|process|block)\b",
    "a share above 100 %": r"(?<![\d.,])(?:\d{4,}|[2-9]\d\d|1[1-9]\d|10[1-9])(?:\.\d+)? ?%",
    "spaces": r"  |^ | $| [.,;:](?!\S)|\(\)",
}
"""What must not occur in a sentence, whatever its numbers are."""


def sentence_flaws(text: str) -> list[str]:
    """Return what is wrong with a sentence."""
    return [
        f"{flaw}: {found[0]!r} in {text!r}" for flaw, pattern in FLAWS.items() if (found := re.search(pattern, text))
    ]


@pytest.fixture(name="sentence_names")
def _sentence_names():
    return sentence_names


@pytest.fixture(name="sentence_flaws")
def _sentence_flaws():
    return sentence_flaws
