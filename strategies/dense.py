"""Dense: every local Jacobian materialized as an ndarray, as the textbook writes it, or with one block a sample."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jacobench.strategies.reverse import LocalCost, Reverse

if TYPE_CHECKING:
    from collections.abc import Callable

    from jacobench.graphs.op import Argument, Array, Jacobian, Shape, Site
    from jacobench.strategies.reverse import Pull


def materialize(jacobian: Jacobian, y: Array, xs: tuple[Array, ...], site: Site) -> Array:
    """Return the local Jacobian, shape (outputs, inputs), the batch axis flattened in."""
    J = _allocate(jacobian, site, (site.n_out, site.n_in))
    split = J.reshape(site.samples, site.n_out // site.samples, site.samples, site.n_in // site.samples)
    _place(jacobian, np.einsum("bobi->boi", split), y, xs, site)
    return J


def materialize_blocks(jacobian: Jacobian, y: Array, xs: tuple[Array, ...], site: Site) -> Array:
    """Return the local Jacobian of each sample, shape (samples, outputs per sample, inputs per sample)."""
    J = _allocate(jacobian, site, _blocks(site))
    _place(jacobian, J, y, xs, site)
    return J


def _blocks(site: Site) -> Shape:
    return (site.samples, site.n_out // site.samples, site.n_in // site.samples)


def _allocate(jacobian: Jacobian, site: Site, shape: Shape) -> Array:
    full = jacobian.structure.n_nonzeros(site) == np.prod(shape)
    return (np.empty if full else np.zeros)(shape, site.dtype)


def _place(jacobian: Jacobian, J: Array, y: Array, xs: tuple[Array, ...], site: Site) -> None:
    structure = jacobian.structure
    structure.place(J, np.broadcast_to(jacobian.values(y, xs, site), structure.extent(site)), site)


def cost(jacobian: Jacobian, site: Site, n_seeds: int, n_entries: int) -> LocalCost:
    """Say what a dense Jacobian of `n_entries` takes: written once, read once for all seeds."""
    n_values = jacobian.structure.n_nonzeros(site) if jacobian.fresh else 0
    return LocalCost(
        linearize_bytes=n_entries * site.dtype.itemsize,
        linearize_scratch=n_values * site.dtype.itemsize,
        linearize_flops=jacobian.flops(site),
        pull_flops=2 * n_seeds * n_entries,
        n_nonzeros=n_entries,
    )


class DenseJacobian:
    """One matrix (outputs, inputs) for each argument of each node."""

    def prepare(self, argument: Argument, site: Site) -> Callable[[Array, tuple[Array, ...]], Pull]:
        """Return (y, xs) → pull."""

        def linearize(y: Array, xs: tuple[Array, ...]) -> Pull:
            J = materialize(argument.jacobian, y, xs, site)
            return lambda y_bar: (y_bar.reshape(-1, site.n_out) @ J).reshape(-1, *site.x)

        return linearize

    def cost(self, argument: Argument, site: Site, n_seeds: int) -> LocalCost:
        """Say what it will take."""
        return cost(argument.jacobian, site, n_seeds, site.n_out * site.n_in)


class DenseBlocks:
    """One matrix (outputs, inputs) for each sample, where samples do not mix."""

    def prepare(self, argument: Argument, site: Site) -> Callable[[Array, tuple[Array, ...]], Pull]:
        """Return (y, xs) → pull."""
        samples, n_out, _ = _blocks(site)

        def linearize(y: Array, xs: tuple[Array, ...]) -> Pull:
            J = materialize_blocks(argument.jacobian, y, xs, site)

            def pull(y_bar: Array) -> Array:
                by_sample = y_bar.reshape(-1, samples, n_out).transpose(1, 0, 2)
                return np.ascontiguousarray((by_sample @ J).transpose(1, 0, 2)).reshape(-1, *site.x)

            return pull

        return linearize

    def cost(self, argument: Argument, site: Site, n_seeds: int) -> LocalCost:
        """Say what it will take."""
        samples, n_out, n_in = _blocks(site)
        return cost(argument.jacobian, site, n_seeds, samples * n_out * n_in)


def dense() -> Reverse:
    """Make the strategy ``dense``."""
    return Reverse("dense", DenseJacobian())


def dense_blocks() -> Reverse:
    """Make the strategy ``dense-blocks``, the batch kept apart as vmapped Jacobians keep it."""
    return Reverse("dense-blocks", DenseBlocks())
