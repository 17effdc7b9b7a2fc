"""Chains: products A B C D e of named ops, differentiated with respect to the vector e."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from math import prod
from typing import TYPE_CHECKING, Literal

import numpy as np

from jacobench.graphs.builder import GraphBuilder
from jacobench.graphs.errors import BadInput, check_least, unknown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from jacobench.graphs.array_types import Array
    from jacobench.graphs.builder import Value
    from jacobench.graphs.graph import Graph

Form = Literal["any", "line", "channel", "triples"]
"""Shape that a link needs: any, one line of entries, a line with a channel axis, or three-vectors."""

VECTOR = "e"  # the leaf on which the links act
TAPS = 3  # length of a convolution's kernel; a padding of 1 keeps the length of the line
KEPT = 0.5  # share of the entries that dropout keeps
RANK_SHARE = 8  # size of a low-rank link divided by its rank


@dataclass(frozen=True)
class Link:
    """Link of a chain: the shape that it needs, and (builder, x, number, rng) → a value of x's shape.

    The names of its leaves end with its number.
    """

    form: Form
    apply: Callable[[GraphBuilder, Value, str, np.random.Generator], Value]


def _plain(g: GraphBuilder, x: Value, _number: str, _rng: np.random.Generator, *, name: str) -> Value:
    value: Value = getattr(g, name)(x)
    return value


def _with_constant(g: GraphBuilder, x: Value, number: str, _rng: np.random.Generator, *, name: str) -> Value:
    value: Value = getattr(g, name)(g.input(f"c{number}", x.shape), x)
    return value


def _affine(g: GraphBuilder, x: Value, number: str, _rng: np.random.Generator) -> Value:
    n = x.shape[-1]
    return g.affine(x, g.parameter(f"W{number}", (n, n)), g.parameter(f"b{number}", (n,)))


def _low_rank(g: GraphBuilder, x: Value, number: str, _rng: np.random.Generator) -> Value:
    n = x.shape[-1]
    rank = max(1, n // RANK_SHARE)
    U, V = g.parameter(f"U{number}", (n, rank)), g.parameter(f"V{number}", (rank, n))
    return g.low_rank_affine(x, U, V, g.parameter(f"b{number}", (n,)))


def _conv1d(g: GraphBuilder, x: Value, number: str, _rng: np.random.Generator) -> Value:
    return g.conv1d(x, g.parameter(f"W{number}", (1, 1, TAPS)), padding=TAPS // 2)


def _dropout(g: GraphBuilder, x: Value, _number: str, rng: np.random.Generator) -> Value:
    n = prod(x.shape[1:])
    mask = np.zeros(n, bool)
    mask[rng.permutation(n)[: max(1, round(KEPT * n))]] = True
    return g.dropout(x, mask=mask.reshape(x.shape[1:]), rate=1 - KEPT)


ENTRYWISE = ("neg", "relu", "leaky_relu", "tanh", "sigmoid", "softplus", "gelu", "silu", "sin")
ALONG_A_LINE = ("flip", "cumsum", "softmax", "layer_norm")

LINKS: Mapping[str, Link] = {
    **{name: Link("any", partial(_plain, name=name)) for name in ENTRYWISE},
    **{name: Link("line", partial(_plain, name=name)) for name in ALONG_A_LINE},
    "add": Link("any", partial(_with_constant, name="add")),
    "multiply": Link("any", partial(_with_constant, name="multiply")),
    "dropout": Link("any", _dropout),
    "permute": Link("line", lambda g, x, _number, rng: g.permute(x, order=rng.permutation(x.shape[-1]))),
    "cross": Link("triples", partial(_with_constant, name="cross")),
    "conv1d": Link("channel", _conv1d),
    "affine": Link("line", _affine),
    "low_rank_affine": Link("line", _low_rank),
}
"""Links by name: ops that keep the number of entries."""


def chain(
    ops: Sequence[str],
    size: int,
    *,
    batch: int = 1,
    dtype: str = "float64",
    rng_seed: int = 0,
    wrt: str | Iterable[str] = VECTOR,
) -> tuple[Graph, dict[str, Array]]:
    """Build a chain of ops and sample its leaves.

    A chain is read like a product of matrices: ``["A", "B"]`` is A B e, and B acts first. The vector e has shape
    (batch, size); (batch, 1, size) if a link is a convolution; (batch, size / 3, 3) if a cross product is the first link
    that needs a certain shape. A `reshape` joins links that need different shapes.

    Parameters
    ----------
    ops : sequence of str
        Names in `LINKS`.
    size : int
        Entries of e per sample; a multiple of 3 if a link is a cross product.
    batch : int
        Number of samples.
    dtype : {"float64", "float32"}
        Dtype of all arrays.
    rng_seed : int
        Seed of permutations, masks and arrays, 0 or more.
    wrt : {"e", "parameters", "inputs", "all"} or iterable of str
        Leaves to differentiate, by role or name. Inputs are ``e`` and the constant vectors, parameters are kernels, weights
        and biases.

    Returns
    -------
    graph : Graph
        With the leaf ``e``; the leaves of link k, counted from the left, are ``Wk``, ``bk``, ``ck`` and so on.
    leaves : dict of str to NDArray
        ``graph.sample(rng_seed)``.

    Raises
    ------
    BadInput
        For an empty chain, an unknown link, an invalid number, or a `wrt` that selects no leaf.

    Examples
    --------
    >>> graph, leaves = chain(["neg", "permute", "conv1d"], 8)
    >>> [node.op.name for node in graph.nodes], graph.wrt, leaves["e"].shape
    (['conv1d', 'permute', 'neg'], ('e',), (1, 1, 8))
    """
    graph = chain_graph(ops, size, batch=batch, dtype=dtype, rng_seed=rng_seed, wrt=wrt)
    return graph, graph.sample(rng_seed)


def chain_graph(
    ops: Sequence[str],
    size: int,
    *,
    batch: int = 1,
    dtype: str = "float64",
    rng_seed: int = 0,
    wrt: str | Iterable[str] = VECTOR,
) -> Graph:
    """Build the graph of `chain` without sampling its leaves."""
    links = _links(ops)
    check_least(1, size=size, batch=batch)
    check_least(0, rng_seed=rng_seed)
    if size % 3 and any(link.form == "triples" for link in links):
        raise BadInput(f"size is {size}: expected a multiple of 3 for a cross product")
    g = GraphBuilder(dtype)
    line = (batch, 1, size) if any(link.form == "channel" for link in links) else (batch, size)
    shapes = {"line": line, "channel": line, "triples": (batch, size // 3, 3)}
    needed = [shapes[link.form] for link in reversed(links) if link.form in shapes]
    value = g.input(VECTOR, needed[0] if needed else line)
    for number, link in reversed(list(enumerate(links, 1))):
        wanted = shapes.get(link.form, value.shape)
        if value.shape != wanted:
            value = g.reshape(value, shape=wanted)
        value = link.apply(g, value, str(number), np.random.default_rng([rng_seed, number]))
    return g.build(value, wrt)


def _links(ops: Sequence[str]) -> list[Link]:
    if isinstance(ops, str) or not len(ops):
        raise BadInput(f"ops is {ops!r}: expected the names of one link or more, such as ['neg', 'permute']")
    for name in ops:
        if name not in LINKS:
            raise unknown("link", name, LINKS)
    return [LINKS[name] for name in ops]
