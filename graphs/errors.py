"""What the user got wrong: one sentence that names it, says what was expected and offers the nearest match."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

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
