"""Work that each strategy's definition requires for one edge of the graph, as library calls with preallocated outputs.

A rule is (edge, y, xs) → the calls of `linearize`, and a function (y_bar (S, …), x_bar (S, …)) → the calls of `pullback`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from jacobench.graphs.array_types import Array, Arrays
from jacobench.graphs.calls import Calls
from jacobench.strategies.tape import Edge

PullCalls = Callable[[Array, Array], Calls]
FloorRule = Callable[[Edge, Array, Arrays], tuple[Calls, PullCalls]]


def vjp_calls(edge: Edge, y: Array, xs: Arrays) -> tuple[Calls, PullCalls]:
    """Pull back with the op's floor kernel."""
    return [], lambda y_bar, x_bar: edge.argument.floor(y_bar, y, xs, x_bar, edge.ctx)


def vjp_calls_by_sample(edge: Edge, y: Array, xs: Arrays) -> tuple[Calls, PullCalls]:
    """Pull back with the kernel that keeps the samples apart: x_bar has shape (B, S, …)."""
    kernel = edge.argument.per_sample_floor
    assert kernel is not None
    return [], lambda y_bar, x_bar: kernel(y_bar, y, xs, x_bar, edge.ctx)


RULES: Mapping[str, FloorRule] = {"vjp": vjp_calls}
"""Rules of the strategies that have a floor."""
