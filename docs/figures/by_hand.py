"""Compare `vjp` and `sparse` with hand-written loops: python docs/figures/by_hand.py [PART-OF-A-CASE …].

Each line has the minima of interleaved rounds in one process, in microseconds, and their ratio. The loops are what one
writes in NumPy and SciPy for one network: affine layers with tanh between them and a final mse, one seed. What depends on
the patterns alone is computed once, outside the timed call, as in `prepare`.
"""

from __future__ import annotations

import gc
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import _sparsetools, csc_array, csr_array

import jacobench as jb
from jacobench.bench.cell.timing import calls_per_round, round_seconds
from jacobench.bench.machine.environment import environment, settings
from jacobench.graphs.structures.sparsity import Pattern

Array = NDArray[np.floating]
Cotangents = dict[str, Array]
Gradient = Callable[[Mapping[str, Array]], Cotangents]

DENSE_FROM = 1 / 32
"""Density from which the product of all entries is faster than that of the stored ones alone."""


def dense_vjp(graph: jb.Graph) -> Gradient:
    """Return the gradient by products, for dense weights."""
    layers = range(1, len(graph.wrt) // 2 + 1)

    def gradient(leaves: Mapping[str, Array]) -> Cotangents:
        zs = [leaves["x"]]
        for k in layers:
            t = zs[-1].dot(leaves[f"W{k}"].T)
            t += leaves[f"b{k}"]
            zs.append(np.tanh(t, out=t) if k < layers[-1] else t)
        g = (zs.pop() - leaves["target"]) / len(leaves["x"])
        bars = {}
        for k in reversed(layers):
            z = zs.pop()
            bars[f"W{k}"], bars[f"b{k}"] = np.dot(g.T, z), g.sum(axis=0)
            if k > 1:
                g = g.dot(leaves[f"W{k}"])
                g *= 1 - z * z
        return bars

    return gradient


def masked_vjp(graph: jb.Graph) -> Gradient:
    """Return the gradient by products, for sparse weights. The samples are the columns of each array."""
    batch, masks = len(graph.sample()["x"]), masks_of(graph)
    counts = [np.diff(mask.indptr).astype(np.intp) for mask in masks]
    columns = [mask.indices.astype(np.intp) for mask in masks]
    rows = [np.repeat(np.arange(len(count)), count) for count in counts]
    positions = [row * mask.shape[1] + column for row, column, mask in zip(rows, columns, masks, strict=True)]

    def multiply(kernel: Callable[..., None], k: int, sizes: tuple[int, ...], v: Array, z: Array, t: Array) -> Array:
        """Add the product of the weight, read as CSR or CSC, and z to t."""
        kernel(*sizes, *((batch,) if batch > 1 else ()), masks[k].indptr, masks[k].indices, v, z, t)
        return t

    forward, backward = ("csr_matvecs", "csc_matvecs") if batch > 1 else ("csr_matvec", "csc_matvec")

    def cotangents(k: int, g: Array, z: Array) -> Array:
        """Return g zᵀ on the mask."""
        if batch == 1:
            return g[:, 0].repeat(counts[k]) * z[:, 0].take(columns[k])
        if columns[k].size >= DENSE_FROM * g.shape[0] * z.shape[0]:
            return g.dot(z.T).take(positions[k])
        return np.vecdot(g.take(rows[k], axis=0), z.take(columns[k], axis=0))

    def gradient(leaves: Mapping[str, Array]) -> Cotangents:
        zs = [np.ascontiguousarray(leaves["x"].T)]
        for k, mask in enumerate(masks):
            t = np.repeat(leaves[f"b{k + 1}"][:, None], batch, axis=1)
            multiply(getattr(_sparsetools, forward), k, mask.shape, leaves[f"W{k + 1}"], zs[-1], t)
            zs.append(np.tanh(t, out=t) if k < len(masks) - 1 else t)
        g = (zs.pop() - leaves["target"].T) / batch
        bars = {}
        for k in reversed(range(len(masks))):
            z = zs.pop()
            bars[f"W{k + 1}"], bars[f"b{k + 1}"] = cotangents(k, g, z), g.sum(axis=1)
            if k:
                sizes, x = masks[k].shape[::-1], np.zeros_like(z)
                g = multiply(getattr(_sparsetools, backward), k, sizes, leaves[f"W{k + 1}"], g, x)
                g *= 1 - z * z
        return bars

    return gradient


def sparse_loop(graph: jb.Graph) -> Gradient:
    """Return the gradient by CSR Jacobians of each affine map, batch included, with respect to its weight and input."""
    batch, masks, dense = len(graph.sample()["x"]), masks_of(graph), graph.nodes[0].op.name == "affine"
    columns = [mask.indices.astype(np.intp) for mask in masks]
    weights = [csr_array((np.zeros(mask.indices.size), mask.indices, mask.indptr), mask.shape) for mask in masks]
    by_weight = [transposed(mask, batch, np.arange(mask.indices.size), 0) for mask in masks]
    by_input = [transposed(mask, batch, mask.indices, mask.shape[1]) for mask in masks]

    def forward(k: int, z: Array, W: Array) -> Array:
        """Return z Wᵀ; write the values of the Jacobian with respect to W."""
        stored = by_weight[k].data.reshape(batch, -1)
        if dense:
            stored.reshape(batch, *W.shape)[...] = z[:, None]
            return z.dot(W.T)
        np.take(z, columns[k], axis=1, out=stored, mode="clip")
        weights[k].data = W
        return np.asarray(np.ascontiguousarray((weights[k] @ z.T).T))

    def gradient(leaves: Mapping[str, Array]) -> Cotangents:
        z, slopes = leaves["x"], []
        for k in range(len(masks)):
            t = forward(k, z, leaves[f"W{k + 1}"])
            t += leaves[f"b{k + 1}"]
            if k:
                by_input[k].data.reshape(batch, -1)[...] = leaves[f"W{k + 1}"].reshape(-1)
            if k < len(masks) - 1:
                z = np.tanh(t, out=t)
                slopes.append(1 - z * z)
        g = (t - leaves["target"]) / batch
        bars = {}
        for k in reversed(range(len(masks))):
            bars[f"b{k + 1}"] = g.sum(axis=0)
            bars[f"W{k + 1}"] = (by_weight[k] @ g.reshape(-1)).reshape(leaves[f"W{k + 1}"].shape)
            if k:
                g = (by_input[k] @ g.reshape(-1)).reshape(batch, -1)
                g *= slopes[k - 1]
        return bars

    return gradient


def transposed(mask: Pattern, batch: int, columns: NDArray[np.integer], step: int) -> csc_array:
    """Return the transpose of a Jacobian with zeros as values: for each sample, the rows of the mask, `step` columns on."""
    indptr = np.concatenate(([0], np.cumsum(np.tile(np.diff(mask.indptr), batch)))).astype(np.int32)
    indices = (step * np.arange(batch)[:, None] + columns).astype(np.int32).reshape(-1)
    shape = (batch * step or len(columns), batch * mask.shape[0])
    return csc_array((np.zeros(indices.size), indices, indptr), shape)


def masks_of(graph: jb.Graph) -> list[Pattern]:
    """Return the pattern of each weight; that of a dense one has all positions."""
    nodes = [node for node in graph.nodes if node.op.name.endswith("affine")]
    return [node.attrs.get("mask") or full(*node.contexts[1].x) for node in nodes]


def full(n_rows: int, n_columns: int) -> Pattern:
    """Return the pattern of all positions."""
    indptr = np.arange(0, n_rows * n_columns + 1, n_columns, dtype=np.int32)
    return Pattern(indptr, np.tile(np.arange(n_columns, dtype=np.int32), n_rows), (n_rows, n_columns))


@dataclass(frozen=True)
class HandCase:
    """Network, and the strategy that is compared with the loop."""

    strategy: str
    widths: tuple[int, ...]
    density: float
    batch: int

    def __str__(self) -> str:
        weights = "dense" if self.density == 1 else f"density {self.density}"
        return f"{self.strategy}, {'-'.join(map(str, self.widths))}, {weights}, batch {self.batch}"

    @property
    def loop(self) -> Callable[[jb.Graph], Gradient]:
        """The hand-written gradient of a graph."""
        return sparse_loop if self.strategy == "sparse" else dense_vjp if self.density == 1 else masked_vjp


WIDTHS = (
    (16,) * 3,
    (20,) * 3,
    (50,) * 5,
    (64,) * 3,
    (128,) * 3,
    (256,) * 3,
    (512,) * 3,
    (120, 200, 90),
    (300, 400, 200),
)
CASES = [
    HandCase(strategy, widths, density, batch)
    for strategy in ("vjp", "sparse")
    for widths in WIDTHS
    for density in (0.05, 0.1, 0.5, 1)
    for batch in (1, 16)
]

LONG_SECONDS, LONG_TARGET, SHORT_TARGET = 100e-6, 1.3, 2.5
"""A loop of 100 µs or more may be 1.3 times as fast as the strategy, a shorter one 2.5 times."""


def pair(case: HandCase) -> tuple[Callable[[], Cotangents], Callable[[], Cotangents]]:
    """Return a call of the strategy and one of the loop. Raises AssertionError if their results differ."""
    graph, leaves = jb.mlp(case.widths, batch=case.batch, weight_density=case.density)
    prepared, gradient, seed = jb.strategy(case.strategy).prepare(graph), case.loop(graph), np.ones(1)

    def ours() -> Cotangents:
        return prepared.linearize(leaves).pullback(seed)

    for name, bar in gradient(leaves).items():
        np.testing.assert_allclose(ours()[name][0], bar, rtol=1e-9, atol=1e-14)
    return ours, lambda: gradient(leaves)


def seconds(calls: Sequence[Callable[[], object]], n_rounds: int, min_seconds: float = 5e-4) -> list[float]:
    """Return the shortest time of each call over interleaved rounds."""
    numbers = [calls_per_round(call, min_seconds)[0] for call in calls]
    rounds = [
        [round_seconds(call, number) / number for call, number in zip(calls, numbers, strict=True)]
        for _ in range(n_rounds)
    ]
    return [min(times) for times in zip(*rounds, strict=True)]


def line(case: HandCase, ours: float, hand: float) -> str:
    """Return the line of a case; the times are in seconds."""
    target = LONG_TARGET if hand >= LONG_SECONDS else SHORT_TARGET
    verdict = "reached" if ours / hand <= target else "NOT REACHED"
    return f"{case!s:47} {1e6 * ours:9.1f} {1e6 * hand:9.1f} {ours / hand:6.2f}  ≤ {target}: {verdict}"


def main(parts: Sequence[str]) -> None:
    """Print the line of each case whose name has all `parts`, and the number of targets that are reached."""
    print(f"{'case':47} {'ours, µs':>9} {'hand, µs':>9} {'ratio':>6}  target", flush=True)
    gc.disable()
    found = []
    for case in CASES:
        if all(part in str(case) for part in parts):
            found.append(line(case, *seconds(pair(case), n_rounds=40)))
            print(found[-1], flush=True)
            gc.collect()
    print(f"{sum(text.endswith(' reached') for text in found)} of {len(found)} targets reached")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--tuned"]:
        main(sys.argv[2:])
    else:  # malloc and BLAS read their variables when a process starts
        command = [sys.executable, __file__, "--tuned", *sys.argv[1:]]
        subprocess.run(command, env=environment(settings("tuned", threads=1), 0), check=True)
