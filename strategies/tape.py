"""The tape: the steps and edges of a sweep over a graph, and what an edge costs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from jacobench.graphs.arrays.namespaces import NUMPY

if TYPE_CHECKING:
    from jacobench.graphs.array_types import ArgumentContext, Array
    from jacobench.graphs.graph import Graph, Node
    from jacobench.graphs.op import Argument

Pull = Callable[["Array"], "Array"]
"""Output cotangents (S, *y.shape) → input cotangents (S, *x.shape)."""

Linearizer = Callable[["Array", "tuple[Array, ...]"], Any]
"""(y, xs) → a pull, or what the strategy makes a pull of."""

Tape = Sequence[tuple[int, Sequence[tuple[int, Any]]]]
"""For each node that matters, in the order of the forward pass: its value, and (argument's value, pull) for each edge."""


@dataclass(frozen=True)
class LocalCost:
    """What differentiating one argument of one node takes, in bytes and arithmetic operations.

    Attributes
    ----------
    prepare_bytes, linearize_bytes : int
        Kept by the step of that name.
    prepare_scratch, linearize_scratch, pull_scratch : int
        Allocated and freed within it, beside its result.
    linearize_flops, pull_flops : int
        Arithmetic operations; pull_flops for all seeds.
    n_nonzeros : int
        Stored entries of the Jacobian.
    keeps : tuple of int
        The primals kept alive: `OUTPUT`, or argument numbers.
    returns_cotangent : bool
        Whether its pull returns what it is given, or a view of it.
    """

    pull_flops: int
    prepare_bytes: int = 0
    prepare_scratch: int = 0
    linearize_bytes: int = 0
    linearize_scratch: int = 0
    linearize_flops: int = 0
    pull_scratch: int = 0
    n_nonzeros: int = 0
    keeps: tuple[int, ...] = ()
    returns_cotangent: bool = False


class Local(Protocol):
    """How one argument of one node is differentiated."""

    def prepare(self, argument: Argument, ctx: ArgumentContext) -> Linearizer:
        """Do once what the shapes tell."""
        ...

    def cost(self, argument: Argument, ctx: ArgumentContext, n_seeds: int) -> LocalCost:
        """Say what it will take."""
        ...


@dataclass(frozen=True)
class Edge:
    """The argument `argument` of a node, which is value number `x`, at `ctx`."""

    x: int
    argument: Argument
    ctx: ArgumentContext


@dataclass(frozen=True)
class Step:
    """A node in the forward sweep.

    Attributes
    ----------
    y : int
        The number of its value.
    node : Node
        The node.
    forward : callable
        (*xs) → y, in NumPy.
    edges : tuple of Edge
        Its arguments that cotangents must reach.
    last_uses : tuple of int
        The values that no later node needs.
    """

    y: int
    node: Node
    forward: Callable[..., Any]
    edges: tuple[Edge, ...]
    last_uses: tuple[int, ...]


def steps(graph: Graph) -> tuple[Step, ...]:
    """Lay out the forward sweep of a graph.

    Raises
    ------
    NotImplementedError
        If an op lacks a backward rule that is needed; names the op and the argument.
    """
    planned = []
    needed_later = {graph.output}
    for number, node in reversed(list(enumerate(graph.nodes, len(graph.leaves)))):
        edges = tuple(
            Edge(x, node.op.argument(ctx.k), ctx)
            for x, ctx in zip(node.args, node.contexts, strict=True)
            if x in graph.active
        )
        last_uses = set(node.args) - needed_later
        needed_later |= last_uses
        forward = partial(node.op.forward, NUMPY, **node.attrs)
        planned.append(Step(number, node, forward, edges, tuple(last_uses)))
    return tuple(reversed(planned))
