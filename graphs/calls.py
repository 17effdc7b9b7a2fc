"""Library calls as data: a floor is a list of calls with preallocated outputs, which `bench.floor` times in a loop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

Call = tuple[Callable[..., Any], tuple[Any, ...]]
"""Function and its positional arguments, its outputs among them."""


@dataclass(frozen=True)
class Fastest:
    """Alternatives with the same result, each a list of calls. The floor is the fastest at the given shapes."""

    alternatives: tuple[list[Call], ...]


Calls = Sequence[Call | Fastest]


def no_calls(*_given: Any) -> list[Call]:
    """Return no calls: the floor of a rule that returns its input or a view of it."""
    return []
