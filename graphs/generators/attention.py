"""Attention, composed of ops."""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING

from jacobench.graphs.errors import BadInput

if TYPE_CHECKING:
    from jacobench.graphs.builder import GraphBuilder, Value


def attention(g: GraphBuilder, queries: Value, keys: Value, values: Value) -> Value:
    """Add scaled dot-product attention, softmax(Q Kᵀ / √d) V (Vaswani et al. 2017, equation 1).

    Parameters
    ----------
    g : GraphBuilder
        The builder of the arguments.
    queries, keys, values : Value
        Shapes (…, n, d), (…, m, d) and (…, m, e) with equal other axes, such as heads. Other shapes raise BadInput.

    Returns
    -------
    Value
        Shape (…, n, e).

    Examples
    --------
    >>> from jacobench.graphs.builder import GraphBuilder
    >>> g = GraphBuilder()
    >>> attention(g, *(g.input(name, (2, 5, 3)) for name in "QKV")).shape
    (2, 5, 3)
    """
    n_axes = len(keys.shape)
    if n_axes < 2:
        raise BadInput(f"attention: the keys have shape {keys.shape}: expected (…, m, d)")
    transposed = g.transpose(keys, axes=(*range(n_axes - 2), n_axes - 1, n_axes - 2))
    scores = g.scale(g.matmul(queries, transposed), factor=1 / sqrt(keys.shape[-1]))
    return g.matmul(g.softmax(scores), values)
