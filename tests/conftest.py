"""Marks: ``peers`` for tests that need a library of the extra ``peers``. ``long`` is set in the tests themselves."""

from __future__ import annotations

import re

import pytest

NEEDS_EXTRA = re.compile(r"torch|asdex")  # jax and autograd are in the extra ``test``
FOLDERS = {"graphs", "strategies"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if FOLDERS & set(item.path.parts) and NEEDS_EXTRA.search(item.name):
            item.add_marker(pytest.mark.peers)
