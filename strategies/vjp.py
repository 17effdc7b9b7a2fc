"""Matrix-free: every edge is pulled back by the op's vjp rule; no Jacobian is formed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jacobench.graphs.op import OUTPUT
from jacobench.strategies.reverse import Reverse
from jacobench.strategies.seed_batching import samples_of
from jacobench.strategies.tape import LocalCost

if TYPE_CHECKING:
    from collections.abc import Callable

    from jacobench.graphs.array_types import ArgumentContext, Array, Arrays
    from jacobench.graphs.op import Argument
    from jacobench.strategies.tape import Pull


class VjpRule:
    """Pull back with the op's vjp rule; only the primals that it reads are kept."""

    def prepare(self, argument: Argument, ctx: ArgumentContext) -> Callable[[Array, Arrays], Pull]:
        """Return (y, xs) → pull."""
        rule, reads_output = argument.vjp, OUTPUT in argument.residuals
        dropped = [k for k in range(len(ctx.shapes)) if k not in argument.residuals]

        def linearize(y: Array, xs: Arrays) -> Pull:
            # A rule gets None for primals that it does not read, so that their arrays can be freed.
            output: Array = y if reads_output else None  # type: ignore[assignment]
            kept: list[Any] = [*xs]
            for k in dropped:
                kept[k] = None
            residuals = tuple(kept)

            def pull(y_bar: Array, rule: Callable[..., Array] = rule) -> Array:
                return rule(y_bar, output, residuals, ctx)

            return pull

        return linearize

    def cost(self, argument: Argument, ctx: ArgumentContext, n_seeds: int) -> LocalCost:
        """Predict the cost: the kept primals, and the rule's flops for each seed."""
        return LocalCost(
            pull_flops=n_seeds * argument.flops(ctx),
            pull_scratch=n_seeds * argument.scratch(ctx) + argument.scratch_once(ctx),
            residuals=argument.residuals,
            returns_cotangent=argument.returns_cotangent(ctx),
        )


def vjp() -> Reverse:
    """Return the strategy ``vjp``."""
    return Reverse("vjp", VjpRule(), samples_of=samples_of)
