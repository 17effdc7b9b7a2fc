"""`GraphBuilder`: builds a graph op by op, with one method per entry of the op table."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache, partial
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from jacobench.graphs.array_types import ArgumentContext
from jacobench.graphs.errors import BadInput, unknown, whole_number, whole_numbers
from jacobench.graphs.graph import DISTRIBUTIONS, Graph, Leaf, Node, Role, selected
from jacobench.graphs.ops import OPS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import ArrayLike, NDArray

    from jacobench.graphs.array_types import Shape, Shapes
    from jacobench.graphs.op import Op

DTYPES = ("float64", "float32")


@dataclass(frozen=True, eq=False)
class Value:
    """Leaf or output of an op, to be used as an argument of ops.

    `batched`: whether its leading axis is the batch and it has further axes. A constant also holds its array, an op's
    output the op, its arguments and their contexts.
    """

    shape: Shape
    batched: bool
    builder: GraphBuilder = field(repr=False)
    dtype: np.dtype[Any] = field(repr=False)
    constant: NDArray[Any] | None = field(default=None, repr=False)
    args: tuple[Value, ...] = field(default=(), repr=False)
    op: Op | None = field(default=None, repr=False)
    contexts: tuple[ArgumentContext, ...] = field(default=(), repr=False)


class GraphBuilder:
    """Build a graph op by op.

    Each op of the table is a method: ``h = g.tanh(g.affine(x, W, b))``. A value may be used any number of times.

    Parameters
    ----------
    dtype : {"float64", "float32"}
        Dtype of all leaves and values. Others raise BadInput.

    Examples
    --------
    >>> g = GraphBuilder()
    >>> x, W, b = g.input("x", (32, 784)), g.parameter("W", (256, 784)), g.parameter("b", (256,))
    >>> graph = g.build(output=g.tanh(g.affine(x, W, b)))
    >>> graph.output_shape, graph.wrt, graph.n_parameters
    ((32, 256), ('W', 'b'), 200960)
    """

    def __init__(self, dtype: str = "float64") -> None:
        if dtype not in DTYPES:
            raise unknown("dtype", dtype, DTYPES)
        self._dtype = np.dtype(dtype)
        self._leaves: dict[str, Leaf] = {}
        self._leaf_values: list[Value] = []

    def input(self, name: str, shape: Sequence[int], *, distribution: str = "uniform") -> Value:
        """Add a leaf for data.

        Parameters
        ----------
        name : str
            Unique name.
        shape : sequence of int
            Any number of axes. The leading one, if there are further axes, is taken as the batch: ops that treat its samples
            separately have block diagonal Jacobians.
        distribution : {"uniform", "positive", "one_hot"}
            What `Graph.sample` draws: U(−1, 1), U(5/4, 9/4), or one class for each vector along the last axis.

        Raises
        ------
        BadInput
            For a duplicate name, a length below 1 or an unknown distribution.
        """
        return self._add(name, shape, "input", distribution, 1)

    def parameter(self, name: str, shape: Sequence[int], *, fan_in: int | None = None) -> Value:
        """Add a leaf for weights.

        Parameters
        ----------
        name : str
            Unique name.
        shape : sequence of int
            Any number of axes.
        fan_in : int, optional
            `Graph.sample` draws from U(−1/√fan_in, 1/√fan_in). Default: the product of all axes but the first; for a
            vector, its length.

        Raises
        ------
        BadInput
            For a duplicate name, or a length or fan-in below 1.
        """
        if fan_in is not None and whole_number("fan_in", fan_in) < 1:
            raise BadInput(f"parameter {name!r} has fan_in {fan_in}: expected 1 or more")
        return self._add(name, shape, "parameter", "fan_in", fan_in)

    def constant(self, array: ArrayLike) -> Value:
        """Return a constant: floating-point numbers in the builder's dtype, integers, or booleans; a copy, read-only.

        Raises BadInput for another dtype.
        """
        values = np.array(array, order="C")
        if values.dtype.kind not in "fiub":
            raise BadInput(
                f"a constant has dtype {values.dtype}: expected floating-point numbers, integers or booleans"
            )
        if values.dtype.kind == "f":
            values = values.astype(self._dtype, copy=False)
        values.flags.writeable = False
        return Value(values.shape, False, self, values.dtype, values)

    def _add(self, name: str, shape: Iterable[int], role: Role, distribution: str, fan_in: int | None) -> Value:
        if name in self._leaves:
            raise BadInput(f"leaf {name!r} already exists, with shape {self._leaves[name].shape}: expected a new name")
        if distribution not in DISTRIBUTIONS:
            raise unknown("distribution", distribution, DISTRIBUTIONS)
        lengths = whole_numbers(f"leaf {name!r}: its shape", shape)
        if any(length < 1 for length in lengths):
            raise BadInput(f"leaf {name!r} has shape {lengths}: expected lengths of 1 or more")
        self._leaves[name] = Leaf(lengths, role, distribution, fan_in or prod(lengths[1:] or lengths))
        value = Value(lengths, role == "input" and len(lengths) > 1, self, self._dtype)
        self._leaf_values.append(value)
        return value

    def __getattr__(self, name: str) -> Callable[..., Value]:
        if name.startswith("_"):
            raise AttributeError(name)
        if name not in OPS:
            raise AttributeError(str(unknown("op", name, OPS)))
        return partial(self._apply, OPS[name])

    def _apply(self, op: Op, *args: Value, **attrs: Any) -> Value:
        self._check(op, args)
        for attr in attrs:
            if attr not in op.attrs:
                raise unknown(f"attribute of {op.name}", attr, op.attrs or ["none"])
        shapes, batched = tuple(arg.shape for arg in args), tuple(arg.batched for arg in args)
        at = _applied if op.attrs else _known_applied
        applied = at(op, shapes, batched, self._dtype, **attrs)
        dtype = op.dtype_of_output(self._dtype)
        return Value(applied.shape, applied.batched, self, dtype, None, args, applied.op, applied.contexts)

    def _check(self, op: Op, args: Sequence[Value]) -> None:
        """Raise BadInput unless an op accepts these arguments."""
        for arg in args:
            if not isinstance(arg, Value) or arg.builder is not self:
                raise BadInput(f"{op.name} was given {arg!r:.60}: expected values of this builder")
        n = len(op.arguments)
        if not (len(args) == n or (op.variadic and args)):
            raise BadInput(f"{op.name} was given {len(args)} arguments: expected {'1 or more' if op.variadic else n}")
        for k, arg in enumerate(args):
            if arg.dtype != self._dtype and not op.takes_any_dtype(k):
                raise BadInput(f"argument {k} of {op.name} is {arg.dtype}: expected {self._dtype}")

    def build(self, output: Value, wrt: str | Iterable[str] | None = None) -> Graph:
        """Return the graph that computes `output`: all leaves, and the constants and nodes that the output needs.

        Parameters
        ----------
        output : Value
            A floating-point value of this builder.
        wrt : {"parameters", "inputs", "all"} or iterable of str, optional
            Leaves to differentiate, by role or name. Default: ``"parameters"``.

        Raises
        ------
        BadInput
            If the output is not of this builder, or `wrt` contains an unknown name or selects no leaf.
        """
        if not isinstance(output, Value) or output.builder is not self:
            raise BadInput(f"output is {output!r:.60}: expected a value of this builder")
        if output.dtype != self._dtype:
            raise BadInput(f"output is {output.dtype}: expected {self._dtype}")
        names = selected(self._leaves, "parameters" if wrt is None else wrt)
        needed = _in_order(output)
        constants = [value for value in needed if value.constant is not None]
        numbers = {id(value): number for number, value in enumerate([*self._leaf_values, *constants])}
        nodes = []
        for value in needed:
            if value.op is not None:
                numbers[id(value)] = len(numbers)
                args = tuple(numbers[id(arg)] for arg in value.args)
                nodes.append(Node(value.op, args, value.contexts[0].attrs, value.contexts, value.shape))
        arrays = tuple(value.constant for value in constants if value.constant is not None)
        return Graph(self._dtype, dict(self._leaves), tuple(nodes), numbers[id(output)], names, arrays)


class _Applied(NamedTuple):
    """An op with the rules for some shapes, its output's shape, whether that is batched, and its contexts."""

    op: Op
    shape: Shape
    batched: bool
    contexts: tuple[ArgumentContext, ...]


