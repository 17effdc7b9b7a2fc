"""`GraphBuilder`: builds a graph op by op, with one method per entry of the op table."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from jacobench.graphs.array_types import ArgumentContext
from jacobench.graphs.errors import BadInput, unknown, whole_number, whole_numbers
from jacobench.graphs.graph import DISTRIBUTIONS, Graph, Leaf, Node, Role
from jacobench.graphs.ops import OPS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from jacobench.graphs.array_types import Shape
    from jacobench.graphs.op import Op

DTYPES = ("float64", "float32")


@dataclass(frozen=True, eq=False)
class Value:
    """Leaf or output of an op, to be used as an argument of ops.

    `batched`: whether its leading axis is the batch and it has further axes. An op's output also holds the op, its
    arguments and their contexts.
    """

    shape: Shape
    batched: bool
    builder: GraphBuilder = field(repr=False)
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
        self._batch: int | None = None

    def input(self, name: str, shape: Sequence[int], *, distribution: str = "uniform") -> Value:
        """Add a leaf for data.

        Parameters
        ----------
        name : str
            Unique name.
        shape : sequence of int
            The leading axis is the batch, equally long for all inputs.
        distribution : {"uniform", "one_hot"}
            What `Graph.sample` draws: U(−1, 1), or one class for each vector along the last axis.

        Raises
        ------
        BadInput
            For a duplicate name, an empty shape, a length below 1, another batch or an unknown distribution.
        """
        lengths = whole_numbers(f"leaf {name!r}: its shape", shape)
        if not lengths:
            raise BadInput(f"input {name!r} has shape (): expected a leading batch axis")
        if self._batch not in {None, lengths[0]}:
            raise BadInput(f"input {name!r} has a leading axis of {lengths[0]}: expected the batch, {self._batch}")
        value = self._add(name, lengths, "input", distribution, 1)
        self._batch = lengths[0]
        return value

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

    def _add(self, name: str, shape: Iterable[int], role: Role, distribution: str, fan_in: int | None) -> Value:
        if name in self._leaves:
            raise BadInput(f"leaf {name!r} already exists, with shape {self._leaves[name].shape}: expected a new name")
        if distribution not in DISTRIBUTIONS:
            raise unknown("distribution", distribution, DISTRIBUTIONS)
        lengths = whole_numbers(f"leaf {name!r}: its shape", shape)
        if any(length < 1 for length in lengths):
            raise BadInput(f"leaf {name!r} has shape {lengths}: expected lengths of 1 or more")
        self._leaves[name] = Leaf(lengths, role, distribution, fan_in or prod(lengths[1:] or lengths))
        value = Value(lengths, role == "input" and len(lengths) > 1, self)
        self._leaf_values.append(value)
        return value

    def __getattr__(self, name: str) -> Callable[..., Value]:
        if name.startswith("_"):
            raise AttributeError(name)
        if name not in OPS:
            raise AttributeError(str(unknown("op", name, OPS)))
        return partial(self._apply, OPS[name])

    def _apply(self, op: Op, *args: Value, **attrs: Any) -> Value:
        for arg in args:
            if not isinstance(arg, Value) or arg.builder is not self:
                raise BadInput(f"{op.name} was given {arg!r:.60}: expected values of this builder")
        n = len(op.arguments)
        if not (len(args) == n or (op.variadic and args)):
            raise BadInput(f"{op.name} was given {len(args)} arguments: expected {'1 or more' if op.variadic else n}")
        for attr in attrs:
            if attr not in op.attrs:
                raise unknown(f"attribute of {op.name}", attr, op.attrs or ["none"])
        shapes = tuple(arg.shape for arg in args)
        try:
            prepared = op.prepare({**op.attrs, **attrs})
            out = op.shape(shapes, prepared)
        except BadInput as error:
            raise BadInput(f"{op.name}: {error}") from None
        per_sample = [arg.batched and op.per_sample(k, shapes, prepared) for k, arg in enumerate(args)]
        contexts = tuple(
            ArgumentContext(k, shapes, out, prepared, self._dtype, samples=out[0] if batched else 1)
            for k, batched in enumerate(per_sample)
        )
        return Value(out, any(per_sample) and len(out) > 1, self, args, op, contexts)

    def build(self, output: Value, wrt: Iterable[str] | None = None) -> Graph:
        """Return the graph that computes `output`: all leaves, and the nodes that the output needs.

        Parameters
        ----------
        output : Value
            A value of this builder.
        wrt : iterable of str, optional
            Names of the leaves to differentiate. Default: all parameters.

        Raises
        ------
        BadInput
            If the output is not of this builder, or a name in `wrt` is not a leaf.
        """
        if not isinstance(output, Value) or output.builder is not self:
            raise BadInput(f"output is {output!r:.60}: expected a value of this builder")
        names = [name for name, leaf in self._leaves.items() if leaf.role == "parameter"] if wrt is None else list(wrt)
        for name in names:
            if name not in self._leaves:
                raise unknown("leaf in wrt", name, self._leaves)
        numbers = {id(value): number for number, value in enumerate(self._leaf_values)}
        nodes = []
        for value in _in_order(output):
            if value.op is not None:
                numbers[id(value)] = len(numbers)
                args = tuple(numbers[id(arg)] for arg in value.args)
                nodes.append(Node(value.op, args, value.contexts[0].attrs, value.contexts, value.shape))
        return Graph(self._dtype, dict(self._leaves), tuple(nodes), numbers[id(output)], tuple(dict.fromkeys(names)))


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
