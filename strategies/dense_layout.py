"""Positions of a Jacobian's entries in the dense matrix, computed from the shapes without allocating a matrix."""

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
class EntryLayout:
    """Positions of a Jacobian's entries as a strided view of the matrix, strides and offset in bytes.

    `extent` is the shape after `Structure.index` has indexed the view's last axes; its C order is the CSR order.
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


def entry_layout(
    structure: Structure, ctx: ArgumentContext, shape: Shape, blocks_of: Callable[[Array], Array]
) -> EntryLayout:
    """Compute the layout of a Jacobian of this shape; `blocks_of` maps J to a view of its blocks, of `block_shape`."""
    unbacked = _without_memory(shape, ctx.dtype)
    view = structure.view(blocks_of(unbacked), ctx)
    lengths = [len(part) for part in structure.index(ctx)]
    extent = (*view.shape[: view.ndim - len(lengths)], *lengths[:1])
    return EntryLayout(view.shape, view.strides, view.ctypes.data - unbacked.ctypes.data, extent)


def columns_of_entries(structure: Structure, ctx: ArgumentContext, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the columns of some entries of a Jacobian, given by their numbers in CSR order, from 0.

    Only arrays of the shape of `numbers` are allocated, for any size of the matrix.
    """
    layout = entry_layout(structure, ctx, (ctx.n_out, ctx.n_in), partial(blocks_of_matrix, ctx=ctx))
    index = structure.index(ctx)
    at: list[Any] = list(np.unravel_index(numbers, layout.extent)) if layout.extent else []
    if index:
        at = [*at[:-1], *(part[at[-1]] for part in index)]
    place = np.full(numbers.shape, layout.offset, np.int64)
    for along, stride in zip(at, layout.strides, strict=True):
        place += along.astype(np.int64) * stride
    return place // ctx.dtype.itemsize % ctx.n_in


def _without_memory(shape: Shape, dtype: np.dtype[np.floating]) -> Array:
    """Return an array with strides but without memory. Views of it are valid; never read or write it."""
    strides = [prod(shape[k + 1 :]) * dtype.itemsize for k in range(len(shape))]
    return np.lib.stride_tricks.as_strided(np.empty(1, dtype), shape, strides)
