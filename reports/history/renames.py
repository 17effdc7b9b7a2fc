"""New names of cases that were renamed: by an exact name, or by a pattern."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import TYPE_CHECKING

from jacobench.graphs.errors import BadInput, unknown
from jacobench.reports.history.series import MOST_NAMED

if TYPE_CHECKING:
    from collections.abc import Sequence


def new_names(old: str, new: str, known: Sequence[str]) -> dict[str, str]:
    """Return old name → new name for the names that ``old`` selects; `BadInput` if none gets another, valid name.

    ``old`` is a name of a case. If there is none, each ``*`` in it stands for any text, which replaces the ``*`` at the
    same place of ``new``. All other characters stand for themselves, because names contain brackets.

    >>> new_names("a.py::*[*]", "b.py::test_*[*]", ["a.py::x[1]", "a.py::y", "c.py::x[1]"])
    {'a.py::x[1]': 'b.py::test_x[1]'}
    """
    found = {old: new} if old in known else _of_pattern(old, new, known)
    if unnamed := [name for name, after in found.items() if not after.strip()]:
        raise BadInput(f"{new!r} leaves {unnamed[0]!r} without a name: expected its new name; nothing was renamed")
    if all(name == after for name, after in found.items()):
        raise BadInput(f"{old!r} and {new!r} are the same: expected another name; nothing was renamed")
    return found


def _of_pattern(old: str, new: str, known: Sequence[str]) -> dict[str, str]:
    """Return old name → new name for the names that match a pattern; `BadInput` if there are none."""
    parts = new.split("*")
    if "*" not in old:
        raise _unknown(old, known)
    if old.count("*") != len(parts) - 1:
        raise BadInput(f"{old!r} has {old.count('*')} '*' and {new!r} has {len(parts) - 1}: expected equally many")
    pattern = re.compile("(.*)".join(map(re.escape, old.split("*"))), re.DOTALL)
    found = {name: match for name in known if (match := pattern.fullmatch(name))}
    if not found:
        raise _unknown(old, known)
    return {
        name: parts[0] + "".join(text + part for text, part in zip(match.groups(), parts[1:], strict=True))
        for name, match in found.items()
    }


def _unknown(old: str, known: Sequence[str]) -> BadInput:
    return unknown("case", old, get_close_matches(old, known, n=MOST_NAMED, cutoff=0.0))
