"""Matrix-free: every edge is pulled back by the op's vjp rule, and no Jacobian is ever formed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jacobench.graphs.op import OUTPUT
from jacobench.strategies.reverse import LocalCost, Reverse

if TYPE_CHECKING:
    from collections.abc import Callable

    from jacobench.graphs.op import Argument, Array, Site
    from jacobench.strategies.reverse import Pull


class VjpRule:
    """Apply the vjp rule to the primals that it reads; the others are let go."""

    def prepare(self, argument: Argument, site: Site) -> Callable[[Array, tuple[Array, ...]], Pull]:
        """Return (y, xs) → pull."""
        rule, keeps = argument.vjp, frozenset(argument.keeps)
        n_args = len(site.shapes)

        def linearize(y: Array, xs: tuple[Array, ...]) -> Pull:
            # A rule is given None for what it said it does not read, so that the array can be freed.
            output: Array = y if OUTPUT in keeps else None  # type: ignore[assignment]
            kept: tuple[Array, ...] = tuple([xs[k] if k in keeps else None for k in range(n_args)])  # type: ignore[misc]
            return lambda y_bar: rule(y_bar, output, kept, site)

        return linearize

    def cost(self, argument: Argument, site: Site, n_seeds: int) -> LocalCost:
        """Say what it will take: the kept primals, and the rule's flops for each seed."""
        return LocalCost(pull_flops=n_seeds * argument.flops(site), keeps=argument.keeps)


def vjp() -> Reverse:
    """Make the strategy ``vjp``."""
    return Reverse("vjp", VjpRule())
