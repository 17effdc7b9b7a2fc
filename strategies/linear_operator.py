"""Linear operators: transposed Jacobians as `scipy.sparse.linalg.LinearOperator`s, composed along unbranched chains."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from scipy.sparse.linalg import LinearOperator

from jacobench.strategies.reverse import Reverse
from jacobench.strategies.vjp import PullByRule

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jacobench.graphs.array_types import ArgumentContext, Array, Arrays, Shape
    from jacobench.graphs.graph import Graph
    from jacobench.graphs.op import Argument
    from jacobench.strategies.tape import Linearizer, Pull, Tape


class TransposedJacobian(PullByRule):
    """A LinearOperator of shape (inputs, outputs) whose product is the op's vjp rule, at the same cost."""

    def prepare(self, argument: Argument, ctx: ArgumentContext) -> tuple[Pull, Linearizer]:
        """Return the pull, and (y, xs) → its Jᵀ and the argument's shape."""
        pull, linearize_rule = super().prepare(argument, ctx)

        def linearize(y: Array, xs: Arrays) -> tuple[Any, Shape]:
            kept = linearize_rule(y, xs)

            def product(columns: Array) -> Array:
                return pull(columns.T.reshape(-1, *ctx.out), kept).reshape(-1, ctx.n_in).T

            operator = LinearOperator(
                shape=(ctx.n_in, ctx.n_out),
                matvec=lambda column: product(column.reshape(-1, 1)).reshape(-1),
                matmat=product,
                dtype=ctx.dtype,
            )
            return operator, ctx.x

        return _pull, linearize


def compose(tape: Tape, graph: Graph) -> Tape:
    """Multiply operators along chains of values with one use each.

    An operator whose input is used several times is not composed further. Composed into each user, it would be applied
    once per user, at a cost that doubles with every branch.
    """
    reached = Counter(x for _, edges in tape for x, *_ in edges)
    shapes = [*graph.given_shapes, *(node.shape for node in graph.nodes)]
    chains: dict[int, list[tuple[int, list[Any]]]] = {}
    for y, edges in tape:
        chains[y] = []
        for x, _, (operator, _) in edges:
            onward = chains.get(x, [])
            if len(onward) == 1 and reached[x] == 1:
                ((x_onward, chain),) = chains.pop(x)
                chain.append(operator)
                chains[y].append((x_onward, chain))
            else:
                chains[y].append((x, [operator]))
    return [(y, [(x, _pull, (_product(chain), shapes[x])) for x, chain in edges]) for y, edges in chains.items()]


def _product(chain: Sequence[Any]) -> Any:
    """Multiply operators pairwise. SciPy applies a product recursively; 500 factors one by one exceed Python's stack."""
    if len(chain) == 1:
        return chain[0]
    half = len(chain) // 2
    return _product(chain[:half]) @ _product(chain[half:])


def _pull(y_bar: Array, kept: tuple[Any, Shape]) -> Array:
    operator, shape = kept
    x_bar: Array = operator.matmat(y_bar.reshape(len(y_bar), -1).T)
    return x_bar.T.reshape(-1, *shape)


def linear_operator() -> Reverse:
    """Return the strategy ``linear-operator``."""
    return Reverse("linear-operator", TransposedJacobian(), compose)
