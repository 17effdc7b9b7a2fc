"""asdex: the output's sparse Jacobian by coloring, on JAX.

`prepare` finds and colors the pattern, from the graph alone. `linearize` computes one compiled vector-Jacobian or
Jacobian-vector product per color and gathers the stored values. A pullback is a product with a CSR matrix.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from itertools import pairwise
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import csr_array

from jacobench.strategies.contract import Unsupported
from jacobench.strategies.peers.library import Peer, import_peer
from jacobench.strategies.peers.peer_jax import Xla, adopt, evaluator, started_jax
from jacobench.strategies.reverse import Linearization, check_seeds

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from jacobench.graphs.array_types import Array
    from jacobench.graphs.graph import Graph


@dataclass(frozen=True)
class AsdexPrepared:
    """A graph's Jacobian, colored and compiled; see `contract.Prepared`."""

    graph: Graph
    xla: Xla
    pattern: Any
    linearizer: Callable[..., Sequence[Any]]

    def place(self, leaves: Mapping[str, Array]) -> dict[str, Any]:
        """Convert leaves to JAX arrays."""
        return self.xla.place(leaves)

    def linearize(self, leaves: Mapping[str, Any]) -> Linearization:
        """Compute the output and the Jacobian's values; `leaves` are NumPy arrays or those of `place`."""
        graph, pattern = self.graph, self.pattern
        graph.check(leaves)
        with self.xla.precision():
            output, values = map(adopt, self.linearizer(*(leaves[name] for name in graph.leaves)))
        jacobian = csr_array((values, pattern.indices, pattern.indptr), shape=pattern.shape)

        def pullback(seeds: Array) -> dict[str, Array]:
            check_seeds(seeds, output)
            shapes = [graph.leaves[name].shape for name in graph.wrt]
            bars = (jacobian.T @ seeds.reshape(len(seeds), -1).T).T
            ends = np.cumsum([0, *map(prod, shapes)])
            return {
                name: bars[:, start:end].reshape(len(seeds), *shape, copy=True)
                for name, shape, (start, end) in zip(graph.wrt, shapes, pairwise(ends), strict=True)
            }

        return Linearization(output, pullback, jacobian.copy)


def asdex() -> Peer:
    """Return the strategy ``asdex``."""
    jax = started_jax()
    library = import_peer("asdex")

    def prepare(graph: Graph) -> AsdexPrepared:
        """Find the Jacobian's pattern, color it and compile."""
        if not graph.wrt:
            raise Unsupported("asdex needs at least one leaf to differentiate")
        xla = Xla(jax, graph.dtype)

        def function(wrt: tuple[Any, ...], arrays: tuple[Any, ...]) -> Any:
            return evaluator(jax, graph, arrays)[0](wrt)

        zeros = {name: np.zeros(leaf.shape, graph.dtype) for name, leaf in graph.leaves.items()}
        wrt = tuple(zeros[name] for name in graph.wrt)
        with xla.precision(), warnings.catch_warnings():
            warnings.simplefilter("ignore", library.DenseColoringWarning)  # it then computes as many products as jacrev
            try:
                coloring = library.jacobian_coloring(function, wrt, tuple(zeros.values()), argnums=0)
            except (NotImplementedError, ValueError) as error:  # a primitive that it does not support
                raise Unsupported(f"asdex finds no pattern: {str(error).partition('. ')[0]}") from None
        differentiate = library.value_and_compressed_jacobian_from_coloring(function, coloring)

        def linearize(*arrays: Any) -> tuple[Any, Any]:
            output, compressed = differentiate(evaluator(jax, graph, arrays)[1], arrays)
            return output, library.decompress_data(compressed, coloring)

        sparsity = coloring.sparsity
        ones = np.ones(len(sparsity.rows), bool)
        pattern = csr_array((ones, (sparsity.rows, sparsity.cols)), shape=sparsity.shape)
        linearizer = xla.compile(linearize, [xla.argument(leaf.shape) for leaf in graph.leaves.values()])
        return AsdexPrepared(graph, xla, pattern, linearizer)

    return Peer("asdex", prepare)
