"""Contractions: products of two arrays, summed over labels as in ``np.einsum``, as matrix products where possible."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from jacobench.graphs.structures.labels import aligned

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jacobench.graphs.array_types import Array, Shape

SEEDS = "Z"
"""Label of the axis of seeds. Its length is not known in advance, so it is the leading label of the left factor."""


@dataclass(frozen=True)
class Factor:
    """How an array becomes a stack of matrices.

    - `labels`, `kept`: labels of its axes, and those that remain after sums over labels that are nowhere else and
      diagonals of repeated labels.
    - `axes`: order of the axes of the stack; None if it is their own.
    - `shape`: shape of the stack, −1 for seeds; None if no axes are merged or added.
    - `copies`: whether the array is copied. Matrices of the BLAS need adjacent entries along one of their two axes.
    - `size`: number of its entries after the reduction, for one seed.
    """

    labels: str
    kept: str
    axes: Shape | None
    shape: Shape | None
    copies: bool
    size: int

    def reduced(self, array: Array) -> Array:
        """Return the array with the axes `kept`."""
        return array if self.kept == self.labels else np.einsum(f"{self.labels}->{self.kept}", array)

    def matrices(self, array: Array) -> Array:
        """Return the stack of matrices of an array in C order."""
        array = self.reduced(array)
        if self.axes is not None:
            array = array.transpose(self.axes)
        if self.copies:
            array = np.ascontiguousarray(array)
        return array if self.shape is None else array.reshape(self.shape)


@dataclass(frozen=True)
class Contraction:
    """Product of two arrays, summed over labels. `contraction` makes it.

    Attributes
    ----------
    subscripts : str
        Of ``np.einsum``, such as ``"bij,bjk->bik"``.
    left, right : Factor
        How the factors become stacks of matrices.
    is_matrix_product : bool
        Whether it is a stack of matrix products. Otherwise ``np.einsum`` computes it.
    axes, stack : tuple of int
        Order of the result's axes in the stack of products, and the shape of the stack, −1 for seeds.
    is_direct : bool
        Whether the products can be written to the result without a copy.
    shape : tuple of int
        Shape of the result, −1 for seeds.
    spread : str
        Labels of the target where they are not those of the result: some are repeated (a diagonal) or new (repetition).
    target : tuple of int
        Shape of the target, −1 for seeds.
    flops : int
        Arithmetic operations for one seed.
    scratch, scratch_once : int
        Entries that are allocated and freed in addition to the target: per seed, and for all seeds.
    """

    subscripts: str
    left: Factor
    right: Factor
    is_matrix_product: bool
    axes: Shape
    stack: Shape
    is_direct: bool
    shape: Shape
    spread: str
    target: Shape
    flops: int
    scratch: int
    scratch_once: int

    @property
    def out(self) -> str:
        """Labels of the result."""
        return self.subscripts.partition("->")[2]

    def product(self, left: Array, right: Array, out: Array | None = None) -> Array:
        """Return the product, in `out` if it is given, otherwise in a new array in C order."""
        if self.spread:
            return self._spread(self._product(left, right, None), len(left) if -1 in self.target else 0, out)
        return self._product(left, right, out)

    def _product(self, left: Array, right: Array, out: Array | None) -> Array:
        if not self.is_matrix_product:
            a, b = self.left.reduced(left), self.right.reduced(right)
            return _einsum(f"{self.left.kept},{self.right.kept}->{self.out}", a, b, out)
        a, b = self.left.matrices(left), self.right.matrices(right)
        if out is None and self.axes == tuple(range(len(self.axes))):
            product: Array = np.matmul(a, b).reshape(self.shape)
            return product
        out = np.empty(_lengths(self.shape, len(left)), a.dtype) if out is None else out
        stack = out.transpose(self.axes)
        if self.is_direct:
            np.matmul(a, b, stack.reshape(self.stack))
        else:
            stack[...] = np.matmul(a, b).reshape(stack.shape)
        return out

    def _spread(self, product: Array, n_seeds: int, out: Array | None) -> Array:
        """Write a product to each position of the target with the same labels, and zeros elsewhere."""
        distinct = "".join(dict.fromkeys(self.spread))
        out = np.empty(_lengths(self.target, n_seeds), product.dtype) if out is None else out
        if len(distinct) < len(self.spread):
            out.fill(0)
        np.einsum(f"{self.spread}->{distinct}", out)[...] = aligned(product, self.out, distinct)
        return out


def _einsum(subscripts: str, left: Array, right: Array, out: Array | None) -> Array:
    """Return ``np.einsum`` in C order, shape () as an array."""
    product = np.einsum(subscripts, left, right, out=out)
    return product if out is not None else np.ascontiguousarray(product).reshape(np.shape(product))


def _lengths(shape: Shape, n_seeds: int) -> Shape:
    return tuple(n_seeds if length == -1 else length for length in shape)


@cache
def contraction(left: str, right: str, target: str, lengths: tuple[tuple[str, int], ...]) -> Contraction:
    """Plan a contraction.

    Parameters
    ----------
    left, right, target : str
        One label for each axis. A label of the target may be repeated, which is a diagonal, or in no factor, which is a
        repetition.
    lengths : tuple of (str, int)
        Label → length, without `SEEDS`.
    """
    sizes = dict(lengths)
    out = "".join(label for label in dict.fromkeys(target) if label in left or label in right)
    a, b = (_distinct(own, other + out) for own, other in ((left, right), (right, left)))
    inner = [label for label in (a if _size(a, sizes) >= _size(b, sizes) else b) if label in a and label in b]
    inner = [label for label in inner if label not in out]
    rows, columns = _longest_run(a, b, out, sizes), _longest_run(b, a, out, sizes)
    stacked = [label for label in out if label not in rows and label not in columns]
    is_matrix_product = bool(inner) and bool(rows or columns)
    factors = (_factor(left, a, stacked, rows, inner, sizes), _factor(right, b, stacked, inner, columns, sizes))
    is_direct = not is_matrix_product or out[-1:] in (*rows, *columns)
    spread = "" if out == target else target
    copied = [factor.size if _is_copied(factor, is_matrix_product) else 0 for factor in factors]
    of_seed = copied[0] + _size(out, sizes) * ((not is_direct) + bool(spread))
    return Contraction(
        subscripts=f"{left},{right}->{out}",
        left=factors[0],
        right=factors[1],
        is_matrix_product=is_matrix_product,
        axes=tuple(out.index(label) for label in (*stacked, *rows, *columns)),
        stack=(*_shape(stacked, sizes), _length(rows, sizes), _length(columns, sizes)),
        is_direct=is_direct,
        shape=_shape(out, sizes),
        spread=spread,
        target=_shape(target, sizes),
        flops=_size({*a, *b}, sizes) * (2 if inner else 1),
        scratch=of_seed if SEEDS in a else 0,
        scratch_once=copied[1] + (0 if SEEDS in a else of_seed),
    )


def _distinct(own: str, others: str) -> str:
    """Return the labels of a factor that are also elsewhere, without repetitions."""
    return "".join(label for label in dict.fromkeys(own) if label in others)


def _size(labels: Any, sizes: Mapping[str, int]) -> int:
    """Return the product of lengths, for one seed."""
    return prod(sizes.get(label, 1) for label in labels)


def _shape(labels: Any, sizes: Mapping[str, int]) -> Shape:
    return tuple(sizes.get(label, -1) for label in labels)


def _length(labels: Sequence[str], sizes: Mapping[str, int]) -> int:
    """Return the length of merged axes, −1 if seeds are among them."""
    return -1 if SEEDS in labels else _size(labels, sizes)


def _longest_run(own: str, other: str, out: str, sizes: Mapping[str, int]) -> list[str]:
    """Return the labels of one factor and the result that can be merged without a copy: adjacent in both, most entries."""
    runs: list[list[str]] = [[]]
    for label in own:
        if label in out and label not in other:
            follows = runs[-1] and runs[-1][-1] + label in own and runs[-1][-1] + label in out
            runs += [] if follows else [[]]
            runs[-1].append(label)
    return max(reversed(runs), key=lambda run: (bool(run), _size(run, sizes)))


def _factor(
    labels: str,
    kept: str,
    stacked: Sequence[str],
    rows: Sequence[str],
    columns: Sequence[str],
    sizes: Mapping[str, int],
) -> Factor:
    order = [*(label for label in stacked if label in kept), *rows, *columns]
    merged = all("".join(group) in kept for group in (rows, columns))
    lengths = (_shape([label], sizes)[0] if label in kept else 1 for label in stacked)
    shape = (*lengths, _length(rows, sizes), _length(columns, sizes))
    axes = tuple(kept.index(label) for label in order)
    return Factor(
        labels=labels,
        kept=kept,
        axes=None if axes == tuple(range(len(axes))) else axes,
        shape=None if shape == _shape(order, sizes) else shape,
        copies=not merged or kept[-1:] in stacked,
        size=_size(kept, sizes),
    )


def _is_copied(factor: Factor, is_matrix_product: bool) -> bool:
    return (factor.copies and is_matrix_product) or factor.kept != factor.labels
