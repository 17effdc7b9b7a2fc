"""Types of shapes and arrays, and the context that rules receive."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

Shape = tuple[int, ...]
Shapes = tuple[Shape, ...]
Array = NDArray[np.floating]
Arrays = tuple[Array, ...]
Indices = NDArray[np.signedinteger]
Attrs = Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class ArgumentContext:
    """Shapes, attributes and dtype of argument `k` of a node: what a rule knows before the primals are given.

    Nodes with the same op, shapes and dtype may share it.

    `shapes` are those of all arguments, `out` is that of the output, and `attrs` are the op's attributes. `samples` is the
    number of independent samples along the leading axes of argument and output; 1 without such an axis.
    """

    k: int
    shapes: Shapes
    out: Shape
    attrs: Attrs
    dtype: np.dtype[np.floating]
    samples: int = 1

    @cached_property
    def x(self) -> Shape:
        """Shape of this argument."""
        return self.shapes[self.k]

    @cached_property
    def n_in(self) -> int:
        """Number of entries of this argument."""
        return prod(self.x)

    @cached_property
    def n_vectors(self) -> int:
        """Number of vectors along the last axis of the output."""
        return prod(self.out[:-1])

    @cached_property
    def n_out(self) -> int:
        """Number of entries of the output."""
        return prod(self.out)
