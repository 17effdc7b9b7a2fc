"""What the user got wrong: one sentence that names it, says what was expected and offers the nearest match."""

from __future__ import annotations

from difflib import get_close_matches
from numbers import Real
from operator import index
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable


class BadInput(ValueError):  # noqa: N818  (it is the input that is bad; "BadInputError" says no more)
    """Something that a person typed or wrote in a file cannot be used. The front door turns it into exit code 2."""


def unknown(kind: str, given: object, known: Iterable[str]) -> BadInput:
    """Return the error for a name that is not in a table.

    Parameters
    ----------
    kind : str
        What the name was to name, such as ``"activation"``.
    given : object
        What was given.
    known : iterable of str
        What would have been right.

    Returns
    -------
    BadInput
        To be raised by the caller, where the bad name entered.
    """
    names = sorted(known)
    near = get_close_matches(str(given), names, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return BadInput(f"unknown {kind} {given!r}: expected one of {', '.join(names)}{hint}")


def real_number(what: str, given: Any) -> float:
    """Return `given` as a float, or raise BadInput that says what it was to be."""
    if not isinstance(given, Real):
        raise BadInput(f"{what} is {given!r}: expected a number")
    return float(given)


def whole_number(what: str, given: Any) -> int:
    """Return `given` as an integer, or raise BadInput that says what it was to be."""
    try:
        return index(given)
    except TypeError:
        raise BadInput(f"{what} is {given!r}: expected a whole number") from None


def whole_numbers(what: str, given: Any) -> tuple[int, ...]:
    """Return `given` as integers, or raise BadInput that says what they were to be."""
    try:
        return tuple(map(index, given))
    except TypeError:
        raise BadInput(f"{what} is {given!r}: expected a sequence of whole numbers") from None
