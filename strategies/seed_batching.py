"""Seeds that touch one sample each: where samples do not mix, one such seed of every sample can share a pullback.

The Jacobian of a network's output for a batch of B takes B·n seeds, row by row of an identity. Each is zero but for one
sample, and so are all cotangents on its way back, until they reach what the samples share. So n seeds are pulled back, each
made of one from every sample, and the shared leaves' cotangents are taken sample by sample instead of summed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jacobench.graphs.array_types import Array
    from jacobench.graphs.graph import Graph
    from jacobench.strategies.tape import Step, Tape


@dataclass(frozen=True)
class Samples:
    """A graph in which samples do not mix.

    Attributes
    ----------
    count : int
        The batch, B ≥ 2.
    shared : frozenset of int
        The leaves that all samples share; every other value that cotangents reach has the batch as its leading axis.
    """

    count: int
    shared: frozenset[int]


def samples_of(graph: Graph, planned: Sequence[Step]) -> Samples | None:
    """Tell whether samples do not mix anywhere on the way from the output to the leaves; None if they do.

    Parameters
    ----------
    graph : Graph
        The graph.
    planned : sequence of Step
        Its sweep.
    """
    if not planned or not planned[-1].edges:
        return None
    count = max(ctx.samples for ctx in planned[-1].node.contexts)
    edges = [edge for step in planned for edge in step.edges]
    shared = {edge.x for edge in edges if edge.ctx.samples != count}
    mixed = any(
        edge.x >= len(graph.leaves) or edge.argument.per_sample_vjp is None for edge in edges if edge.x in shared
    )
    if count == 1 or mixed or any(edge.x in shared and edge.ctx.samples == count for edge in edges):
        return None
    return Samples(count, frozenset(shared))


def batch_seeds(seeds: Array, count: int) -> Array | None:
    """Join seeds across samples, if they come sorted by the one sample that each may touch, equally many for each.

    Parameters
    ----------
    seeds : NDArray
        Shape (S, B, …).
    count : int
        The batch B.

    Returns
    -------
    NDArray or None
        Shape (S / B, B, …): sample i of the k-th is that of the k-th seed that may touch sample i. None if they cannot be
        joined, which is mostly told from the first seed.
    """
    n_joined, rest = divmod(len(seeds), count)
    if rest or not n_joined or np.any(seeds[0, 1:]):
        return None
    joined: Array = np.einsum("iki...->ki...", seeds.reshape(count, n_joined, *seeds.shape[1:]))
    return None if np.count_nonzero(joined) != np.count_nonzero(seeds) else np.ascontiguousarray(joined)


def tape_by_sample(tape: Tape, planned: Sequence[Step], samples: Samples) -> Tape:
    """Return the tape of a sweep with the rules of shared arguments replaced by those that take samples apart."""
    with_edges = (step for step in planned if step.edges)
    return [
        (
            y,
            [
                (x, partial(pull, rule=edge.argument.per_sample_vjp) if x in samples.shared else pull)
                for edge, (x, pull) in zip(step.edges, edges, strict=True)
            ],
        )
        for step, (y, edges) in zip(with_edges, tape, strict=True)
    ]


def unbatch_cotangents(bars: Mapping[int, Array], samples: Samples) -> dict[int, Array]:
    """Lay out the leaves' cotangents seed by seed again.

    Parameters
    ----------
    bars : mapping of int to NDArray
        Leaf's number → its cotangents, (B, S / B, *shape) if shared, else (S / B, B, …).
    samples : Samples
        Which leaves are shared.

    Returns
    -------
    dict of int to NDArray
        Leaf's number → its cotangents, shape (S, *shape).
    """
    apart = {leaf: bar if leaf in samples.shared else _diagonal(bar) for leaf, bar in bars.items()}
    return {leaf: bar.reshape(-1, *bar.shape[2:]) for leaf, bar in apart.items()}


def _diagonal(bar: Array) -> Array:
    """Spread cotangents (S / B, B, …) over (B, S / B, B, …): each sample's seeds touch that sample alone."""
    spread = np.zeros((bar.shape[1], *bar.shape), bar.dtype)
    np.einsum("iki...->ki...", spread)[...] = bar
    return spread