def _applied(op: Op, shapes: Shapes, batched: tuple[bool, ...], dtype: np.dtype[np.floating], **attrs: Any) -> _Applied:
    """Apply an op to arguments of these shapes; raises BadInput if they or the attributes do not fit."""
    try:
        prepared = op.prepare({**op.attrs, **attrs}, shapes)
        out = op.shape(shapes, prepared)
    except BadInput as error:
        raise BadInput(f"{op.name}: {error}") from None
    op = op.at(shapes, out, prepared)
    per_sample = [own and op.per_sample(k, shapes, prepared) for k, own in enumerate(batched)]
    contexts = tuple(
        ArgumentContext(k, shapes, out, prepared, dtype, samples=out[0] if own else 1)
        for k, own in enumerate(per_sample)
    )
    return _Applied(op, out, any(per_sample) and len(out) > 1, contexts)


_known_applied = lru_cache(maxsize=1024)(_applied)
"""`_applied` of an op without attributes. The graphs of a suite have many equal nodes; predictions are kept with contexts."""


def _in_order(output: Value) -> list[Value]:
    """List the values that the output needs, each after its arguments; without recursion, so depth is not limited."""
    done: dict[int, Value] = {}
    stack = [output]
    while stack:
        value = stack[-1]
        missing = [arg for arg in value.args if id(arg) not in done]
        if missing:
            stack.extend(reversed(missing))
        else:
            done.setdefault(id(value), value)
            stack.pop()
    return list(done.values())
