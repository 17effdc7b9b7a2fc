"""Types of shapes and arrays, and the context of an argument."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Mapping

Shape = tuple[int, ...]
Array = NDArray[np.floating]


@dataclass(frozen=True)
class ArgumentContext:
    """One argument of one node: all that a rule may know before the point is given.

    Attributes
    ----------
    k : int
        Which argument.
    shapes : tuple of tuple of int
        The shapes of all arguments.
    out : tuple of int
        The output's shape.
    attrs : mapping
        What the op was called with beside its arguments.
    dtype : numpy.dtype
        float32 or float64.
    samples : int
        How many samples stand along the leading axes of argument and output without mixing; 1 where there is no such axis.
    """

    k: int
    shapes: tuple[Shape, ...]
    out: Shape
    attrs: Mapping[str, Any]
    dtype: np.dtype[np.floating]
    samples: int = 1

    @cached_property
    def x(self) -> Shape:
        """The shape of this argument."""
        return self.shapes[self.k]

    @cached_property
    def n_in(self) -> int:
        """The number of entries of this argument."""
        return prod(self.x)

    @cached_property
    def n_out(self) -> int:
        """The number of entries of the output."""
        return prod(self.out)
