"""Where a Jacobian's entries stand in the dense matrix, from the shapes alone: no matrix is allocated to say so."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from jacobench.graphs.array_types import ArgumentContext, Array, Shape
    from jacobench.graphs.structures.sparsity import Structure


@dataclass(frozen=True)
class Places:
    """The places of a Jacobian's entries as an array within the matrix.

    Attributes
    ----------
    shape, strides : tuple of int
        The array's, strides in bytes.
    offset : int
        Where it begins in the matrix, in bytes.
    extent : tuple of int
        What the array has once `Structure.index` has indexed its last axes; its C order is the CSR order.
    """

    shape: Shape
    strides: tuple[int, ...]
    offset: int
    extent: Shape


def block_shape(ctx: ArgumentContext) -> tuple[int, int, int]:
    """Return (samples, outputs per sample, inputs per sample)."""
    return (ctx.samples, ctx.n_out // ctx.samples, ctx.n_in // ctx.samples)


def blocks_of_matrix(J: Array, ctx: ArgumentContext) -> Array:
    """View the samples' blocks, of `block_shape`, in a matrix (outputs, inputs)."""
    samples, n_out, n_in = block_shape(ctx)
    view: Array = np.einsum("bobi->boi", J.reshape(samples, n_out, samples, n_in))
    return view


def places_of(structure: Structure, ctx: ArgumentContext, shape: Shape, blocks_of: Callable[[Array], Array]) -> Places:
    """Work out where the entries stand.

    Parameters
    ----------
    structure : Structure
        The pattern's family.
    ctx : ArgumentContext
        Where the Jacobian is.
    shape : tuple of int
        The Jacobian's.
    blocks_of : callable
        J → its blocks, of `block_shape`, as a view.
    """
    nowhere = _nowhere(shape, ctx.dtype)
    view = structure.view(blocks_of(nowhere), ctx)
    lengths = [len(part) for part in structure.index(ctx)]
    extent = (*view.shape[: view.ndim - len(lengths)], *lengths[:1])
    return Places(view.shape, view.strides, view.ctypes.data - nowhere.ctypes.data, extent)


def columns_of_entries(structure: Structure, ctx: ArgumentContext, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return in which columns some of a Jacobian's entries stand.

    Parameters
    ----------
    structure : Structure
        The pattern's family.
    ctx : ArgumentContext
        Where the Jacobian is.
    numbers : NDArray of int64
        The entries' numbers in CSR order, from 0.

    Returns
    -------
    NDArray of int64
        The shape of `numbers`. What is allocated is some arrays of that shape, however large the matrix.
    """
    places = places_of(structure, ctx, (ctx.n_out, ctx.n_in), partial(blocks_of_matrix, ctx=ctx))
    index = structure.index(ctx)
    at: list[Any] = list(np.unravel_index(numbers, places.extent)) if places.extent else []
    if index:
        at = [*at[:-1], *(part[at[-1]] for part in index)]
    place = np.full(numbers.shape, places.offset, np.int64)
    for along, stride in zip(at, places.strides, strict=True):
        place += along.astype(np.int64) * stride
    return place // ctx.dtype.itemsize % ctx.n_in


def _nowhere(shape: Shape, dtype: np.dtype[np.floating]) -> Array:
    """Return an array that has strides but no memory, to take views of and never to read or write."""
    strides = [prod(shape[k + 1 :]) * dtype.itemsize for k in range(len(shape))]
    return np.lib.stride_tricks.as_strided(np.empty(1, dtype), shape, strides)
