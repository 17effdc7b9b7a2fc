"""Seeds of several samples that share one pullback, where samples do not mix.

The Jacobian of a network's output for a batch of B takes B·n seeds, the rows of an identity. Each seed is zero except for
one sample, and so are its cotangents until they reach the leaves that the samples share. So only n seeds are pulled back,
each composed of one seed per sample. The cotangents of shared leaves are computed per sample instead of summed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from jacobench.strategies.tape import pull_by_rule

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jacobench.graphs.array_types import Array
    from jacobench.graphs.graph import Graph
    from jacobench.strategies.tape import Edge, Pull, Step, Tape


@dataclass(frozen=True)
class Samples:
    """Samples of a graph in which they do not mix: their number B ≥ 2, and the numbers of the leaves that all share.

    Every other value that cotangents reach has the batch as its leading axis.
    """

    count: int
    shared: frozenset[int]


def samples_of(graph: Graph, planned: Sequence[Step]) -> Samples | None:
    """Return the samples of a graph with these steps, None if they mix between the output and the leaves."""
    if not planned or not planned[-1].edges:
        return None
    count = max(ctx.samples for ctx in planned[-1].node.contexts)
    edges = [edge for step in planned for edge in step.edges]
    shared = {edge.x for edge in edges if edge.ctx.samples != count}
    mixed = any(edge.x >= graph.n_given or edge.argument.per_sample_vjp is None for edge in edges if edge.x in shared)
    if count == 1 or mixed or any(edge.x in shared and edge.ctx.samples == count for edge in edges):
        return None
    return Samples(count, frozenset(shared))


def batch_seeds(seeds: Array, count: int) -> Array | None:
    """Join seeds (S, B, …) across the B samples if they are sorted by the sample that each touches, equally many per sample.

    Returns (S / B, B, …): sample i of the k-th is that of the k-th seed that touches sample i. None if they cannot be
    joined; the first seed usually shows this.
    """
    n_joined, rest = divmod(len(seeds), count)
    if rest or not n_joined or np.any(seeds[0, 1:]):
        return None
    joined: Array = np.einsum("iki...->ki...", seeds.reshape(count, n_joined, *seeds.shape[1:]))
    return None if np.count_nonzero(joined) != np.count_nonzero(seeds) else np.ascontiguousarray(joined)


def tape_by_sample(tape: Tape, planned: Sequence[Step], samples: Samples) -> Tape:
    """Replace the rules of shared arguments in a tape by rules that keep the samples apart."""
    with_edges = (step for step in planned if step.edges)
    return [
        (
            y,
            [
                (x, _pull_by_sample(edge) if x in samples.shared else pull, kept)
                for edge, (x, pull, kept) in zip(step.edges, edges, strict=True)
            ],
        )
        for step, (y, edges) in zip(with_edges, tape, strict=True)
    ]


def _pull_by_sample(edge: Edge) -> Pull:
    assert edge.argument.per_sample_vjp is not None  # `samples_of` checks this
    return pull_by_rule(edge.argument.per_sample_vjp, edge.ctx)


def unbatch_cotangents(bars: Mapping[int, Array], samples: Samples) -> dict[int, Array]:
    """Return the cotangents of joined seeds as cotangents of the single seeds, (S, *shape), by the leaf's number.

    Those of joined seeds have shape (B, S / B, *shape) if the leaf is shared, else (S / B, B, …).
    """
    apart = {leaf: bar if leaf in samples.shared else _diagonal(bar) for leaf, bar in bars.items()}
    return {leaf: bar.reshape(-1, *bar.shape[2:]) for leaf, bar in apart.items()}


def _diagonal(bar: Array) -> Array:
    """Expand cotangents (S / B, B, …) to (B, S / B, B, …), zero except for each seed's own sample."""
    spread = np.zeros((bar.shape[1], *bar.shape), bar.dtype)
    np.einsum("iki...->ki...", spread)[...] = bar
    return spread
