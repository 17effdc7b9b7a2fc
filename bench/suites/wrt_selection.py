"""The key ``wrt`` of a sweep: which leaves to differentiate, as text and as part of a case's name.

One value is ``"inputs"``, ``"parameters"``, ``"all"``, the name of a leaf, or a list of names. A list is swept if it contains
one of these words or another list; then it contains nothing else. So ``["W1", "x"]`` is one value, and
``["inputs", ["W1", "x"]]`` gives two cases.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, TypeAlias
from zlib import crc32

from msgspec import Meta

from jacobench.graphs.errors import BadInput
from jacobench.graphs.graph import SELECTIONS

if TYPE_CHECKING:
    from collections.abc import Sequence

Names = Annotated[list[str], Meta(min_length=1)]
WrtKey: TypeAlias = str | Annotated[list[str | Names], Meta(min_length=1)]
Wrt: TypeAlias = str | list[str]
"""One value: a word, or names of leaves."""

LONGEST_IN_NAME = 40  # characters


def swept_wrt(value: str | Sequence[str | list[str]]) -> list[Wrt]:
    """Return the values of the key; raises BadInput for a list that mixes words with names."""
    if isinstance(value, str):
        return [value if value in SELECTIONS else [value]]
    is_value = [isinstance(item, list) or item in SELECTIONS for item in value]
    if not any(is_value):
        return [[str(item) for item in value]]
    if not all(is_value):
        names = [item for item, whole in zip(value, is_value, strict=True) if not whole]
        raise BadInput(
            f".wrt: expected names of leaves, or a list of {', '.join(SELECTIONS)} and lists of names, got {list(value)}; "
            f"to sweep, write {names} as a list"
        )
    return list(value)


def wrt_text(value: Wrt) -> str:
    """Return the column ``wrt``: a word, or names with commas.

    >>> wrt_text("inputs"), wrt_text(["W1", "x"])
    ('inputs', 'W1,x')
    """
    return value if isinstance(value, str) else ",".join(value)


def wrt_of_text(text: str) -> Wrt:
    """Return the value of a column ``wrt``, if no name contains a comma."""
    return text if text in SELECTIONS else text.split(",")


def wrt_in_name(value: Wrt) -> str:
    """Return the part of a case's name: a word, or names joined with plus signs.

    It is short, and valid in globs and in names of files; a checksum keeps changed texts distinct.

    >>> wrt_in_name(["W1", "x"]), wrt_in_name(["/conv/weight"])
    ('W1+x', '_conv_weight~89ce5294')
    """
    text = value if isinstance(value, str) else "+".join(value)
    plain = re.sub(r"[^\w.+-]", "_", text)[:LONGEST_IN_NAME]
    return text if plain == text else f"{plain}~{crc32(text.encode()):08x}"
