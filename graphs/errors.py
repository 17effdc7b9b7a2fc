"""Errors in the user's input: one sentence with the given value, the expected value and the nearest match."""

from __future__ import annotations

from difflib import get_close_matches
from numbers import Real
from operator import index
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable


class BadInput(ValueError):  # noqa: N818  (the input is bad; "BadInputError" adds nothing)
    """Invalid value from the user or from a file. The command line exits with code 2."""


class UnsuitableEnvironment(BadInput):
    """The machine or the network fails, whatever is measured: for example, a full disk. The message names the fix."""


class Interrupted(Exception):  # noqa: N818
    """A signal ended a command; the message names the command that continues. The command line exits with code 130."""


class Unsupported(Exception):  # noqa: N818  (reads as a statement: raise Unsupported("why"))
    """A strategy cannot differentiate a graph, or an importer a model; the message gives the reason.

    A plug-in may raise its own exception of this name.
    """


def unknown(kind: str, given: object, known: Iterable[str]) -> BadInput:
    """Return the error for a name that is not among `known`, with the nearest match; `kind` is a noun such as "leaf"."""
    names = sorted(known)
    near = get_close_matches(str(given), names, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return BadInput(f"unknown {kind} {given!r}: expected one of {', '.join(names)}{hint}")


def real_number(what: str, given: Any) -> float:
    """Return `given` as a float. Raises BadInput, which names it `what`."""
    if not isinstance(given, Real):
        raise BadInput(f"{what} is {given!r}: expected a number")
    return float(given)


def whole_number(what: str, given: Any) -> int:
    """Return `given` as an integer. Raises BadInput, which names it `what`."""
    try:
        return index(given)
    except TypeError:
        raise BadInput(f"{what} is {given!r}: expected a whole number") from None


def whole_numbers(what: str, given: Any) -> tuple[int, ...]:
    """Return `given` as integers. Raises BadInput, which names them `what`."""
    try:
        return tuple(map(index, given))
    except TypeError:
        raise BadInput(f"{what} is {given!r}: expected a sequence of whole numbers") from None


def check_least(least: int, **numbers: Any) -> None:
    """Raise BadInput unless each number is an integer of at least `least`."""
    for what, number in numbers.items():
        if whole_number(what, number) < least:
            raise BadInput(f"{what} is {number}: expected {least} or more")
