"""The tape: steps and edges of a sweep over a graph, and the cost of an edge."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from functools import partial
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

import numpy as np

from jacobench.graphs.arrays.namespaces import NUMPY

if TYPE_CHECKING:
    from jacobench.graphs.array_types import ArgumentContext, Array, Arrays, Shape
    from jacobench.graphs.graph import Graph, Node
    from jacobench.graphs.op import Argument, VjpRule

Result = TypeVar("Result")

Pull = Callable[["Array", Any], "Array"]
"""(output cotangents (S, *y.shape), kept) → input cotangents (S, *x.shape)."""

Linearizer = Callable[["Array", "Arrays"], Any]
"""(y, xs) → what is kept of a point for the pull, such as primals or a Jacobian."""

Tape = Sequence[tuple[int, Sequence[tuple[int, Pull, Any]]]]
"""For each node with edges, in the order of the forward pass: its value, and (argument's value, pull, kept) for each edge."""


class LocalCost(NamedTuple):
    """Cost of differentiating one argument of one node, in bytes and arithmetic operations.

    - ``…_bytes``: kept by the phase; ``…_scratch``: allocated and freed within the phase, its result not included.
    - ``…_flops``: arithmetic operations; `pull_flops` for all seeds.
    - `n_nonzeros`: stored entries of the Jacobian.
    - `residuals`: primals kept for the backward pass: `OUTPUT`, or argument numbers.
    - `returns_cotangent`: whether the pull returns its input, or a view of it.
    """

    pull_flops: int
    prepare_bytes: int = 0
    prepare_scratch: int = 0
    linearize_bytes: int = 0
    linearize_scratch: int = 0
    linearize_flops: int = 0
    pull_scratch: int = 0
    n_nonzeros: int = 0
    residuals: tuple[int, ...] = ()
    returns_cotangent: bool = False


class Local(Protocol):
    """Rule that differentiates one argument of one node."""

    def prepare(self, argument: Argument, ctx: ArgumentContext) -> tuple[Pull, Linearizer]:
        """Do the work that depends on the shapes alone; return the pull and the linearizer."""
        ...

    def cost(self, argument: Argument, ctx: ArgumentContext, n_seeds: int) -> LocalCost:
        """Predict the cost."""
        ...


class Edge(NamedTuple):
    """The argument `argument` of a node, at `ctx`; `x` is the number of its value."""

    x: int
    argument: Argument
    ctx: ArgumentContext


class Step(NamedTuple):
    """A node in the forward sweep; `y` is the number of its value and `forward` maps (*xs) to it, in NumPy.

    `edges` are the arguments that cotangents must reach, `last_uses` the values that no later node needs.
    """

    y: int
    node: Node
    forward: Callable[..., Any]
    edges: tuple[Edge, ...]
    last_uses: tuple[int, ...]


def steps(graph: Graph) -> tuple[Step, ...]:
    """List the steps of the forward sweep. Raises NotImplementedError if an op lacks a backward rule that is needed."""
    planned = []
    needed_later = {graph.output}
    for number, node in reversed(list(graph.numbered_nodes)):
        edges = tuple(
            Edge(x, node.op.argument(ctx.k), ctx)
            for x, ctx in zip(node.args, node.contexts, strict=True)
            if x in graph.active and number in graph.active
        )
        last_uses = set(node.args) - needed_later
        needed_later |= last_uses
        forward = partial(node.op.forward, NUMPY, **node.attrs)
        planned.append(Step(number, node, forward, edges, tuple(last_uses)))
    return tuple(reversed(planned))


def kept_with(owner: Graph | ArgumentContext, key: Hashable, make: Callable[[], Result]) -> Result:
    """Return what `make` returns, which is kept with its owner: predictions need it several times, timed code never."""
    own: dict[Hashable, Any] = vars(owner).setdefault("kept", {})
    try:
        found: Result = own[key]
    except KeyError:
        found = own[key] = make()
    return found


def known_steps(graph: Graph) -> tuple[Step, ...]:
    """Return `steps`, kept with the graph."""
    return kept_with(graph, "known_steps", lambda: steps(graph))


def pull_by_rule(rule: VjpRule, ctx: ArgumentContext) -> Pull:
    """Return the pull by a vjp rule, for which (y, xs) are kept."""

    def pull(y_bar: Array, kept: tuple[Array, Arrays]) -> Array:
        y, xs = kept
        return rule(y_bar, y, xs, ctx)

    return pull


def owners(graph: Graph) -> dict[int, int]:
    """Return for each value that is a view of another one's memory the value that owns it: a node, leaf or constant.

    A change of shape copies what is a slice, or is repeated, unless strides can express the new shape.
    """
    found: dict[int, int] = {}
    layouts: dict[int, Array] = {}  # of views whose entries are not in C order
    for number, node in graph.numbered_nodes:
        (x, *_), ctx = node.args, node.contexts[0]
        if not node.op.is_view:
            continue
        given = layouts.get(x)
        if node.op.needs_order and given is not None and not has_view(given, node.shape):
            continue
        view = node.op.forward(NUMPY, without_memory(ctx.x, ctx.dtype) if given is None else given, **node.attrs)
        if not view.flags.c_contiguous:
            layouts[number] = view
        found[number] = found.get(x, x)
    return found


def without_memory(shape: Shape, dtype: np.dtype[np.floating]) -> Array:
    """Return an array with strides but without memory. Views of it are valid; never read or write it."""
    strides = [prod(shape[k + 1 :]) * dtype.itemsize for k in range(len(shape))]
    return np.lib.stride_tricks.as_strided(np.empty(1, dtype), shape, strides)


def has_view(x: Array, shape: Shape) -> bool:
    """Return whether strides can express x in another shape: axes that are joined follow each other in memory."""
    axes = [(n, stride) for n, stride in zip(x.shape, x.strides, strict=True) if n > 1]
    wanted = [n for n in shape if n > 1]
    old = new = 1
    for k, (n, stride) in enumerate(axes):
        if old != new and axes[k - 1][1] != n * stride:
            return False
        old *= n
        while new < old and wanted:
            new *= wanted.pop(0)
    return True


def is_view_of_given(graph: Graph) -> bool:
    """Return whether the output is a leaf or a constant, or a view of one."""
    return owners(graph).get(graph.output, graph.output) < graph.n_given
