"""Selection of names by a pattern: the one rule for every ``--case`` and for thresholds."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def matching(pattern: str, names: Iterable[str]) -> list[str]:
    """Return the names that a pattern selects, in their order.

    An exact name selects only itself, also if it contains characters of a glob, such as ``test_sum[10]``. If there is
    none, the pattern may be the short form of names; see `short_forms`. Next, it may be the id of a file, a class or a
    function of pytest: it selects the tests in it, and all parameters. Otherwise it is a glob for names or short forms.

    >>> matching("test_sum[10]", ["t.py::test_sum[10]", "t.py::test_sum1"]), matching("mlp-*", ["mlp-w4", "chain"])
    (['t.py::test_sum[10]'], ['mlp-w4'])
    """
    forms = {name: short_forms(name) for name in names}
    if pattern in forms:
        return [pattern]
    exact = [name for name, own in forms.items() if pattern in own]
    inside = (f"{pattern}::", f"{pattern}[")
    within = [name for name, own in forms.items() if "::" in name and any(form.startswith(inside) for form in own)]
    return exact or within or [name for name, own in forms.items() if any(fnmatchcase(form, pattern) for form in own)]


def short_forms(name: str) -> list[str]:
    """Return a name, and for a test of pytest also its name without leading folders, file and classes.

    >>> short_forms("tests/t.py::TestSum::test_sum[a/b]")[1:]
    ['t.py::TestSum::test_sum[a/b]', 'TestSum::test_sum[a/b]', 'test_sum[a/b]']
    """
    path, separator, test = name.partition("::")
    if not separator:
        return [name]
    folders = path.split("/")
    head, bracket, argument = test.partition("[")
    parts = head.split("::")
    return [
        *(f"{'/'.join(folders[k:])}::{test}" for k in range(len(folders))),
        *(f"{'::'.join(parts[k:])}{bracket}{argument}" for k in range(len(parts))),
    ]
