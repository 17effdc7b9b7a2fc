"""The whole Jacobian of a graph's output by the leaves in `wrt`: how it is made, and its rows, to compare them.

It has shape (outputs, inputs). The inputs are the entries of the leaves in the order of ``graph.wrt``, and outputs and leaves
are flattened in C order. It is an array or a sparse array of SciPy.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import issparse

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from jacobench.graphs.array_types import Array
    from jacobench.graphs.graph import Graph
    from jacobench.strategies.contract import Linearized

PARTS = ("data", "indices", "indptr", "coords", "offsets")
"""Attributes of sparse arrays that are arrays or tuples of arrays."""

FORMATS = ("csr", "csc", "coo", "bsr", "dia")  # formats of sparse arrays that consist of such parts


def shape_of(graph: Graph) -> tuple[int, int]:
    """Return the shape of the Jacobian: numbers of outputs and inputs."""
    return prod(graph.output_shape), sum(prod(graph.leaves[name].shape) for name in graph.wrt)


def is_sparse(jacobian: Any) -> bool:
    """Return whether a Jacobian is a sparse array or matrix of SciPy."""
    return bool(issparse(jacobian))


def whole_jacobian(linearized: Linearized, graph: Graph) -> Any:
    """Return the Jacobian: by the strategy's own method ``jacobian``, otherwise by a pullback of the identity."""
    own = own_jacobian(linearized)
    if own is not None:
        return own()
    bars = linearized.pullback(unit_seeds(graph, np.arange(shape_of(graph)[0])))
    del linearized  # it may be as large as the Jacobian
    return joined(bars, graph)


def own_jacobian(linearized: Linearized) -> Callable[[], Any] | None:
    """Return the optional method ``jacobian`` of a linearized graph."""
    return getattr(linearized, "jacobian", None)


def unit_seeds(graph: Graph, rows: NDArray[np.int64]) -> Array:
    """Return the unit vectors of some outputs, given by their numbers, as seeds: shape (len(rows), *output_shape)."""
    seeds = np.zeros((len(rows), shape_of(graph)[0]), graph.dtype)
    seeds[np.arange(len(rows)), rows] = 1
    return seeds.reshape(len(rows), *graph.output_shape)


def joined(bars: Mapping[str, Array], graph: Graph) -> Array:
    """Return the cotangents of all unit vectors as one matrix; with a single leaf, they are not copied."""
    parts = [bars[name].reshape(len(bars[name]), -1) for name in graph.wrt]
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)


def rows_by_leaf(jacobian: Any, rows: NDArray[np.int64], graph: Graph) -> dict[str, Array]:
    """Return some rows of the Jacobian as cotangents: name of a leaf → shape (len(rows), *leaf shape).

    Of a sparse Jacobian, only these rows become dense.
    """
    if is_sparse(jacobian):
        block = jacobian.tocsr()[rows].toarray()
    else:
        block = jacobian if len(rows) == len(jacobian) else jacobian[rows]
    shapes = [graph.leaves[name].shape for name in graph.wrt]
    parts = np.split(block, np.cumsum([prod(shape) for shape in shapes])[:-1], axis=1)
    return {name: part.reshape(len(rows), *shape) for name, part, shape in zip(graph.wrt, parts, shapes, strict=True)}


def arrays_of(result: Any) -> dict[str, Array]:
    """Return the arrays of a result by name: cotangents, or the parts of the Jacobian."""
    if isinstance(result, dict):
        return {f"cotangent of {name}": bar for name, bar in result.items()}
    if not is_sparse(result):
        return {"the Jacobian": result}
    parts = {name: getattr(result, name) for name in PARTS if hasattr(result, name)}
    flat = {name: part if isinstance(part, tuple) else (part,) for name, part in parts.items()}
    return {f"{name} of the Jacobian": array for name, arrays in flat.items() for array in arrays}


def form_breach(graph: Graph, jacobian: Any) -> str:
    """Check kind, shape, dtype and values of a strategy's own Jacobian; return what is wrong, empty if nothing is."""
    form = f"{graph.dtype.name} {shape_of(graph)}"
    if is_sparse(jacobian):
        if jacobian.format not in FORMATS:
            return f"the Jacobian has the sparse format {jacobian.format}: expected one of {', '.join(FORMATS)}"
        values = jacobian.data
    elif isinstance(jacobian, np.ndarray):
        values = jacobian
    else:
        return f"the Jacobian is a {type(jacobian).__name__}: expected an array or a sparse array, {form}"
    given = f"{jacobian.dtype} {jacobian.shape}"
    if given != form:
        return f"the Jacobian is {given}: expected {form}"
    if not values.flags.writeable:
        return "the Jacobian is read-only: expected an array that the caller owns"
    if not np.isfinite(values).all():
        return f"the Jacobian has {int(np.sum(~np.isfinite(values)))} entries that are NaN or infinite"
    return ""
