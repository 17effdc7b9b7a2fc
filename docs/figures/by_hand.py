"""Hand-written backpropagation in NumPy and SciPy, as plug-ins to compare `vjp` and `sparse` with."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import csc_array

from jacobench.strategies.contract import Unsupported

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from jacobench import Graph

    Leaves = Mapping[str, NDArray[np.floating]]
    Cotangents = dict[str, NDArray[np.floating]]


class Loop:
    """Gradient of affine layers with tanh between them and a final mse: a loop over the layers, one seed."""

    name = "loop-by-hand"

    def prepare(self, graph: Graph) -> Any:
        """Count the layers."""
        ops = [node.op.name for node in graph.nodes]
        depth = len(ops) // 2
        if ops != ["affine", "tanh"] * (depth - 1) + ["affine", "mse"]:
            raise Unsupported("this loop supports only affine layers with tanh between them and a final mse")
        layers = [(f"W{k}", f"b{k}") for k in range(1, depth + 1)]

        def linearize(leaves: Leaves) -> Any:
            z, target = leaves["x"], leaves["target"]
            zs = [z]
            for W, b in layers[:-1]:
                z = np.tanh(z @ leaves[W].T + leaves[b])
                zs.append(z)
            W, b = layers[-1]
            difference = z @ leaves[W].T + leaves[b] - target
            loss = np.asarray(0.5 / len(target) * (difference * difference).sum())

            def pullback(seeds: NDArray[np.floating]) -> Cotangents:
                g = difference * (seeds[0] / len(target))
                bars = {}
                for (W, b), z in zip(reversed(layers), reversed(zs), strict=True):
                    bars[W], bars[b] = np.dot(g.T, z)[None], g.sum(axis=0)[None]
                    if z is not zs[0]:
                        g = g @ leaves[W] * (1 - z * z)
                return bars

            return SimpleNamespace(output=loss, pullback=pullback)

        return SimpleNamespace(linearize=linearize)


class Csr:
    """One affine layer, one sample, one seed: CSR patterns made once, values copied into place, a product an argument."""

    name = "csr-by-hand"

    def prepare(self, graph: Graph) -> Any:
        """Make the patterns: of dt/dW = I ⊗ zᵀ and of dt/db = I."""
        if [node.op.name for node in graph.nodes] != ["affine"] or graph.output_shape[0] != 1:
            raise Unsupported("this is written for one affine layer and one sample")
        n_out, n_in = graph.leaves["W1"].shape
        by_weight = csc_array((np.zeros(n_out * n_in), *_every(n_out, n_in)), shape=(n_out * n_in, n_out))
        by_bias = csc_array((np.zeros(n_out), *_every(n_out, 1)), shape=(n_out, n_out))

        def linearize(leaves: Leaves) -> Any:
            z = leaves["x"]
            t = z @ leaves["W1"].T
            t += leaves["b1"]
            by_weight.data.reshape(n_out, n_in)[...] = z
            by_bias.data[...] = 1

            def pullback(seeds: NDArray[np.floating]) -> Cotangents:
                g = seeds.reshape(-1)
                return {"W1": (by_weight @ g).reshape(1, n_out, n_in), "b1": (by_bias @ g)[None]}

            return SimpleNamespace(output=t, pullback=pullback)

        return SimpleNamespace(linearize=linearize)


def _every(n_rows: int, n_columns: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return indices and index pointer of rows that hold entries next to one another."""
    end = n_rows * n_columns
    return np.arange(end, dtype=np.int32), np.arange(0, end + 1, n_columns, dtype=np.int32)
