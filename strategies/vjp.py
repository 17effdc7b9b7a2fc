"""Matrix-free: every edge is pulled back by the op's vjp rule; no Jacobian is formed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from operator import itemgetter
from typing import TYPE_CHECKING

from jacobench.graphs.op import OUTPUT
from jacobench.strategies.reverse import Reverse
from jacobench.strategies.seed_batching import samples_of
from jacobench.strategies.tape import LocalCost, pull_by_rule

if TYPE_CHECKING:
    from collections.abc import Callable

    from jacobench.graphs.array_types import ArgumentContext, Array, Arrays
    from jacobench.graphs.op import Argument
    from jacobench.strategies.tape import Linearizer, Pull


@dataclass(frozen=True, eq=False)
class PullByRule:
    """Pull back with the op's vjp rule; only the primals that it reads are kept."""

    def prepare(self, argument: Argument, ctx: ArgumentContext) -> tuple[Pull, Linearizer]:
        """Return the pull by the op's rule, and (y, xs) → the same with None for primals that the rule does not read."""
        pull, select = pull_by_rule(argument.vjp, ctx), _selection(argument.residuals, len(ctx.shapes))
        if OUTPUT in argument.residuals:
            return pull, lambda y, xs: (y, select(xs))
        return pull, lambda _y, xs: (None, select(xs))

    def cost(self, argument: Argument, ctx: ArgumentContext, n_seeds: int) -> LocalCost:
        """Predict the cost: the kept primals, and the rule's flops for each seed."""
        return LocalCost(
            pull_flops=n_seeds * argument.flops(ctx),
            pull_scratch=n_seeds * argument.scratch(ctx) + argument.scratch_once(ctx),
            residuals=argument.residuals,
            returns_cotangent=argument.returns_cotangent(ctx),
        )


def _selection(residuals: tuple[int, ...], n_primals: int) -> Callable[[Arrays], tuple[Array | None, ...]]:
    """Return the function that replaces primals by None if they are not residuals, so that their arrays can be freed."""
    if not residuals or max(residuals) == OUTPUT:
        nothing = (None,) * n_primals
        return lambda _xs: nothing
    read = [k in residuals for k in range(n_primals)]
    if all(read):
        return lambda xs: xs
    pick = itemgetter(*(k if read[k] else n_primals for k in range(n_primals)))
    return lambda xs: pick((*xs, None))


@cache
def vjp() -> Reverse:
    """Return the strategy ``vjp``."""
    return Reverse("vjp", PullByRule(), samples_of=samples_of)
