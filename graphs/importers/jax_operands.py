"""Operands of jaxpr equations: values of the graph, and constants, which are arrays of NumPy or JAX."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from jacobench.graphs.builder import GraphBuilder, Value

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from jacobench.graphs.array_types import Shape

Operand = Any
"""A `Value`, which depends on a leaf, or an array, which does not."""


class NotExpressible(Exception):  # noqa: N818  (a statement, as Unsupported is)
    """No op of the table computes an equation; the message is what the error calls it, by JAX's name."""


def is_value(x: Operand) -> bool:
    """Return whether an operand depends on a leaf."""
    return isinstance(x, Value)


def is_bool(x: Operand) -> bool:
    """Return whether an operand is of booleans."""
    return bool(x.dtype == np.bool_)


def is_float(x: Operand) -> bool:
    """Return whether an operand, or an abstract value of JAX, is of floating-point numbers; JAX also has dtypes for keys."""
    return str(x.dtype).startswith("float")


@dataclass
class OperandBuilder:
    """A graph builder that takes constants as arguments, and moves booleans, too.

    `shortest_float` is the size in bytes of the shortest floating-point type to which the model may convert numbers.
    """

    g: GraphBuilder
    jax: Any
    shortest_float: int
    _constants: dict[Any, tuple[Any, Value]] = field(default_factory=dict)
    _scalars: dict[int, tuple[Any, Operand]] = field(default_factory=dict)

    def value(self, x: Operand) -> Value:
        """Return an operand as a value. A constant that occurs again is the same value."""
        if is_value(x):
            value: Value = x
            return value
        array = np.asarray(x)
        key = (array.dtype.str, array.tobytes()) if array.ndim == 0 else id(x)
        if key not in self._constants:
            self._constants[key] = x, self.g.constant(_as_standard(array))  # x is kept, so that its id stays its own
        return self._constants[key][1]

    def apply(self, op: str, *xs: Operand, **attrs: Any) -> Value:
        """Add a node."""
        return getattr(self.g, op)(*map(self.value, xs), **attrs)  # type: ignore[no-any-return]

    def elementwise(self, op: str, *xs: Operand, **attrs: Any) -> Value:
        """Add a node of an op that broadcasts. A constant array of equal numbers becomes a scalar, if the shape stays."""
        shape = np.broadcast_shapes(*(x.shape for x in xs))
        fills = any(is_value(x) and x.shape == shape for x in xs)
        return self.apply(op, *(map(self._as_scalar, xs) if fills else xs), **attrs)

    def _as_scalar(self, x: Operand) -> Operand:
        if is_value(x) or x.ndim == 0:
            return x
        if id(x) not in self._scalars:
            array = np.asarray(x)
            first = array.reshape(-1)[0]
            self._scalars[id(x)] = x, np.asarray(first) if np.all(array == first) else x
        return self._scalars[id(x)][1]

    def moved(self, op: str, *xs: Operand, **attrs: Any) -> Value:
        """Add a node of an op that moves entries. Booleans take the way through the numbers 0 and 1."""
        if not all(map(is_bool, xs)):
            return self.apply(op, *xs, **attrs)
        numbers = (self.as_numbers(x) if is_value(x) else np.asarray(x, np.float64) for x in xs)
        return self.as_booleans(self.apply(op, *numbers, **attrs))

    def as_numbers(self, x: Value) -> Value:
        """Return booleans as the numbers 0 and 1."""
        return self.apply("where", x, np.float64(1), np.float64(0))

    def as_booleans(self, x: Value) -> Value:
        """Return whether numbers are not zero."""
        return self.apply("not_equal", x, np.float64(0))

    def reshaped(self, x: Operand, shape: Shape) -> Operand:
        """Return an operand in another shape."""
        if not is_value(x):
            return np.reshape(x, shape)
        return x if x.shape == shape else self.moved("reshape", x, shape=shape)

    def transposed(self, x: Operand, axes: Sequence[int]) -> Operand:
        """Return an operand with its axes in another order."""
        if not is_value(x):
            return np.transpose(x, axes)
        return x if list(axes) == sorted(axes) else self.moved("transpose", x, axes=tuple(axes))

    def joined(self, parts: Sequence[Operand], axis: int) -> Value:
        """Join operands, at least one of them a value, along an axis."""
        parts = [part for part in parts if 0 not in part.shape]
        return parts[0] if len(parts) == 1 else self.moved("concat", *parts, axis=axis)

    def positions_of_gather(self, shape: Shape, indices: Any, parameters: dict[str, Any]) -> Any:
        """Return the flat positions that ``lax.gather`` reads, −1 for what it fills: it gathers them."""
        numbered = np.arange(np.prod(shape, dtype=int)).reshape(shape)
        wanted = {key: parameters[key] for key in ("dimension_numbers", "slice_sizes", "mode")}
        with self.jax.enable_x64(True):
            return self.jax.lax.gather(numbered, np.asarray(indices), **wanted, fill_value=-1)

    def positions_of_scatter(self, shape: Shape, indices: Any, updates: Shape, parameters: dict[str, Any]) -> Any:
        """Return the flat position to which ``lax.scatter`` moves each update, −1 if it drops it.

        A scatter that adds is linear in its updates. Its transpose gathers.
        """
        numbered = np.arange(1.0, 1 + np.prod(shape)).reshape(shape)
        wanted = {key: parameters[key] for key in ("dimension_numbers", "mode")}
        lax = self.jax.lax
        with self.jax.enable_x64(True):
            array = np.asarray(indices)
            transposed = self.jax.linear_transpose(
                lambda given: lax.scatter_add(np.zeros(shape), array, given, **wanted), np.zeros(updates)
            )
            return np.asarray(transposed(numbered)[0]).astype(int) - 1


def _as_standard(array: NDArray[Any]) -> NDArray[Any]:
    """Return numbers of a type that NumPy does not know, such as bfloat16, as float32."""
    return array if array.dtype.kind in "fiub" else array.astype(np.float32)
