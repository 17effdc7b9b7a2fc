"""Library calls as data: a floor is a list of calls with preallocated outputs, which `bench.floor` times in a loop."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from jacobench.graphs.array_types import ArgumentContext, Array, Arrays

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


def run(calls: Iterable[Call]) -> None:
    """Run calls in order."""
    for function, arguments in calls:
        function(*arguments)


def zeroed(array: Array) -> Call:
    """Return the call that writes zeros to an array in C order, as bytes: 85 µs for 8 MiB, 144 as numbers."""
    return (array.reshape(-1).view(np.uint8).fill, (0,))


def written(calls: Iterable[Call], out: Array) -> Array:
    """Run calls that write `out`, and return it."""
    run(calls)
    return out


def vjp_of(calls: Callable[..., Iterable[Call]]) -> Callable[..., Array]:
    """Return the vjp rule that runs a floor kernel, which may be a generator of calls."""

    def vjp(y_bar: Array, y: Array, xs: Arrays, ctx: ArgumentContext) -> Array:
        x_bar = np.empty((len(y_bar), *ctx.x), y_bar.dtype)
        return written(calls(y_bar, y, xs, x_bar, ctx), x_bar)

    return vjp
