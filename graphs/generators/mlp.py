"""Multilayer perceptrons with the options of a sweep."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

import numpy as np

from jacobench.graphs.builder import GraphBuilder
from jacobench.graphs.errors import BadInput, check_least, real_number, unknown, whole_numbers
from jacobench.graphs.structures.sparsity import Pattern, index_dtype

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from jacobench.graphs.array_types import Array
    from jacobench.graphs.builder import Value
    from jacobench.graphs.graph import Graph

ACTIVATIONS = ("relu", "leaky_relu", "tanh", "sigmoid", "softplus", "gelu", "silu", "sin", "softmax")
LOSSES = ("mse", "cross_entropy")
NORMALIZATIONS = ("layer_norm",)


def mlp(
    widths: Sequence[int],
    *,
    batch: int = 1,
    activation: str = "tanh",
    loss: str | None = "mse",
    dtype: str = "float64",
    residual: bool = False,
    normalization: str | None = None,
    weight_density: float = 1.0,
    rng_seed: int = 0,
    wrt: str | Iterable[str] = "parameters",
) -> tuple[Graph, dict[str, Array]]:
    """Build a multilayer perceptron and sample its leaves.

    Layer k computes ``z W_kᵀ + b_k``. Optional normalization, the activation and the residual connection follow each layer
    but the last.

    Parameters
    ----------
    widths : sequence of int
        Input width, hidden widths, output width.
    batch : int
        Number of samples B.
    activation : str
        One of `ACTIVATIONS`.
    loss : {"mse", "cross_entropy", None}
        Loss; with None the output is the network's, shape (B, widths[-1]).
    dtype : {"float64", "float32"}
        Dtype of all arrays.
    residual : bool
        Whether each hidden layer of equal input and output width adds its input.
    normalization : {None, "layer_norm"}
        Op between each hidden layer's affine map and its activation.
    weight_density : float
        In (0, 1]. Below 1 each weight has a random pattern of round(density · n · m) entries (at least one), drawn from
        `rng_seed`, and ``Wk`` is the vector of its stored values in CSR order.
    rng_seed : int
        Seed of patterns and arrays, 0 or more.
    wrt : {"parameters", "inputs", "all"} or iterable of str
        Leaves to differentiate, by role or name.

    Returns
    -------
    graph : Graph
        With leaves ``x`` (B, widths[0]), ``target`` (B, widths[-1]) if there is a loss, ``W1 … WL`` (n_out, n_in) or
        (nnz,), ``b1 … bL`` (n_out,).
    leaves : dict of str to NDArray
        ``graph.sample(rng_seed)``.

    Raises
    ------
    BadInput
        For fewer than two widths, an invalid number, an unknown name, or a `wrt` that selects no leaf.
    """
    graph = mlp_graph(
        widths,
        batch=batch,
        activation=activation,
        loss=loss,
        dtype=dtype,
        residual=residual,
        normalization=normalization,
        weight_density=weight_density,
        rng_seed=rng_seed,
        wrt=wrt,
    )
    return graph, graph.sample(rng_seed)


def mlp_graph(
    widths: Sequence[int],
    *,
    batch: int = 1,
    activation: str = "tanh",
    loss: str | None = "mse",
    dtype: str = "float64",
    residual: bool = False,
    normalization: str | None = None,
    weight_density: float = 1.0,
    rng_seed: int = 0,
    wrt: str | Iterable[str] = "parameters",
) -> Graph:
    """Build the graph of `mlp` without sampling its leaves."""
    lengths = _check(widths, batch, weight_density, rng_seed)
    if activation not in ACTIVATIONS:
        raise unknown("activation", activation, ACTIVATIONS)
    if normalization is not None and normalization not in NORMALIZATIONS:
        raise unknown("normalization", normalization, NORMALIZATIONS)
    g = GraphBuilder(dtype)
    z = g.input("x", (batch, lengths[0]))
    depth = len(lengths) - 1
    for k in range(1, depth + 1):
        shape = (lengths[k], lengths[k - 1])
        mask = random_pattern(shape, weight_density, [rng_seed, k]) if weight_density < 1 else None
        t = _layer(g, z, shape, str(k), mask=mask)
        if k < depth:
            if normalization is not None:
                t = getattr(g, normalization)(t)
            t = getattr(g, activation)(t)
            if residual and t.shape == z.shape:
                t = g.add(t, z)
        z = t
    return g.build(with_loss(g, z, loss), wrt)


def with_loss(g: GraphBuilder, output: Value, loss: str | None) -> Value:
    """Add a leaf ``target`` and a loss to a network's output; nothing if `loss` is None. An unknown loss raises BadInput."""
    if loss is None:
        return output
    if loss not in LOSSES:
        raise unknown("loss", loss, LOSSES)
    target = g.input("target", output.shape, distribution="one_hot" if loss == "cross_entropy" else "uniform")
    value: Value = getattr(g, loss)(output, target)
    return value


def _layer(g: GraphBuilder, z: Value, shape: tuple[int, int], suffix: str, *, mask: Pattern | None) -> Value:
    if mask is None:
        return g.affine(z, g.parameter(f"W{suffix}", shape), g.parameter(f"b{suffix}", shape[:1]))
    nnz = mask.indices.size
    v = g.parameter(f"W{suffix}", (nnz,), fan_in=max(1, nnz // shape[0]))
    return g.masked_affine(z, v, g.parameter(f"b{suffix}", shape[:1]), mask=mask)


def random_pattern(shape: tuple[int, int], density: float, rng_seed: int | Sequence[int]) -> Pattern:
    """Draw a pattern of round(density · n · m) entries, at least one; all sets of positions are equally likely.

    `shape` is (n, m), `density` in (0, 1].
    """
    nnz = max(1, round(density * prod(shape)))
    positions = np.sort(np.random.default_rng(rng_seed).choice(prod(shape), nnz, replace=False, shuffle=False))
    dtype = index_dtype(nnz, shape[1])
    rows, columns = np.divmod(positions, shape[1])
    indptr = np.zeros(shape[0] + 1, dtype)
    np.cumsum(np.bincount(rows, minlength=shape[0]), out=indptr[1:])
    return Pattern(indptr, columns.astype(dtype), shape)


def _check(widths: Sequence[int], batch: int, density: float, rng_seed: int) -> tuple[int, ...]:
    lengths = whole_numbers("widths", widths)
    if len(lengths) < 2 or min(lengths) < 1:
        raise BadInput(f"widths are {list(lengths)}: expected at least two numbers, each 1 or more")
    check_least(1, batch=batch)
    check_least(0, rng_seed=rng_seed)
    if not 0 < real_number("weight_density", density) <= 1:
        raise BadInput(f"weight_density is {density}: expected a number in (0, 1]")
    return lengths
